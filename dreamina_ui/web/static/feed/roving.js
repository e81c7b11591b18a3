/* One Tab stop for all images of a part of the page: arrow keys walk between them. */

import { nextCell } from "../core/grid-keys.js";
import { onKeys } from "../core/keyboard.js";
import { itemOf } from "./tile.js";

const TILES = ".tile > .open";

export class Roving {
  #root;
  #id = ""; // of the image that Tab reaches

  /** @param {HTMLElement} root contains the tiles */
  constructor(root) {
    this.#root = root;
    root.addEventListener("focusin", (event) => this.#onFocus(event));
    onKeys("grid", {
      "move": (event) => this.#move(event),
      "open": (event) => this.#click(event, ".open"),
      "star": (event) => this.#click(event, ".star"),
      "download": (event) => this.#click(event, ".save"),
      "edit": (event) => this.#click(event, ".use-as-input"),
    }, (event) => root.contains(event.target instanceof HTMLElement && event.target.matches(TILES) ? event.target : null));
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
    const tile = tiles.find((candidate) => idOf(candidate) === this.#id) ?? tiles[0];
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
  #move(event) {
    if (event.target instanceof HTMLVideoElement) return false; // its own keys
    const tiles = this.#tiles();
    const boxes = tiles.map((tile) => tile.getBoundingClientRect());
    const next = nextCell(event.key, tiles.findIndex((tile) => tile === event.target), boxes);
    if (next !== null) tiles[next].focus();
    return true;
  }

  /**
   * @param {KeyboardEvent} event
   * @param {string} selector of a part of the tile
   */
  #click(event, selector) {
    const node = event.target instanceof HTMLElement && event.target.parentElement?.querySelector(selector);
    if (!(node instanceof HTMLElement) || node.matches("video")) return false;
    node.click();
    return true;
  }
}

/** @param {HTMLElement} tile */
function idOf(tile) {
  return tile.parentElement ? itemOf(tile.parentElement)?.id ?? "" : "";
}
