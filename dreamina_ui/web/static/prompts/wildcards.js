/* Wildcard lists: imported from text files or typed, looked into, and put into a batch. */

import { button, element, emit } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";

/** @typedef {{name: string, count: number, lines: string[]}} List */

const MAX_CHARACTERS = 50000; // as in dreamina_ui/library/prompt_tools.py
const SHOWN = 200;

export class WildcardPanel {
  #empty = element("p", { class: "empty", hidden: true }, words.wildcard_none);
  #list = element("ul", { class: "prompt-list" });
  #file = element("input", { type: "file", accept: ".txt,text/plain", multiple: true, hidden: true, "aria-hidden": "true", tabindex: -1 });
  #import = button(words.wildcard_import, () => this.#file.click(), { class: "wildcard-import" });
  #name = element("input", { type: "text", id: "wildcard-name", maxlength: 60, required: true, autocomplete: "off", spellcheck: "false" });
  #lines = element("textarea", { id: "wildcard-lines", rows: 4, required: true, dir: "auto" });
  #problem = element("p", { class: "problem", role: "alert" });
  #form = element("form", { class: "prompt-form" },
    element("label", { for: "wildcard-name" }, words.wildcard_new), this.#name,
    element("label", { for: "wildcard-lines" }, words.wildcard_lines), this.#lines,
    this.#problem, element("div", { class: "prompt-buttons" }, element("button", { type: "submit", class: "main" }, words.tool_save), this.#import, this.#file));
  node = element("section", {}, this.#empty, this.#list, this.#form);

  /**
   * @param {(text: string) => void} insert puts a wildcard into the batch
   * @param {(text: string) => void} addToPrompt puts it into the prompt of the form
   */
  constructor(insert, addToPrompt) {
    this.insert = insert;
    this.addToPrompt = addToPrompt;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(this.#name.value, this.#lines.value).then((isStored) => {
        if (isStored) this.#name.value = this.#lines.value = "";
      });
    });
    this.#file.addEventListener("change", () => {
      const files = [...(this.#file.files ?? [])];
      this.#file.value = "";
      this.#take(files);
    });
  }

  focus() {
    const first = this.#list.querySelector("button") ?? this.#import;
    first.focus();
  }

  async load() {
    const response = await get("wildcards").catch(() => null);
    /** @type {List[]} */
    const lists = response?.wildcards ?? [];
    this.#empty.hidden = lists.length > 0;
    this.#empty.textContent = response ? words.wildcard_none : words.request_failed;
    const hadFocus = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...lists.map((list) => this.#row(list)));
    if (hadFocus || document.activeElement === document.body) this.focus();
  }

  /** @param {List} list */
  #row({ name, count, lines }) {
    const first = lines.join(", ") + (count > lines.length ? ", …" : "");
    const summary = element("summary", {}, element("strong", {}, `__${name}__`), element("small", {}, say("wildcard_count", { count })),
      element("span", { class: "prompt-text", dir: "auto" }, first));
    const preview = element("div", { class: "wildcard-preview" });
    const details = element("details", {}, summary, preview);
    details.addEventListener("toggle", () => { if (details.open) this.#preview(name, preview); });
    const insert = button(words.wildcard_insert, () => this.insert(`__${name}__`), { class: "wildcard-insert", "aria-label": `${words.wildcard_insert}: __${name}__` });
    const add = button(words.wildcard_to_prompt, () => this.addToPrompt(`__${name}__`), { class: "wildcard-insert", "aria-label": `${words.wildcard_to_prompt}: __${name}__` });
    const remove = button("×", () => this.#remove(name), { class: "prompt-pin", "aria-label": `${words.delete}: ${name}`, title: words.delete });
    return element("li", {}, details, add, insert, remove);
  }

  /** @param {string} name @param {HTMLElement} node */
  async #preview(name, node) {
    const list = await this.#read(name);
    if (!list) return;
    const rest = list.count - SHOWN;
    node.replaceChildren(
      element("ol", {}, ...list.lines.slice(0, SHOWN).map((line) => element("li", { dir: "auto" }, line))),
      ...(rest > 0 ? [element("p", {}, say("wildcard_more", { count: rest }))] : []),
      button(words.tool_edit, () => this.#edit(list)));
  }

  /** @param {string} name @returns {Promise<List | null>} */
  async #read(name) {
    return get(`wildcards/${encodeURIComponent(name)}`).catch(() => {
      tell(words.request_failed);
      return null;
    });
  }

  /** @param {List} list */
  #edit({ name, lines }) {
    this.#name.value = name;
    this.#lines.value = lines.join("\n");
    this.#lines.focus();
  }

  /** @param {File[]} files */
  async #take(files) {
    for (const file of files) {
      const text = file.size > 4 * MAX_CHARACTERS ? "" : await file.text();
      if (!text || text.length > MAX_CHARACTERS) tell(say("wildcard_too_large", { name: file.name }));
      else if (!(await this.#save(file.name, text))) return;
    }
  }

  /** @param {string} name @param {string} text @returns {Promise<boolean>} whether it is stored */
  async #save(name, text) {
    const { answer: stored, refusal } = await post("wildcards", { name, text });
    this.#problem.textContent = refusal ?? "";
    if (refusal) return false;
    await this.load();
    tell(say("wildcard_stored", { name: stored.name }));
    emit(document.body, "wildcards-changed");
    return true;
  }

  /** @param {string} name */
  async #remove(name) {
    const list = await this.#read(name);
    const { refusal } = await post("wildcards", { name, remove: true });
    if (refusal) return tell(refusal);
    await this.load();
    emit(document.body, "wildcards-changed");
    tell(say("tool_removed", { name }), () => list && this.#save(name, list.lines.join("\n")));
  }
}
