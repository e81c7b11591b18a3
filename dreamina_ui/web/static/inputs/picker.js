/* A dialog that chooses images of the library. */

import { button, element, openDialog } from "../core/dom.js";
import { get, url } from "../core/http.js";
import { nextCell } from "../core/grid-keys.js";
import { say, words } from "../core/words.js";

const COUNT = 60;
const TYPED_MS = 300;

/**
 * @param {number} max
 * @returns {Promise<string[]>} the keys of the chosen files, in the order in which they were chosen
 */
export function pickImages(max) {
  return new Promise((resolve) => new Picker(max, resolve));
}

class Picker {
  /** @type {string[]} */
  #chosen = [];
  #number = 0;
  #timer = 0;
  #max;
  #grid = element("div", { class: "picker-grid", role: "listbox", "aria-multiselectable": "true", "aria-label": words.input_from_library });
  #search = element("input", { type: "search", placeholder: words.library_search, "aria-label": words.library_search });
  #empty = element("p", { class: "empty", role: "status", hidden: true }, words.library_empty);
  #use = button("", () => this.#dialog.close("use"), { class: "main" });
  #dialog = element("dialog", { class: "picker", "aria-label": words.input_from_library });

  /** @param {number} max @param {(keys: string[]) => void} done */
  constructor(max, done) {
    this.#max = Math.max(0, max);
    const heading = element("h2", {}, words.input_from_library);
    this.#dialog.append(heading, this.#search, this.#empty, this.#grid,
      element("div", { class: "picker-tools" }, button(words.cancel, () => this.#dialog.close()), this.#use));
    const back = document.activeElement;
    this.#dialog.addEventListener("close", () => {
      this.#dialog.remove();
      if (back instanceof HTMLElement && back.isConnected) back.focus();
      done(this.#dialog.returnValue === "use" ? this.#chosen : []);
    });
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => this.#load(), TYPED_MS);
    });
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event));
    openDialog(this.#dialog, heading);
    this.#show();
    this.#load();
  }

  async #load() {
    this.#number += 1;
    const number = this.#number;
    const page = await get("library", { text: this.#search.value.trim(), limit: COUNT }).catch(() => null);
    if (number !== this.#number) return;
    /** @type {import("../library/images.js").Entry[]} */
    const entries = (page?.entries ?? []).filter((/** @type {any} */ entry) => entry.kind === "image" && entry.file_key);
    this.#empty.hidden = entries.length > 0;
    this.#empty.textContent = page ? words.library_empty : words.library_failed;
    this.#grid.replaceChildren(...entries.map((entry, index) => {
      const node = button("", () => this.#toggle(entry.file_key ?? ""), { role: "option", "data-file": entry.file_key, tabindex: index ? -1 : 0 });
      node.append(element("img", { src: url(entry.thumbnail ?? ""), alt: entry.alt ?? "", loading: "lazy" }));
      return node;
    }));
    this.#show();
  }

  /** @param {string} key */
  #toggle(key) {
    if (this.#chosen.includes(key)) this.#chosen = this.#chosen.filter((other) => other !== key);
    else if (this.#max === 1) this.#chosen = [key];
    else if (this.#chosen.length < this.#max) this.#chosen = [...this.#chosen, key];
    this.#show();
  }

  #show() {
    for (const node of this.#grid.children) {
      const at = this.#chosen.indexOf(node.getAttribute("data-file") ?? "");
      node.setAttribute("aria-selected", String(at >= 0));
      node.setAttribute("data-number", at >= 0 ? String(at + 1) : "");
    }
    this.#use.textContent = say("input_use", { count: this.#chosen.length });
    this.#use.disabled = !this.#chosen.length;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const tiles = [...this.#grid.children].filter((node) => node instanceof HTMLElement);
    const at = tiles.findIndex((node) => node === document.activeElement);
    const next = at < 0 ? null : nextCell(event.key, at, tiles.map((node) => node.getBoundingClientRect()));
    if (next === null) return;
    event.preventDefault();
    tiles.forEach((node, index) => { node.tabIndex = index === next ? 0 : -1; });
    tiles[next].focus();
  }
}
