/* Keys, clicks and fingers on the library's images, which are one Tab stop. */

import { emit } from "../core/dom.js";
import { nextCell } from "../core/grid-keys.js";
import { onKeys } from "../core/keyboard.js";
import { ratingOf } from "../core/keys.js";
import { press } from "../core/press.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";
import { Chosen } from "./chosen.js";
import { startDragging } from "./dragging.js";
import { Tiles } from "./tiles.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */
/** @typedef {import("./images.js").LibraryImages} LibraryImages */
/** @typedef {import("./tiles.js").Tile} Tile */

const HOLD_MS = 500;
const HOLD_PX = 10;

/** Event: `open` with the id of an image. */
export class Grid extends EventTarget {
  wall = new Tiles((tile) => this.#dress(tile));
  node = this.wall.node;
  #current = ""; // the id of the image that Tab leads to
  /** @type {Tile | undefined} */
  #stop; // where Tab leads to
  #pressedFrom = ""; // what it was before the mouse button went down

  /** @param {LibraryImages} images */
  constructor(images) {
    super();
    this.images = images;
    this.chosen = new Chosen(images);
    images.addEventListener("change", press.after(() => this.#show()));
    images.addEventListener("count", () => this.wall.setTotal(images.count));
    this.wall.addEventListener("filled", () => this.#showTabStop());
    this.chosen.addEventListener("change", () => this.#showState());
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("focusin", (event) => this.#setCurrent(this.#tileAt(event)?.item.id ?? this.#current));
    this.#listenToFingers();
    startDragging(this.node, (event) => this.#tileAt(event)?.item, this.chosen);
    onKeys("grid", {
      "move": (event) => this.#move(event.key, false),
      "select-range": (event) => this.#move(event.key, true),
      "open": (event) => (this.chosen.isActive ? this.chosen.toggle(this.#tileAt(event)?.item) : this.#open(this.#tileAt(event))),
      "select": (event) => this.chosen.toggle(this.#tileAt(event)?.item),
      "star": (event) => this.#act("star", event),
      "download": (event) => this.#act("download", event),
      "edit": (event) => this.#act("edit", event),
      "rate": (event) => this.#act(`rate-${ratingOf(event)}`, event),
      "board": (event) => this.#act("board", event),
    }, (event) => this.#tileAt(event) !== undefined);
    onKeys("grid", {
      "select-all": () => { this.chosen.addAll().catch(() => tell(words.library_failed)); },
    }, () => this.node.checkVisibility() && !document.querySelector("dialog[open]"));
  }

  /** @param {Event} event */
  #tileAt(event) {
    const node = event.target instanceof Element ? event.target.closest("li") : null;
    return node ? [...this.wall.tiles.values()].find((tile) => tile.node === node) : undefined;
  }

  /** How high a row is. @param {number} pixels */
  setRowHeight(pixels) {
    this.wall.rowHeight = pixels;
    this.wall.show(this.images.items, this.images.count);
  }

  #position = 0; // of the current image; kept for when it is gone

  #show() {
    const { items } = this.images;
    const hadFocus = this.node.contains(document.activeElement);
    this.wall.show(items, this.images.count);
    const position = this.images.indexOf(this.#current);
    if (position >= 0) this.#position = position;
    else this.#setCurrent(items[Math.min(this.#position, items.length - 1)]?.id ?? "");
    if (hadFocus && !this.node.contains(document.activeElement)) this.focus(this.#current);
  }

  /** @param {string} id */
  #setCurrent(id) {
    this.#current = id;
    this.#position = Math.max(0, this.images.indexOf(id));
    this.#showTabStop();
  }

  // Tab leads to the current image, or, while that is far out of sight, to the first one that is there.
  #showTabStop() {
    const { tiles } = this.wall;
    const stop = tiles.get(this.#current) ?? tiles.values().next().value;
    if (stop === this.#stop) return;
    if (this.#stop) this.#stop.face.tabIndex = -1;
    if (stop) stop.face.tabIndex = 0;
    this.#stop = stop;
  }

  #showState() {
    this.node.classList.toggle("selecting", this.chosen.isActive);
    for (const tile of this.wall.tiles.values()) this.#dress(tile);
  }

  /** @param {Tile} tile */
  #dress({ item, face }) {
    const { isActive, items } = this.chosen;
    if (isActive && item.file_key) face.setAttribute("aria-pressed", String(items.has(item.file_key)));
    else face.removeAttribute("aria-pressed");
  }

  /** @param {string} id @returns {boolean} whether it is shown */
  focus(id) {
    const tile = this.wall.tileAt(this.images.indexOf(id));
    tile?.face.focus();
    return Boolean(tile);
  }

  /* --- keys and pointers */

  /** @param {string} key @param {boolean} isRange @returns {boolean | void} */
  #move(key, isRange) {
    const next = nextCell(key, this.images.indexOf(this.#current), this.wall.boxes);
    const target = next === null ? undefined : this.wall.tileAt(next);
    if (!target) return;
    if (isRange) this.chosen.addRange(this.chosen.anchor || this.#current, target.item.id);
    else this.chosen.anchor = "";
    target.face.focus();
    target.node.scrollIntoView({ block: "nearest" });
  }

  /** @param {Tile | undefined} tile */
  #open(tile) {
    if (tile) emit(this, "open", tile.item.id);
  }

  /** @param {string} action @param {Event} event */
  #act(action, event) {
    const item = this.#tileAt(event)?.item;
    if (!item?.file_key || (action === "edit" && item.kind !== "image")) return;
    // What is chosen goes along with the image that has the focus.
    const { items } = this.chosen;
    if (action === "board" && items.has(item.file_key)) emit(this.node, "choose-boards", { files: [...items.keys()] });
    else emit(this.node, "image-action", { action: action === "star" && item.is_favorite ? "unstar" : action, item });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const tile = this.#tileAt(event);
    if (!tile) return;
    if (event.shiftKey) this.chosen.addRange(this.chosen.anchor || this.#pressedFrom || tile.item.id, tile.item.id);
    else if (this.chosen.isActive || event.ctrlKey || event.metaKey) this.chosen.toggle(tile.item);
    else this.#open(tile);
  }

  // A finger that stays begins to choose.
  #listenToFingers() {
    let timer = 0;
    let start = { x: 0, y: 0 };
    let isHeld = false;
    const stop = () => clearTimeout(timer);
    this.node.addEventListener("pointerdown", (event) => {
      isHeld = false;
      this.#pressedFrom = this.#current;
      const tile = this.#tileAt(event);
      if (event.pointerType === "mouse" || !tile) return;
      start = { x: event.clientX, y: event.clientY };
      timer = window.setTimeout(() => { isHeld = true; this.chosen.toggle(tile.item); }, HOLD_MS);
    });
    this.node.addEventListener("pointermove", (event) => {
      if (Math.hypot(event.clientX - start.x, event.clientY - start.y) > HOLD_PX) stop();
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.node.addEventListener(name, stop);
    this.node.addEventListener("contextmenu", (event) => { if (isHeld) event.preventDefault(); });
    this.node.addEventListener("click", (event) => {
      if (isHeld) event.stopImmediatePropagation();
      isHeld = false;
    }, true);
  }
}
