/* The parts of the library: one is shown at a time. */

import { button, element, emit } from "../core/dom.js";
import { words } from "../core/words.js";

/** @typedef {"" | "favorites" | "batches" | "archived" | "trash"} View */

/** @type {[View, string][]} */
const VIEWS = [
  ["", words.library_all], ["favorites", words.library_favourites], ["batches", words.library_batches],
  ["archived", words.library_put_aside], ["trash", words.library_trash],
];

/** Event: `change`, when somebody chose another part. */
export class Rail extends EventTarget {
  #buttons = new Map(VIEWS.map(([view, text]) => [view, button(text, () => this.#choose(view))]));
  node = element("nav", { class: "rail", "aria-label": words.tab_library }, ...this.#buttons.values());
  /** @type {View} */
  #view = "";

  constructor() {
    super();
    this.view = "";
  }

  get view() {
    return this.#view;
  }

  /** @param {string} view */
  set view(view) {
    this.#view = VIEWS.find(([known]) => known === view)?.[0] ?? "";
    for (const [known, node] of this.#buttons) node.setAttribute("aria-current", String(known === this.#view));
  }

  /** @param {View} view */
  #choose(view) {
    this.view = view;
    emit(this, "change");
  }
}
