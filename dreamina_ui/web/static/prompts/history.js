/* Earlier prompts: pinned ones first, found by words, filled into the form by one click. */

import { button, element } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { moment, words } from "../core/words.js";
import { useSettings } from "../form/settings.js";
import { form } from "../form/state.js";

/** @typedef {{prompt: string, is_pinned: boolean, job_id: string | null, model_id: string | null, created_at: number | null}} Remembered */

const TYPED_MS = 200;

export class HistoryPanel {
  #number = 0;
  #timer = 0;
  #search = element("input", { type: "search", placeholder: words.prompt_search, "aria-label": words.prompt_search });
  #empty = element("p", { class: "empty", role: "status", hidden: true });
  #list = element("ul", { class: "prompt-list" });
  node = element("section", {}, this.#search, this.#empty, this.#list);

  /** @param {() => void} close */
  constructor(close) {
    this.close = close;
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => this.load(), TYPED_MS);
    });
    this.node.addEventListener("keydown", (event) => this.#onKey(event));
  }

  focus() {
    this.#search.focus();
  }

  async load() {
    this.#number += 1;
    const number = this.#number;
    const text = this.#search.value.trim();
    const response = await get("prompts", { text }).catch(() => null);
    if (number !== this.#number) return;
    /** @type {Remembered[]} */
    const prompts = response?.prompts ?? [];
    this.#empty.hidden = prompts.length > 0;
    this.#empty.textContent = !response ? words.request_failed : text ? words.prompt_no_match : words.prompt_none;
    this.#list.replaceChildren(...prompts.map((item) => this.#row(item)));
  }

  /** @param {Remembered} item */
  #row(item) {
    const use = button("", () => this.#use(item), { class: "prompt-use", dir: "auto" });
    use.append(element("span", { class: "prompt-text" }, item.prompt), element("small", {}, item.created_at ? moment(item.created_at) : ""));
    const name = item.is_pinned ? words.prompt_unpin : words.prompt_pin;
    const pin = button(item.is_pinned ? "★" : "☆", () => this.#pin(item), { class: "prompt-pin", "aria-pressed": String(item.is_pinned), "aria-label": `${name}: ${item.prompt.slice(0, 60)}`, title: name });
    return element("li", { "data-pinned": item.is_pinned }, use, pin);
  }

  /** @param {Remembered} item */
  #use({ prompt }) {
    const field = form.model.fields.find(({ is_text: isText }) => isText);
    this.close();
    if (field) useSettings({ model_id: form.model.model_id, parameters: { [field.parameter]: prompt }, message: words.prompt_taken, focus: "prompt" });
  }

  /** @param {Remembered} item */
  async #pin(item) {
    const { refusal } = await post("prompts/pin", { prompt: item.prompt, is_pinned: !item.is_pinned });
    if (refusal) return tell(refusal);
    await this.load();
    const same = [...this.#list.querySelectorAll(".prompt-use")].find((node) => node.firstChild?.textContent === item.prompt);
    const pin = same?.nextElementSibling;
    if (pin instanceof HTMLElement) pin.focus();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const rows = [...this.#list.querySelectorAll(".prompt-use")].filter((node) => node instanceof HTMLElement);
    const at = rows.findIndex((node) => node.parentElement?.contains(document.activeElement));
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
    if (next < 0) this.#search.focus();
    else rows[Math.min(next, rows.length - 1)]?.focus();
  }
}
