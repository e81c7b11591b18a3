/* What Gradio's listeners call; see `gradio_page/listeners.py`. Each gets the values of the form's components. */

import { router } from "../core/router.js";
import { words } from "../core/words.js";
import { generateWith } from "./generate.js";
import { form } from "./state.js";

/** @param {...any} values */
export function restore(...values) {
  return form.restore(values);
}

/** @param {...any} values */
export function changed(...values) {
  form.changed(values);
  return [];
}

/** @param {...any} values */
export function modelChanged(...values) {
  return form.modelChanged(values);
}

/** @param {...any} values */
export function fill(...values) {
  return form.takeChanges(values);
}

/** @param {...any} values */
export function generate(...values) {
  form.accept(values);
  generateWith(form.current());
  return [];
}

/** The tab to be shown, as Gradio's Tabs takes it. */
export function shownTab() {
  const open = ["library", "batch", ...(form.hasAdmin ? ["admin"] : [])];
  return { __type__: "update", selected: open.includes(router.state.tab) ? router.state.tab : "create" };
}

/** The owner's tab, as Gradio's Tab takes it. */
export function shownAdmin() {
  return { __type__: "update", visible: form.hasAdmin, label: form.hasAdmin ? words.owner_tab : "" };
}

let isSettled = false; // before, Gradio selects the first tab by itself

/** @param {string} tab that Gradio shows now */
export function selectedTab(tab) {
  if (tab === router.state.tab) isSettled = true;
  else if (isSettled) router.go({ tab });
  return [];
}

/** Whether Generate can be clicked, as Gradio's Button takes it. */
export function switchedGenerate() {
  return { __type__: "update", interactive: !form.isOff };
}
