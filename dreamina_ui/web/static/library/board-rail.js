/* The boards in the library's rail: places to go, and to drop images on. */

import { boards } from "../core/boards.js";
import { button, element, emit, icon } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { tell } from "../core/toast.js";
import { number, say, words } from "../core/words.js";
import { menuButton } from "../feed/menu.js";
import { acceptFiles } from "./dragging.js";

/** @typedef {import("../core/boards.js").Board} Board */

/** Event: `change`, when somebody chose another board. */
export class BoardRail extends EventTarget {
  #list = element("div", { class: "boards" });
  #add = button("", () => edit(null), { class: "add" });
  node = element("div", { class: "board-part", role: "group", "aria-label": words.boards }, this.#list, this.#add);
  #chosen = "";

  constructor() {
    super();
    this.#add.append(icon("plus"), element("span", {}, words.board_new));
    acceptFiles(this.#add, async (files) => {
      const board = await boards.create(freeName(), files);
      if (board) tell(say("board_added", { name: board.name }));
    });
    boards.addEventListener("change", () => this.#show());
  }

  get chosen() {
    return this.#chosen;
  }

  set chosen(boardId) {
    this.#chosen = boardId;
    this.#show();
  }

  #show() {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement?.closest("[data-board]")?.getAttribute("data-board") : null;
    this.#list.replaceChildren(...boards.list.map((board) => this.#row(board)));
    const again = focused && this.#list.querySelector(`[data-board="${focused}"] button`);
    if (again instanceof HTMLElement) again.focus();
    if (boards.isLoaded && this.#chosen && !boards.find(this.#chosen)) this.#choose(""); // it is gone
  }

  /** @param {Board} board */
  #row(board) {
    const face = button("", () => this.#choose(board.board_id), { "aria-current": String(board.board_id === this.#chosen) });
    face.append(element("span", { class: "name", dir: "auto" }, board.name), ...(board.is_shared ? [icon("link")] : []), element("small", {}, number(board.count)));
    acceptFiles(face, async (files) => {
      if (await boards.put(board.board_id, files, true)) tell(say("board_added", { name: board.name }));
    });
    const menu = menuButton(say("board_menu", { name: board.name }), () => menuOf(board));
    return element("div", { class: "board", "data-board": board.board_id }, face, menu);
  }

  /** @param {string} boardId */
  #choose(boardId) {
    this.chosen = boardId;
    emit(this, "change");
  }
}

/** @param {Board} board */
function menuOf(board) {
  const index = boards.list.indexOf(board);
  const items = [
    { text: words.board_rename, act: () => edit(board) },
    { text: words.share, act: () => emit(document.body, "share-board", { board }) },
    { text: words.library_zip, act: () => { location.href = url("library/zip", { board: board.board_id, visitor: identity() }).href; } },
    ...(index > 0 ? [{ text: words.board_up, act: () => boards.move(board.board_id, -1) }] : []),
    ...(index < boards.list.length - 1 ? [{ text: words.board_down, act: () => boards.move(board.board_id, 1) }] : []),
    { text: words.board_delete, act: () => remove(board), isGrave: true },
  ];
  return board.count ? items : items.filter(({ text }) => text !== words.library_zip);
}

/** A name that no board has. */
function freeName() {
  const names = new Set(boards.list.map(({ name }) => name));
  let name = words.board_new;
  for (let count = 2; names.has(name); count += 1) name = `${words.board_new} ${count}`;
  return name;
}

/** @param {Board | null} board */
async function edit(board) {
  const { nameBoard } = await import("../boards/edit.js");
  nameBoard(board);
}

/** @param {Board} board */
async function remove(board) {
  const { deleteBoard } = await import("../boards/edit.js");
  deleteBoard(board);
}
