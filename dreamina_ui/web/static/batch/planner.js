/* The form of a batch, and beside it every job that it means, before anything is sent. What is typed is stored as the
 * main form's draft is. */

import { button, element, emit } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { local, parse, session } from "../core/storage.js";
import { say, usd, words } from "../core/words.js";
import { openTools } from "../form/prompt-tools.js";
import { form } from "../form/state.js";
import { hasWildcards, newSeed } from "../prompts/fill.js";
import { axisInput, columnChoice } from "./axes.js";
import { Matrix } from "./matrix.js";
import { protect } from "./parse.js";
import { notices, startButton, summaryOf } from "./start.js";

/** @typedef {import("./start.js").Plan} Plan */
/** @typedef {{text: string, repeats: string, values: Record<string, any>, columns: string[] | null, seed: string}} BatchDraft */

const STORED = "batch-draft";
const EXAMPLE = { example: "{red|blue} fox", escape: "\\{" };
const TYPED_MS = 400;

export class Planner {
  isShown = false;
  /** @type {string | null} */
  #modelId = null;
  /** @type {Map<string, import("./axes.js").AxisInput>} */
  #inputs = new Map(); // by schema key
  /** @type {string | null} */
  #promptKey = null;
  /** @type {BatchDraft} */
  #draft = { text: "", repeats: "1", values: {}, columns: null, seed: String(newSeed()), ...parse(session.get(STORED) ?? local.get(STORED)) };
  #planned = ""; // the request whose plan is shown
  #shown = ""; // that request, and its plan
  #number = 0; // of the newest request
  #timer = 0;
  #prompts = element("textarea", { id: "batch-prompts", rows: 7, spellcheck: "true", dir: "auto", "aria-describedby": "batch-hint" });
  #fields = element("div", { class: "batch-fields" });
  #repeats = element("input", { id: "batch-repeats", type: "number", min: 1, step: 1, inputmode: "numeric" });
  #seed = element("input", { id: "batch-seed", type: "number", min: 0, max: 4294967295, step: 1, inputmode: "numeric", "aria-describedby": "batch-seed-help" });
  #seedBox = element("div", { class: "batch-seed", hidden: true },
    element("label", { for: "batch-seed" }, words.batch_seed, " ", this.#seed),
    button(words.batch_seed_new, () => this.#drawAnew()), element("p", { id: "batch-seed-help", class: "hint" }, words.batch_seed_help));
  #problem = element("p", { class: "problem", role: "alert" });
  #empty = element("p", { class: "hint" }, words.batch_empty);
  #summary = element("p", { class: "batch-total", role: "status" });
  #plan = element("div", { class: "batch-plan" });
  #startBox = element("div", { class: "batch-start" });
  node = element("div", { class: "batch-planner" },
    element("div", { class: "batch-form" },
      element("label", { for: "batch-prompts" }, words.batch_prompts), this.#prompts,
      element("p", { id: "batch-hint", class: "hint" }, say("batch_hint", EXAMPLE)),
      element("div", { class: "batch-buttons" }, button(words.batch_from_form, () => this.#addPrompt()),
        button(words.prompt_wildcards, () => openTools("wildcards"), { "aria-haspopup": "dialog" })),
      this.#fields,
      element("label", { class: "batch-repeats", for: "batch-repeats" }, words.batch_repeats, " ", this.#repeats), this.#seedBox),
    element("div", { class: "batch-preview" }, this.#summary, this.#problem, this.#empty, this.#plan, this.#startBox));

  constructor() {
    this.#prompts.value = this.#draft.text;
    this.#repeats.value = this.#draft.repeats;
    this.#seed.value = this.#draft.seed;
    this.#showSeed();
    this.node.addEventListener("input", () => this.#changed(TYPED_MS));
    this.node.addEventListener("change", () => this.#changed(TYPED_MS));
  }

  /** The tab is shown, or something outside changed: the form, the price, who pays. */
  async refresh() {
    if (!this.isShown) return;
    await this.#loadFields();
    await this.#showPlan();
  }

  /**
   * Take over what another batch was made from; nothing is sent.
   * @param {{text: string, values: Record<string, any>, repeats: number, columns: string[] | null, seed?: number}} request
   */
  fill({ text, values, repeats, columns, seed }) {
    this.#prompts.value = text ?? "";
    this.#repeats.value = String(repeats ?? 1);
    this.#seed.value = String(seed || this.#seed.value);
    this.#draft = { text, repeats: String(repeats ?? 1), values: values ?? {}, columns: columns ?? null, seed: this.#seed.value };
    this.#showSeed();
    this.#inputs.clear();
    this.#modelId = null;
    this.#outdate();
    this.#store();
    this.#prompts.focus();
  }

  /** Put a text where the cursor is. @param {string} text */
  insert(text) {
    const field = this.#prompts;
    const { selectionStart: start, selectionEnd: end, value } = field;
    const before = value.slice(0, start);
    const space = before && !/\s$/.test(before) ? " " : "";
    field.value = `${before}${space}${text}${value.slice(end)}`;
    field.focus();
    field.selectionStart = field.selectionEnd = start + space.length + text.length;
    this.#changed();
  }

  #drawAnew() {
    this.#seed.value = String(newSeed());
    this.#changed();
  }

  #showSeed() {
    this.#seedBox.hidden = !hasWildcards(this.#prompts.value);
  }

  #changed(ms = 0) {
    this.#showSeed();
    this.#draft.seed = this.#seed.value;
    this.#draft.text = this.#prompts.value;
    this.#draft.repeats = this.#repeats.value;
    for (const [key, { draft }] of this.#inputs) this.#draft.values[key] = draft();
    this.#store();
    if (JSON.stringify(this.#request()) === this.#planned) return; // a click on Start leaves the field, which is no change
    clearTimeout(this.#timer);
    this.#outdate();
    this.#timer = window.setTimeout(() => this.refresh(), ms);
  }

  // The matrix that is shown is not that of the form: it cannot be started.
  #outdate() {
    this.#planned = this.#shown = "";
    this.#startBox.replaceChildren();
    this.#plan.classList.add("outdated");
  }

  #store() {
    const text = JSON.stringify(this.#draft);
    session.set(STORED, text);
    local.set(STORED, text);
  }

  #addPrompt() {
    const prompt = this.#promptKey ? protect(form.current().values[this.#promptKey] || "") : "";
    if (!prompt.trim()) return this.#prompts.focus();
    const text = this.#prompts.value;
    this.#prompts.value = text + (text && !text.endsWith("\n") ? "\n" : "") + prompt;
    this.#prompts.focus();
    this.#changed();
  }

  // Show the fields of the selected model, and its prompt as the first line.
  async #loadFields() {
    await form.ready;
    const { model_id: modelId, values } = form.current();
    if (modelId === this.#modelId) return;
    const before = this.#modelId;
    this.#modelId = modelId;
    try {
      const known = await get("batch/fields", { model_id: modelId });
      if (this.#modelId !== modelId) return;
      this.#promptKey = known.prompt;
      if (!this.#prompts.value.trim() && known.prompt) this.#prompts.value = protect(values[known.prompt] || "");
      const fields = /** @type {import("./axes.js").BatchField[]} */ (known.fields);
      this.#inputs = new Map(fields.map((field) => [field.key, axisInput(field, this.#draft.values[field.key])]));
      this.#fields.replaceChildren(...[...this.#inputs.values()].map(({ node }) => node));
    } catch {
      this.#modelId = before;
      this.#problem.textContent = words.request_failed;
    }
  }

  #request() {
    const { model_id: modelId, values: inputs } = form.current();
    const several = [...this.#inputs].map(([key, { read }]) => /** @type {const} */ ([key, read()])).filter(([, chosen]) => chosen.length);
    const repeats = this.#repeats.value === "" ? 1 : Number(this.#repeats.value);
    return { model_id: modelId, inputs, text: this.#prompts.value, values: Object.fromEntries(several), repeats, columns: this.#draft.columns, seed: this.#seedBox.hidden ? 0 : Number(this.#seed.value || 0) };
  }

  async #showPlan() {
    this.#number += 1;
    const number = this.#number;
    const request = this.#request();
    if (!request.text.trim()) return this.#show(request, null, "");
    const { answer: plan, refusal } = await post("batch/plan", request);
    if (number !== this.#number) return; // a newer one is on its way
    if (JSON.stringify(this.#request()) === JSON.stringify(request)) this.#show(request, plan, refusal ?? "");
  }

  /** @param {object} request @param {Plan | null | undefined} plan @param {string} problem */
  #show(request, plan, problem) {
    const shown = JSON.stringify([request, plan]);
    if (this.#problem.textContent !== problem) this.#problem.textContent = problem;
    this.#empty.hidden = Boolean(plan || problem);
    if (plan && shown === this.#shown) return; // the button may have the focus
    this.#shown = shown;
    this.#planned = plan ? JSON.stringify(request) : "";
    this.#plan.classList.remove("outdated");
    this.#summary.textContent = plan ? summaryOf(plan) : "";
    this.#plan.replaceChildren(...(plan ? this.#parts(plan) : []));
    const report = (/** @type {string} */ text) => { this.#problem.textContent = text; };
    const start = plan && startButton(request, plan, report, (outcome) => emit(this.node, "batch-started", outcome));
    this.#startBox.replaceChildren(...(start ? [start] : []));
  }

  /** @param {Plan} plan */
  #parts(plan) {
    const parts = [];
    const isTooMuch = plan.jobs_today !== null && plan.jobs_today < plan.count;
    if (isTooMuch) parts.push(element("p", {}, say("batch_left", { count: plan.jobs_today })));
    if (plan.notices.length) parts.push(notices(plan));
    if (plan.axes.length) parts.push(columnChoice(plan.axes, (columns) => this.#chooseColumns(columns)));
    const matrix = new Matrix(plan);
    plan.cells.forEach(([row, column], index) => {
      const price = plan.jobs[index].expected_usd;
      const text = price === null ? words.unknown : usd(price);
      const { drawn, prompt, settings } = plan.jobs[index];
      if (drawn.length) matrix.cell(row, column).append(element("span", { class: "drawn", title: prompt, dir: "auto" }, drawn.join(", ")));
      matrix.cell(row, column).append(element("span", { class: "price", title: settings }, text));
    });
    return [...parts, matrix.node];
  }

  /** @param {string[]} columns */
  async #chooseColumns(columns) {
    const pressed = document.activeElement?.getAttribute("data-axis");
    this.#draft.columns = columns;
    this.#changed();
    clearTimeout(this.#timer);
    await this.refresh();
    const again = this.#plan.querySelector(`[data-axis="${CSS.escape(pressed ?? "")}"]`);
    if (again instanceof HTMLElement) again.focus();
  }
}
