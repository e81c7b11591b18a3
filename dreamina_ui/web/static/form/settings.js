/* Fill in the form with the settings of a job, an image or a link. It submits nothing. */

import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { urlsIn } from "./fields.js";
import { added } from "../inputs/list.js";
import { findModel } from "./more-models.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Model} Model */

/**
 * @typedef {object} Settings
 * @property {string} model_id
 * @property {Record<string, any>} parameters
 * @property {string} [message] a note; "" for none
 * @property {"choice" | "prompt" | string | null} [focus] "choice" for the first list, "prompt" for the first text, or a field's id;
 *   null for the form itself
 */

/** @param {Settings} settings */
export async function useSettings({ model_id: modelId, parameters, message = words.settings_taken, focus = null }) {
  if (!(await findModel(modelId))) {
    tell(say("settings_other_model", { model: modelId || words.unknown }));
    return;
  }
  const before = form.values && form.snapshot();
  router.go({ tab: "create", image: null, query: {} });
  showForm();
  await form.fillIn(modelId, parameters);
  if (message) tell(message, () => before?.());
  focusOn(focus);
}

/** @param {string | null} focus */
function focusOn(focus) {
  if (focus === null) return focusForm();
  const { fields } = form.model;
  const named = { choice: () => fields.find((field) => field.choices.length), prompt: () => fields.find((field) => field.is_text) };
  const id = focus === "choice" || focus === "prompt" ? named[focus]()?.id : focus;
  const input = document.getElementById(id ?? "")?.querySelector("textarea, input");
  if (input instanceof HTMLElement) input.focus();
  else focusForm();
}

/** Focus the form, not Generate: a second Enter would press it. */
export function focusForm() {
  const node = document.getElementById("form");
  node?.setAttribute("tabindex", "-1");
  node?.focus();
}

function showForm() {
  document.dispatchEvent(new Event("show-form"));
}

/** @param {Model} model */
function imageField(model) {
  return model.fields.find((field) => field.file_kind === "image");
}

/** Whether a model takes images. */
export const takesImages = () => form.models.some(imageField);

/**
 * Use images as inputs of the model that is shown, or else of the first one that takes any; next, the visitor describes
 * what to do with them.
 * @param {Promise<string[]>} coming what stands for each in the inputs
 */
export async function editImages(coming) {
  const model = imageField(form.model) ? form.model : form.models.find(imageField);
  const field = model && imageField(model);
  if (!model || !field) return;
  const text = model.fields.find((known) => known.is_text) ?? field;
  const settings = { model_id: model.model_id, focus: text.id };
  if (model !== form.model || router.state.tab !== "create") await useSettings({ ...settings, parameters: {}, message: "" });
  const more = await coming;
  if (!more.length) return;
  const { urls, leftOut } = added(urlsIn(form.valueOf(field)), more, field.max_items);
  const isList = field.value_type === "array";
  await useSettings({ ...settings, parameters: { [field.parameter]: isList ? urls : urls[0] }, message: words.input_taken });
  if (leftOut) tell(say("input_full", { limit: field.max_items }));
}
