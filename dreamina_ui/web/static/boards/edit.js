/* The name of a board, and its end: dialogs. */

import { boards } from "../core/boards.js";
import { showDialog, useStyle } from "../core/dialogs.js";
import { button, element } from "../core/dom.js";
import { say, words } from "../core/words.js";

/** @typedef {import("../core/boards.js").Board} Board */

await useStyle(new URL("./boards.css", import.meta.url));

/** @param {Board | null} board null for a new one */
export function nameBoard(board) {
  const title = board ? words.board_rename : words.board_new;
  const name = element("input", { type: "text", maxlength: 60, "aria-label": words.board_name, value: board?.name ?? "", enterkeyhint: "done" });
  /** @type {HTMLFormElement} */
  const form = element("form", { class: "row" }, name, button(title, () => form.requestSubmit(), { class: "main" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!name.value.trim()) return name.focus();
    const isDone = board ? await boards.rename(board.board_id, name.value) : await boards.create(name.value);
    if (isDone) dialog.close();
  });
  const dialog = showDialog(title, "name-board", form);
  name.focus();
  name.select();
}

/** @param {Board} board */
export function deleteBoard(board) {
  const remove = async () => {
    if (await boards.remove(board.board_id)) dialog.close();
  };
  const dialog = showDialog(words.board_delete, "delete-board",
    element("p", {}, say("board_delete_about", { name: board.name })),
    element("div", { class: "row" }, button(words.board_delete, remove, { class: "danger" }), button(words.cancel, () => dialog.close())));
}
