/* The parts of the library: one is shown at a time. */

import { boards } from "../core/boards.js";
import { button, element, emit } from "../core/dom.js";
import { words } from "../core/words.js";
import { BoardRail } from "./board-rail.js";

/** @typedef {"" | "favorites" | "batches" | "shared" | "archived" | "trash"} View */

/** @type {[View, string][]} */
const VIEWS = [
  ["", words.library_all], ["favorites", words.library_favourites], ["batches", words.library_batches],
  ["shared", words.library_shared], ["archived", words.library_put_aside], ["trash", words.library_trash],
];

/** Event: `change`, when somebody chose another part. */
export class Rail extends EventTarget {
  #buttons = new Map(VIEWS.map(([view, text]) => [view, button(text, () => this.#go(view))]));
  node = element("nav", { class: "rail", "aria-label": words.tab_library }, ...this.#buttons.values());
  boards = new BoardRail();
  /** @type {View} */
  #view = "";

  constructor() {
    super();
    this.view = "";
    this.node.append(this.boards.node);
    this.boards.addEventListener("change", () => this.#choose(""));
  }

  /** The board that is shown, or "". */
  get board() {
    return this.boards.chosen;
  }

  set board(boardId) {
    this.boards.chosen = boardId;
    if (boardId && !boards.isLoaded) boards.load();
    this.#mark();
  }

  get view() {
    return this.#view;
  }

  /** @param {string} view */
  set view(view) {
    this.#view = VIEWS.find(([known]) => known === view)?.[0] ?? "";
    this.#mark();
  }

  #mark() {
    const current = this.boards.chosen ? null : this.#view;
    for (const [known, node] of this.#buttons) node.setAttribute("aria-current", String(known === current));
  }

  /** @param {View} view */
  #go(view) {
    this.boards.chosen = "";
    this.#choose(view);
  }

  /** @param {View} view */
  #choose(view) {
    this.view = view;
    emit(this, "change");
  }
}
