/* <dreamina-batch>: the form of a batch. What is typed there is stored as the main form's draft is. */

import { button, element, emit } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { router } from "../core/router.js";
import { local, parse, session } from "../core/storage.js";
import { say, words } from "../core/words.js";
import { form } from "../form/state.js";
import { numbersIn, protect } from "./parse.js";
import { openTable } from "./table.js";

/** @typedef {{key: string, title: string, choices: {value: any, label: string}[]}} BatchField */
/** @typedef {{text: string, repeats: string, values: Record<string, any>}} BatchDraft */

const STORED = "batch-draft";
const EXAMPLE = { example: "{red|blue} fox", escape: "\\{" };

export class Batch extends HTMLElement {
  /** @type {string | null} */
  #modelId = null;
  /** @type {Map<string, {read: () => any[], draft: () => any}>} */
  #inputs = new Map(); // by schema key
  /** @type {BatchDraft} */
  #draft = { text: "", repeats: "1", values: {}, ...parse(session.get(STORED) ?? local.get(STORED)) };
  #prompts = element("textarea", { id: "batch-prompts", rows: 5, spellcheck: "true", dir: "auto", "aria-describedby": "batch-hint" });
  #fields = element("div", { class: "batch-fields" });
  #repeats = element("input", { id: "batch-repeats", type: "number", min: 1, step: 1, inputmode: "numeric" });
  #problem = element("p", { class: "problem", role: "alert" });
  #show = button(words.batch_table, () => this.#showTable(), { class: "main" });
  #box = element("details", {},
    element("summary", {}, words.batch),
    element("label", { for: "batch-prompts" }, words.batch_prompts), this.#prompts,
    element("p", { id: "batch-hint", class: "hint" }, say("batch_hint", EXAMPLE)),
    this.#fields,
    element("label", { class: "batch-repeats", for: "batch-repeats" }, words.batch_repeats, " ", this.#repeats),
    this.#problem, this.#show);
  #refresh = () => { this.#loadFields(); };
  #follow = () => { if (router.state.tab === "batch") this.#box.open = true; };

  constructor() {
    super();
    this.#prompts.value = this.#draft.text;
    this.#repeats.value = this.#draft.repeats;
    this.#box.addEventListener("toggle", this.#refresh);
    this.#box.addEventListener("input", () => this.#store());
    this.#box.addEventListener("change", () => this.#store());
  }

  connectedCallback() {
    if (!this.#box.isConnected) this.append(this.#box);
    form.addEventListener("model", this.#refresh);
    router.addEventListener("change", this.#follow);
    this.#follow();
  }

  disconnectedCallback() {
    form.removeEventListener("model", this.#refresh);
    router.removeEventListener("change", this.#follow);
  }

  #store() {
    for (const [key, { draft }] of this.#inputs) this.#draft.values[key] = draft();
    this.#draft = { text: this.#prompts.value, repeats: this.#repeats.value, values: this.#draft.values };
    const text = JSON.stringify(this.#draft);
    session.set(STORED, text);
    local.set(STORED, text);
  }

  // Show the fields of the selected model, and its prompt as the first line.
  async #loadFields() {
    const { model_id: modelId, values } = form.current();
    if (!this.#box.open || modelId === this.#modelId) return;
    const before = this.#modelId;
    this.#modelId = modelId;
    try {
      const known = await get("batch/fields", { model_id: modelId });
      if (this.#modelId !== modelId) return;
      if (!this.#prompts.value.trim() && known.prompt) this.#prompts.value = protect(values[known.prompt] || "");
      this.#inputs.clear();
      const fields = /** @type {BatchField[]} */ (known.fields);
      this.#fields.replaceChildren(...fields.map((field) => (field.choices.length ? this.#choices(field) : this.#numbers(field))));
    } catch {
      this.#modelId = before;
      this.#problem.textContent = words.request_failed;
    }
  }

  /** @param {BatchField} field */
  #choices(field) {
    const stored = this.#draft.values[field.key] ?? [];
    const boxes = field.choices.map(({ value, label }) => {
      const box = element("input", { type: "checkbox" });
      box.checked = Array.isArray(stored) && stored.includes(value);
      return { value, box, label: element("label", {}, box, " ", label) };
    });
    const read = () => boxes.filter(({ box }) => box.checked).map(({ value }) => value);
    this.#inputs.set(field.key, { read, draft: read });
    return element("fieldset", {},
      element("legend", {}, field.title),
      element("div", { class: "batch-choices" }, ...boxes.map(({ label }) => label)),
      element("p", { class: "hint" }, words.batch_as_form));
  }

  /** @param {BatchField} field */
  #numbers(field) {
    const id = `batch-${this.#inputs.size}`;
    const input = element("input", { id, type: "text", inputmode: "text", autocomplete: "off", "aria-describedby": `${id}-hint` });
    const stored = this.#draft.values[field.key];
    input.value = typeof stored === "string" ? stored : "";
    this.#inputs.set(field.key, { read: () => numbersIn(input.value, words.decimal_mark), draft: () => input.value });
    return element("div", {},
      element("label", { for: id }, field.title), input,
      element("p", { id: `${id}-hint`, class: "hint" }, words.batch_numbers));
  }

  #request() {
    const { model_id: modelId, values: inputs } = form.current();
    const several = [...this.#inputs].map(([key, { read }]) => /** @type {const} */ ([key, read()])).filter(([, chosen]) => chosen.length);
    const repeats = this.#repeats.value === "" ? 1 : Number(this.#repeats.value);
    return { model_id: modelId, inputs, text: this.#prompts.value, values: Object.fromEntries(several), repeats };
  }

  async #showTable() {
    this.#problem.textContent = "";
    this.#show.disabled = true;
    await this.#loadFields();
    const request = this.#request();
    const { answer: plan, refusal } = await post("batch/plan", request);
    this.#show.disabled = false;
    if (refusal) {
      this.#problem.textContent = refusal;
      return this.#prompts.focus();
    }
    openTable(request, plan, (outcome) => emit(this, "batch-started", outcome), () => this.#show.focus());
  }
}
