/* What can be done with several chosen images: a bar that stays in sight. */

import { mark, remove } from "../core/actions.js";
import { boards } from "../core/boards.js";
import { button, element, emit, icon, iconAnd } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";

/** @typedef {import("./chosen.js").Chosen} Chosen */

const MAX_COMPARED = 4;

export class Selection {
  /** @param {Chosen} chosen */
  constructor(chosen) {
    this.chosen = chosen;
    this.count = element("span", { role: "status" });
    this.shown = [
      tool("download", words.library_zip, () => this.#download()),
      tool("compare", words.compare, () => this.#compare()),
      tool("star", words.favourite, () => mark(this.#keys, "favourite", true)),
      tool("board", words.board_put, () => emit(this.node, "choose-boards", { files: this.#keys })),
      tool("copy", words.library_sheet, () => this.#sheet(), "wide-only"),
      tool("trash", words.delete, () => this.#delete()),
    ];
    this.onBoard = tool("close", words.board_take_off, () => this.#takeOff());
    this.deleted = [tool("reuse", words.bring_back, () => this.#restore())];
    const close = button("", () => chosen.setActive(false), { class: "end", "aria-label": words.close, title: words.close });
    close.append(icon("close"));
    this.node = element("div", { class: "selection", role: "toolbar", "aria-label": words.library_select, hidden: true },
      close, this.count, ...this.shown, this.onBoard, ...this.deleted);
    chosen.addEventListener("change", () => this.#show());
    this.setPart(false, "");
  }

  #board = "";

  get #keys() {
    return [...this.chosen.items.keys()];
  }

  /** Offer what can be done with deleted images, or with others, which may be those of a board.
   * @param {boolean} isTrash @param {string} board */
  setPart(isTrash, board) {
    this.#board = board;
    this.onBoard.hidden = !board;
    this.shown.forEach((node) => { node.hidden = isTrash; });
    this.deleted.forEach((node) => { node.hidden = !isTrash; });
  }

  #show() {
    const count = this.chosen.items.size;
    this.node.hidden = !this.chosen.isActive;
    this.count.textContent = say("library_selected", { count });
    for (const node of [...this.shown, this.onBoard, ...this.deleted]) node.disabled = !count;
  }

  #download() {
    const action = url("library/zip", { visitor: identity() }).href;
    const form = element("form", { method: "post", action, hidden: true }, element("input", { name: "files", value: this.#keys.join(",") }));
    document.body.append(form);
    form.submit();
    form.remove();
  }

  #compare() {
    const items = [...this.chosen.items.values()];
    const areImages = items.every(({ kind }) => kind === "image");
    if (!areImages || items.length < 2 || items.length > MAX_COMPARED) return tell(words.compare_few);
    emit(this.node, "compare-images", { source: this.chosen.images, items });
  }

  async #sheet() {
    const { saveContactSheet } = await import("./contact-sheet.js");
    saveContactSheet([...this.chosen.items.values()]);
  }

  async #takeOff() {
    if (await boards.put(this.#board, this.#keys, false)) this.chosen.setActive(false);
  }

  async #delete() {
    if (await remove(this.#keys)) this.chosen.setActive(false);
  }

  async #restore() {
    if (!(await mark(this.#keys, "deleted", false))) return;
    this.chosen.setActive(false);
    tell(words.undone);
  }
}

/** @param {string} image @param {string} text @param {() => unknown} act @param {string} [name] its class */
function tool(image, text, act, name) {
  const node = button("", act, { class: name });
  node.append(...iconAnd(image, text));
  return node;
}
