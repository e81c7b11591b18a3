/* The visitor's boards: named sets of images. */

import { get, post } from "./http.js";
import { tell } from "./toast.js";

/** @typedef {{board_id: string, name: string, count: number, is_shared: boolean}} Board */

/** Event: `change`, when there are other boards than before, or other images on them. */
class BoardStore extends EventTarget {
  /** In the visitor's order. @type {Board[]} */
  list = [];
  isLoaded = false;

  /** @param {string} boardId */
  find(boardId) {
    return this.list.find(({ board_id: id }) => id === boardId);
  }

  async load() {
    const content = await get("boards").catch(() => null);
    if (content) this.#take(content);
  }

  /** @param {string} name @param {string[]} [files] @returns {Promise<Board | undefined>} undefined if it was refused, which a note says */
  async create(name, files = []) {
    const content = await this.#post("boards", { name, files });
    return content && this.find(content.board_id);
  }

  /** Put files on a board, or take them off. @param {string} boardId @param {string[]} files @param {boolean} on */
  put(boardId, files, on) {
    return this.#post(`boards/${boardId}`, { files, on });
  }

  /** @param {string} boardId @param {string} name */
  rename(boardId, name) {
    return this.#post(`boards/${boardId}`, { name });
  }

  /** @param {string} boardId */
  remove(boardId) {
    return this.#post(`boards/${boardId}/delete`, {});
  }

  /** Move a board up or down. @param {string} boardId @param {1 | -1} step */
  move(boardId, step) {
    const ids = this.list.map(({ board_id: id }) => id);
    const from = ids.indexOf(boardId);
    const to = from + step;
    if (from < 0 || to < 0 || to >= ids.length) return;
    ids.splice(to, 0, ...ids.splice(from, 1));
    return this.#post("boards/order", { boards: ids });
  }

  /** @param {string} path @param {object} body */
  async #post(path, body) {
    const { answer: content, refusal } = await post(path, body);
    if (content) this.#take(content);
    else tell(refusal ?? "");
    return content;
  }

  /** @param {{boards: Board[]}} content */
  #take(content) {
    this.isLoaded = true;
    this.list = content.boards;
    this.dispatchEvent(new Event("change"));
  }
}

export const boards = new BoardStore();
