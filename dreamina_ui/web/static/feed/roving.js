/* One Tab stop for all images of a part of the page: arrow keys walk between them. */

import { neighborOf } from "./neighbor.js";
import { itemOf } from "./tile.js";

const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
const ACTIONS = new Map([["s", ".star"], ["d", ".save"], ["e", ".use-as-input"]]);
const TILES = ".tile > .open";

export class Roving {
  #root;
  #id = ""; // of the image that Tab reaches

  /** @param {HTMLElement} root contains the tiles */
  constructor(root) {
    this.#root = root;
    root.addEventListener("keydown", (event) => this.#onKey(event));
    root.addEventListener("focusin", (event) => this.#onFocus(event));
  }

  /** Tiles came or went. */
  refresh() {
    const tiles = this.#tiles();
    const current = tiles.find((tile) => idOf(tile) === this.#id) ?? tiles[0];
    for (const tile of tiles) tile.tabIndex = tile === current ? 0 : -1;
  }

  /** The image that Tab reaches. */
  current() {
    const tiles = this.#tiles();
    const tile = tiles.find((each) => idOf(each) === this.#id) ?? tiles[0];
    return tile?.parentElement ? itemOf(tile.parentElement) : undefined;
  }

  #tiles() {
    return [...this.#root.querySelectorAll(TILES)].filter((node) => node instanceof HTMLElement);
  }

  /** @param {FocusEvent} event */
  #onFocus(event) {
    if (!(event.target instanceof HTMLElement) || !event.target.matches(TILES)) return;
    this.#id = idOf(event.target);
    this.refresh();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!(event.target instanceof HTMLElement) || !event.target.matches(TILES)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.target.matches("video")) return;
    const action = ACTIONS.get(event.key);
    if (action) {
      const node = event.target.parentElement?.querySelector(action);
      if (node instanceof HTMLElement) node.click();
      event.preventDefault();
    }
    if (!KEYS.includes(event.key)) return;
    const tiles = this.#tiles();
    const isRightToLeft = getComputedStyle(this.#root).direction === "rtl";
    const boxes = tiles.map((tile) => tile.getBoundingClientRect());
    tiles[neighborOf(boxes, tiles.indexOf(event.target), event.key, isRightToLeft)]?.focus();
    event.preventDefault();
  }
}

/** @param {HTMLElement} tile */
function idOf(tile) {
  return tile.parentElement ? itemOf(tile.parentElement)?.id ?? "" : "";
}
