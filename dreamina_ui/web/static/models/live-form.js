/* The form of a model of the catalog, built from what the server made of its live schema. */

import { useStyle } from "../core/dialogs.js";
import { element } from "../core/dom.js";
import { get } from "../core/http.js";
import { terms } from "../form/price.js";
import { form } from "../form/state.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {import("../core/types.js").Model} Model */
/** @typedef {{node: HTMLElement, show(value: any): void}} Control */

await useStyle(new URL("./models.css", import.meta.url));

/** @type {{model: Model | null, controls: Map<string, Control>}} */
const shown = { model: null, controls: new Map() };
const holder = element("div", { class: "model-form live-form", id: "live-form" });

/**
 * Load a model's form; undefined if the server has no such model for us.
 * @param {string} modelId
 * @returns {Promise<Model | undefined>}
 */
export async function loadForm(modelId) {
  const loaded = await get("models/form", { model_id: modelId }).catch(() => null);
  if (!loaded) return undefined;
  const { price, ...model } = loaded;
  form.add(model);
  terms.setPrice(modelId, price);
  return model;
}

/** @type {Map<string, {node: HTMLElement, controls: Map<string, Control>}>} */
const extras = new Map(); // by model

/**
 * Load the inputs of a model that Gradio's form does not have, and show them below it.
 * @param {Model} model
 */
export async function loadExtras(model) {
  const loaded = await get("models/form", { model_id: model.model_id });
  const known = new Set(model.fields.map((field) => field.parameter));
  const index = form.models.indexOf(model);
  const more = /** @type {Field[]} */ (loaded.fields).filter((field) => !known.has(field.parameter));
  if (form.extrasOf(model).length) return; // somebody else asked, too
  const fields = more.map((field) => ({ ...field, id: `extra-${index}-${field.parameter}` }));
  const controls = new Map(fields.map((field) => [field.parameter, controlOf(field)]));
  const node = element("div", { class: "extra-inputs" }, ...[...controls.values()].map((control) => control.node));
  extras.set(model.model_id, { node, controls });
  document.getElementById(`form-${index}`)?.append(node);
  form.addExtras(model, fields);
}

/** Show the form of the model that is chosen, or none. */
function render() {
  const more = form.isLive ? undefined : extras.get(form.model.model_id);
  for (const field of more ? form.extrasOf(form.model) : []) more?.controls.get(field.parameter)?.show(form.valueOf(field));
  if (!holder.isConnected) document.getElementById("form")?.querySelector(".model-form")?.before(holder);
  holder.toggleAttribute("data-chosen", form.isLive);
  if (form.isLive && shown.model !== form.model) build(form.model);
  if (form.isLive) for (const field of form.model.fields) shown.controls.get(field.parameter)?.show(form.valueOf(field));
}

/** @param {Model} model */
function build(model) {
  shown.model = model;
  shown.controls = new Map(model.fields.map((field) => [field.parameter, controlOf(field)]));
  const about = model.description ? [element("p", { class: "soft" }, model.description)] : [];
  const required = model.fields.filter((field) => field.required || field.is_text);
  const others = model.fields.filter((field) => !required.includes(field));
  const nodes = [...required, ...others].flatMap((field) => shown.controls.get(field.parameter)?.node ?? []);
  holder.dataset.model = model.model_id;
  holder.replaceChildren(...about, ...nodes);
}

/**
 * A field with its title and help text.
 * @param {Field} field
 * @returns {Control}
 */
function controlOf(field) {
  const { input, show, extra = [] } = inputOf(field);
  input.id = `${field.id}-input`;
  if (field.required) input.setAttribute("aria-required", "true");
  const help = element("small", { id: `${field.id}-help` }, field.help ?? "");
  if (field.help) input.setAttribute("aria-describedby", help.id);
  const label = element("label", { for: input.id }, String(field.title), ...(field.required ? [element("span", { class: "required", "aria-hidden": true }, " *")] : []));
  const parts = field.component === "Checkbox" ? [element("div", { class: "check" }, input, label)] : [label, input, ...extra];
  return { node: element("div", { id: field.id, class: `live-field${field === form.model.fields.find((known) => known.is_text) ? " main-field" : ""}` }, ...parts, ...(field.help ? [help] : [])), show };
}

/**
 * @param {Field} field
 * @returns {{input: HTMLElement, show(value: any): void, extra?: HTMLElement[]}}
 */
function inputOf(field) {
  const kinds = /** @type {Record<string, (field: Field) => ReturnType<typeof inputOf>>} */ ({
    Dropdown: choiceOf, Checkbox: switchOf, Slider: sliderOf, Number: numberOf, Textbox: textOf,
  });
  return (kinds[field.component ?? ""] ?? textOf)(field);
}

/** @param {Field} field */
function choiceOf(field) {
  const none = field.required ? [] : [element("option", { value: "" }, "–")];
  const input = element("select", {}, ...none, ...field.labels.map((text, index) => element("option", { value: index }, text)));
  input.addEventListener("change", () => form.setLive(field, input.value === "" ? "" : field.choices[Number(input.value)]));
  const show = (/** @type {any} */ value) => {
    const index = field.choices.indexOf(value);
    input.value = index < 0 ? "" : String(index);
    if (index < 0 && field.required) input.selectedIndex = -1;
  };
  return { input, show };
}

/** @param {Field} field */
function switchOf(field) {
  const input = element("input", { type: "checkbox" });
  input.addEventListener("change", () => form.setLive(field, input.checked));
  return { input, show: (/** @type {any} */ value) => { input.checked = value === true; } };
}

/**
 * A number as it is typed: with either decimal mark; what is none goes to the server as it is, which says so.
 * @param {string} text
 */
export function numberFrom(text) {
  const plain = text.trim().replace(",", ".");
  return plain === "" ? "" : Number.isFinite(Number(plain)) ? Number(plain) : text;
}

/** @param {Field} field */
function numberOf(field) {
  const input = element("input", { type: "text", inputmode: "decimal", autocomplete: "off" });
  input.addEventListener("input", () => form.setLive(field, numberFrom(input.value)));
  const show = (/** @type {any} */ value) => { if (numberFrom(input.value) !== value) input.value = String(value ?? ""); };
  return { input, show };
}

/** @param {Field} field */
function sliderOf(field) {
  const { minimum, maximum, step } = field.arguments ?? {};
  const { input, show } = numberOf(field);
  const slider = element("input", { type: "range", min: minimum, max: maximum, step, "aria-label": field.title });
  slider.addEventListener("input", () => form.setLive(field, Number(slider.value)));
  return {
    input,
    extra: [slider],
    show: (/** @type {any} */ value) => {
      show(value);
      if (value !== "" && value !== undefined) slider.value = String(value);
    },
  };
}

/** @param {Field} field */
function textOf(field) {
  const { lines = 1 } = field.arguments ?? {};
  const input = element("textarea", { rows: lines, style: `--rows: ${lines}`, dir: "auto", spellcheck: field.is_text ? null : "false", placeholder: placeholderOf(field) });
  input.addEventListener("input", () => form.setLive(field, input.value));
  return { input, show: (/** @type {any} */ value) => { if (input.value !== String(value ?? "")) input.value = String(value ?? ""); } };
}

/** @param {Field} field */
function placeholderOf(field) {
  return field.holds_urls ? "https://" : null;
}

form.addEventListener("model", render);
form.addEventListener("change", render);
