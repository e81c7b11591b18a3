/* Presets: a template for the prompt, and settings. */

import { button, element } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { findModel } from "../form/more-models.js";
import { useSettings } from "../form/settings.js";
import { form } from "../form/state.js";
import { filled } from "./fill.js";

/** @typedef {{name: string, template: string, model_id: string, parameters: Record<string, any>}} Preset */

export class PresetPanel {
  #empty = element("p", { class: "empty", hidden: true }, words.preset_none);
  #list = element("ul", { class: "prompt-list" });
  #name = element("input", { type: "text", maxlength: 60, required: true, id: "preset-name", autocomplete: "off" });
  #template = element("textarea", { rows: 2, required: true, id: "preset-template", dir: "auto" });
  #problem = element("p", { class: "problem", role: "alert" });
  #form = element("form", { class: "prompt-form" },
    element("label", { for: "preset-name" }, words.preset_name), this.#name,
    element("label", { for: "preset-template" }, words.preset_template), this.#template,
    this.#problem, element("button", { type: "submit", class: "main" }, words.preset_save));
  node = element("section", {}, this.#empty, this.#list, this.#form);

  /** @param {() => void} close */
  constructor(close) {
    this.close = close;
    this.#template.value = "{prompt}, ";
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save({ name: this.#name.value, template: this.#template.value, ...currentSettings() });
    });
  }

  focus() {
    const first = this.#list.querySelector("button") ?? this.#name;
    first.focus();
  }

  async load() {
    const response = await get("presets").catch(() => null);
    /** @type {Preset[]} */
    const presets = response?.presets ?? [];
    this.#empty.hidden = presets.length > 0;
    this.#empty.textContent = response ? words.preset_none : words.request_failed;
    const hadFocus = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...presets.map((preset) => this.#row(preset)));
    if (hadFocus || document.activeElement === document.body) this.focus();
  }

  /** @param {Preset} preset */
  #row(preset) {
    const use = button("", () => this.#use(preset), { class: "prompt-use", dir: "auto" });
    const model = form.find(preset.model_id)?.title ?? preset.model_id;
    use.append(element("strong", {}, preset.name), element("span", { class: "prompt-text" }, preset.template), element("small", {}, model));
    const remove = button("×", () => this.#remove(preset), { class: "prompt-pin", "aria-label": `${words.delete}: ${preset.name}`, title: words.delete });
    return element("li", {}, use, remove);
  }

  /** @param {Preset} preset */
  async #use(preset) {
    const typed = form.model.fields.find(({ is_text: isText }) => isText);
    const text = String((typed && form.valueOf(typed)) ?? "");
    this.close();
    const model = await findModel(preset.model_id).catch(() => undefined);
    const field = model?.fields.find(({ is_text: isText }) => isText);
    const prompt = filled(preset.template, text);
    useSettings({
      model_id: preset.model_id,
      parameters: { ...preset.parameters, ...(field ? { [field.parameter]: prompt } : {}) },
      message: say("preset_taken", { name: preset.name }),
      focus: "prompt",
    });
  }

  /** @param {Preset} preset */
  async #save(preset) {
    const { refusal } = await post("presets", preset);
    this.#problem.textContent = refusal ?? "";
    if (refusal) return;
    this.#name.value = "";
    await this.load();
  }

  /** @param {Preset} preset */
  async #remove(preset) {
    const { refusal } = await post("presets", { name: preset.name, remove: true });
    if (refusal) return tell(refusal);
    await this.load();
    tell(say("tool_removed", { name: preset.name }), () => this.#save(preset));
  }
}

/** The settings of the form other than texts and files. */
function currentSettings() {
  const fields = form.model.fields.filter((field) => !field.is_text && !field.holds_urls);
  return { model_id: form.model.model_id, parameters: Object.fromEntries(fields.map((field) => [field.parameter, form.valueOf(field)])) };
}
