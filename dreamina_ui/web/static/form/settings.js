/* Fill in the form with the settings of a job, an image or a link. It submits nothing. */

import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { urlsIn } from "./fields.js";
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
  if (!form.find(modelId)) {
    tell(say("settings_other_model", { model: modelId || words.unknown }));
    return;
  }
  const before = form.values;
  router.go({ tab: "create", image: null, query: {} });
  showForm();
  await form.fillIn(modelId, parameters);
  if (message) tell(message, () => before && form.fill(() => before));
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

/**
 * Use a file as an input of the first model that takes images; next, the visitor describes what to do with it.
 * @param {string} url of the file, for the service
 */
export function editImage(url) {
  const model = imageField(form.model) ? form.model : form.models.find(imageField);
  const field = model && imageField(model);
  if (!model || !field) return;
  const isList = field.value_type === "array";
  const before = model === form.model ? urlsIn(form.valueOf(field)) : [];
  const text = model.fields.find((known) => known.is_text) ?? field;
  useSettings({
    model_id: model.model_id,
    parameters: { [field.parameter]: isList ? [...before, url] : url },
    message: words.input_taken,
    focus: text.id,
  });
}
