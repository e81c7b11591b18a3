/* Links with settings: they are in the fragment, which browsers do not send to servers. */

import { button, element, openDialog } from "../core/dom.js";
import { session, parse } from "../core/storage.js";
import { tell } from "../core/toast.js";
import { say, shorten, words } from "../core/words.js";
import { linkQuery, readLink } from "./link-values.js";
import { findModel } from "./more-models.js";
import { focusForm, useSettings } from "./settings.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Job} Job */
/** @typedef {import("../core/types.js").Model} Model */
/** @typedef {import("./link-values.js").Note} Note */

const STORED = "draft.before-link";
const GRADIO_MS = 100; // Gradio passes on what was typed last after a moment

/**
 * @param {Model} model
 * @param {Record<string, any>} parameters
 */
function linkOf(model, parameters) {
  return `${location.origin}${location.pathname}#${linkQuery(model, parameters)}`;
}

/**
 * Copy a link with a job's settings.
 * @param {Job} job
 */
export async function copyLink(job) {
  const model = await findModel(job.model_id).catch(() => undefined);
  if (!model) return tell(say("settings_other_model", { model: job.model_id }));
  const link = linkOf(model, job.parameters);
  try {
    await navigator.clipboard.writeText(link);
    tell(words.link_copied);
  } catch {
    showLink(link); // browsers give pages without https no clipboard
  }
}

/** @param {string} link */
function showLink(link) {
  const heading = element("h2", {}, words.copy_link);
  const input = element("input", { type: "text", readonly: true, value: link, "aria-label": words.copy_link });
  const dialog = element("dialog", { class: "link-dialog" }, heading, element("p", {}, words.copy_link_help), input);
  const back = document.activeElement;
  dialog.append(button(words.close, () => dialog.close()));
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (back instanceof HTMLElement) back.focus();
  });
  openDialog(dialog, heading);
  input.select();
}

/** @param {Note} note */
function textOf({ key, values }) {
  const shown = Object.entries(values).map(([name, value]) => (
    [name, Array.isArray(value) ? value.map(shorten).join(", ") : typeof value === "string" ? shorten(value) : value]));
  return say(key, Object.fromEntries(shown));
}

// Fill in the form from the page's URL, and keep the earlier draft until the visitor discards it.
async function followLink() {
  if (location.hash.startsWith("#/")) return;
  const search = new URLSearchParams(location.search);
  const prompt = search.get("prompt");
  const isPlain = prompt !== null && !location.hash.includes("=");
  const query = isPlain ? new URLSearchParams({ prompt }) : new URLSearchParams(location.hash.slice(1));
  const named = await findModel(query.get("model") ?? "").catch(() => undefined); // its form may not be in the page
  const link = readLink(named ? [...form.models, named] : form.models, query);
  if (!link) return showStored(words.link_draft_kept, false);
  search.delete("prompt");
  const rest = String(search);
  history.replaceState(history.state, "", `${location.pathname}${rest && `?${rest}`}`); // a reload does not apply the link again
  const notes = link.notes.map(textOf);
  if (!link.model_id) return tell(notes.join(" "));
  await new Promise((wait) => setTimeout(wait, GRADIO_MS));
  if (session.get(STORED) === null) session.set(STORED, form.draft());
  await useSettings({ model_id: link.model_id, parameters: link.parameters ?? {}, message: "" });
  showStored([words.link_taken, ...notes].join(" "), true);
}

/**
 * @param {string} text
 * @param {boolean} isNew
 */
function showStored(text, isNew) {
  document.getElementById("link-note")?.remove();
  const draft = session.get(STORED);
  if (draft === null && !isNew) return;
  const note = element("div", { id: "link-note", role: "status" }, element("p", {}, text));
  /** @type {(label: string, then: () => unknown) => void} */
  const choice = (label, then) => note.append(button(label, () => {
    session.set(STORED, null);
    note.remove();
    then();
  }));
  if (draft !== null) choice(words.link_restore, () => form.fillInDraft(parse(draft)));
  choice(draft !== null ? words.link_keep : words.close, focusForm);
  document.getElementById("form")?.prepend(note);
}

/** Follow links with settings from now on. */
export async function startFollowing() {
  await form.ready;
  followLink();
  window.addEventListener("hashchange", followLink);
}
