/* Which boards have some images: a dialog. */

import { boards } from "../core/boards.js";
import { showDialog, useStyle } from "../core/dialogs.js";
import { button, element } from "../core/dom.js";
import { post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { number, say, words } from "../core/words.js";

/** @typedef {import("../core/boards.js").Board} Board */

await useStyle(new URL("./boards.css", import.meta.url));

/** @param {string[]} files */
export async function chooseBoards(files) {
  const [{ answer: known }] = await Promise.all([post("boards/of-files", { files }), boards.load()]);
  /** @type {Record<string, string[]>} */
  const byFile = known?.files ?? {};
  const list = element("ul");
  const add = (/** @type {Board} */ board) => list.append(element("li", {}, boxOf(board, files, byFile)));
  boards.list.forEach(add);
  const name = element("input", { type: "text", maxlength: 60, placeholder: words.board_new, "aria-label": words.board_name, enterkeyhint: "done" });
  /** @type {HTMLFormElement} */
  const form = element("form", { class: "row" }, name, button(words.board_new, () => form.requestSubmit(), { class: "main" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!name.value.trim()) return name.focus();
    const board = await boards.create(name.value, files);
    if (!board) return;
    tell(say("board_added", { name: board.name }));
    dialog.close();
  });
  const dialog = showDialog(words.board_put, "choose-board", list, form);
  const [first] = list.querySelectorAll("input");
  (first ?? name).focus();
}

/** @param {Board} board @param {string[]} files @param {Record<string, string[]>} byFile */
function boxOf(board, files, byFile) {
  const count = files.filter((file) => byFile[file]?.includes(board.board_id)).length;
  const box = element("input", { type: "checkbox", checked: count === files.length });
  box.indeterminate = count > 0 && count < files.length;
  const shown = element("small", {}, number(board.count));
  box.addEventListener("change", async () => {
    const on = box.checked;
    if (!(await boards.put(board.board_id, files, on))) {
      box.checked = !on;
      return;
    }
    shown.textContent = number(boards.find(board.board_id)?.count ?? 0);
    tell(say(on ? "board_added" : "board_removed", { name: board.name }));
  });
  return element("label", {}, box, element("span", { dir: "auto" }, board.name), shown);
}
