/* The library's images as a grid that is one Tab stop, and the choice of several of them. */

import { emit, element } from "../core/dom.js";
import { nextCell } from "../core/grid-keys.js";
import { onKeys } from "../core/keyboard.js";
import { words } from "../core/words.js";
import { tileOf } from "./tile.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */
/** @typedef {import("./images.js").LibraryImages} LibraryImages */
/** @typedef {{node: HTMLLIElement, face: HTMLButtonElement, item: LibraryItem}} Tile */

const HOLD_MS = 500;
const HOLD_PX = 10;

/** Events: `open` with the id of an image, `choice` when others are chosen than before. */
export class Grid extends EventTarget {
  node = element("ul", { class: "wall", "aria-label": words.tab_library });
  isSelecting = false;
  /** @type {Map<string, LibraryItem>} by file key; what a filter hides stays chosen */
  chosen = new Map();
  /** @type {Map<string, Tile>} by id */
  #tiles = new Map();
  #current = ""; // the id of the cell that Tab leads to
  #anchor = ""; // where a range begins

  /** @param {LibraryImages} images */
  constructor(images) {
    super();
    this.images = images;
    images.addEventListener("change", () => this.#show());
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("focusin", (event) => this.#setCurrent(this.#tileAt(event)?.item.id ?? this.#current));
    this.#listenToFingers();
    onKeys("grid", {
      "move": (event) => this.#move(event.key, false),
      "select-range": (event) => this.#move(event.key, true),
      "open": (event) => (this.isSelecting ? this.#toggle(this.#tileAt(event)) : this.#open(this.#tileAt(event))),
      "select": (event) => this.#toggle(this.#tileAt(event)),
      "select-all": () => this.#chooseAll(),
      "star": (event) => this.#act("star", event),
      "download": (event) => this.#act("download", event),
      "edit": (event) => this.#act("edit", event),
    }, (event) => this.#tileAt(event) !== undefined);
  }

  /** @param {Event} event */
  #tileAt(event) {
    const node = event.target instanceof Element ? event.target.closest("li") : null;
    return [...this.#tiles.values()].find((tile) => tile.node === node);
  }

  #show() {
    const { images } = this;
    const items = Array.from({ length: images.length }, (_, index) => /** @type {LibraryItem} */ (images.at(index)));
    const ids = new Set(items.map(({ id }) => id));
    const hadFocus = this.node.contains(document.activeElement);
    const before = this.#positionOf(this.#current);
    for (const [id, { node }] of this.#tiles) {
      if (ids.has(id)) continue;
      node.remove();
      this.#tiles.delete(id);
    }
    items.forEach((item, index) => this.#putTile(item, index));
    const neighbor = items[Math.min(Math.max(before, 0), items.length - 1)]?.id ?? "";
    this.#setCurrent(ids.has(this.#current) ? this.#current : neighbor); // its tile may be a new one
    if (hadFocus && !this.node.contains(document.activeElement)) this.focus(this.#current);
    this.#showChosen();
  }

  /** @param {LibraryItem} item @param {number} index */
  #putTile(item, index) {
    let tile = this.#tiles.get(item.id);
    if (!tile || tile.item.file_key !== item.file_key || tile.item.state !== item.state) {
      tile?.node.remove();
      tile = { ...tileOf(item), item };
      this.#tiles.set(item.id, tile);
    }
    tile.item = item;
    const star = tile.node.querySelector(".star");
    if (star instanceof HTMLElement) star.hidden = !item.is_favorite;
    if (this.node.children[index] !== tile.node) this.node.insertBefore(tile.node, this.node.children[index] ?? null);
  }

  /** @param {string} id */
  #positionOf(id) {
    const node = this.#tiles.get(id)?.node;
    return node ? [...this.node.children].indexOf(node) : -1;
  }

  /** @param {string} id */
  #setCurrent(id) {
    const old = this.#tiles.get(this.#current);
    if (old) old.face.tabIndex = -1;
    this.#current = id;
    const tile = this.#tiles.get(id);
    if (tile) tile.face.tabIndex = 0;
  }

  /** @param {string} id @returns {boolean} whether it is shown */
  focus(id) {
    const tile = this.#tiles.get(id);
    tile?.face.focus();
    return Boolean(tile);
  }

  /* --- keys and pointers */

  /** @param {string} key @param {boolean} isRange @returns {boolean | void} */
  #move(key, isRange) {
    const nodes = /** @type {HTMLElement[]} */ ([...this.node.children]);
    const boxes = nodes.map(({ offsetLeft: left, offsetTop: top, offsetWidth: width }) => ({ left, top, width }));
    const position = this.#positionOf(this.#current);
    const next = nextCell(key, position, boxes);
    if (next === null) return;
    const target = [...this.#tiles.values()].find(({ node }) => node === nodes[next]);
    if (!target) return;
    if (isRange) {
      if (!this.#anchor) this.#anchor = this.#current;
      this.#chooseRange(this.#anchor, target.item.id);
    } else this.#anchor = "";
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
    emit(this.node, "image-action", { action: action === "star" && item.is_favorite ? "unstar" : action, item });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const tile = this.#tileAt(event);
    if (!tile) return;
    if (event.shiftKey && this.isSelecting) return this.#chooseRange(this.#anchor || this.#current, tile.item.id);
    if (this.isSelecting || event.ctrlKey || event.metaKey) return this.#toggle(tile);
    this.#open(tile);
  }

  // A finger that stays begins to choose.
  #listenToFingers() {
    let timer = 0;
    let start = { x: 0, y: 0 };
    let isHeld = false;
    const stop = () => clearTimeout(timer);
    this.node.addEventListener("pointerdown", (event) => {
      isHeld = false;
      const tile = this.#tileAt(event);
      if (event.pointerType === "mouse" || !tile) return;
      start = { x: event.clientX, y: event.clientY };
      timer = window.setTimeout(() => { isHeld = true; this.#toggle(tile); }, HOLD_MS);
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

  /* --- the choice */

  /** @param {boolean} isSelecting */
  setSelecting(isSelecting) {
    this.isSelecting = isSelecting;
    this.#anchor = "";
    if (!isSelecting) this.chosen.clear();
    this.#showChosen();
    emit(this, "choice");
  }

  /** @param {Tile | undefined} tile */
  #toggle(tile) {
    if (!tile?.item.file_key) return;
    const key = tile.item.file_key;
    if (!this.chosen.delete(key)) this.chosen.set(key, tile.item);
    this.#chose(tile.item.id);
  }

  /** @param {string} from @param {string} to */
  #chooseRange(from, to) {
    const [first, last] = [this.#positionOf(from), this.#positionOf(to)].sort((a, b) => a - b);
    for (let index = Math.max(0, first); index <= last; index += 1) {
      const item = this.images.at(index);
      if (item?.file_key) this.chosen.set(item.file_key, item);
    }
    this.#chose(from);
  }

  #chooseAll() {
    for (const { item } of this.#tiles.values()) if (item.file_key) this.chosen.set(item.file_key, item);
    this.#chose(this.#current);
  }

  /** @param {string} anchor */
  #chose(anchor) {
    this.isSelecting = true;
    this.#anchor = anchor;
    this.#showChosen();
    emit(this, "choice");
  }

  #showChosen() {
    this.node.classList.toggle("selecting", this.isSelecting);
    for (const { item, face } of this.#tiles.values()) {
      if (this.isSelecting && item.file_key) face.setAttribute("aria-pressed", String(this.chosen.has(item.file_key)));
      else face.removeAttribute("aria-pressed");
    }
  }
}
