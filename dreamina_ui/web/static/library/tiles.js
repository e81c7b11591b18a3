/* The library's images in the page: what is far out of sight has no elements, so that thousands cost nothing. */

import { element, emit, putInOrder } from "../core/dom.js";
import { language } from "../core/facts.js";
import { dayLabel, dayOf } from "../feed/order.js";
import { boxesOf, layOut } from "./layout.js";
import { positionTile, tileOf } from "./tile.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */
/** @typedef {import("./layout.js").Box} Box */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {{node: HTMLUListElement, start: number, boxes: Box[], height: number, isFilled: boolean}} Block */
/** @typedef {{node: HTMLElement, heading: HTMLElement, blocks: Block[]}} Section */

const GAP_PX = 6;
const NEAR = 1; // windows above and below
const FRAME_MS = 16;

/** Event: `filled` when there are other tiles than before. */
export class Tiles extends EventTarget {
  node = element("div", { class: "wall" });
  rowHeight = 190;
  /** @type {Map<string, Tile>} by id, those that have elements */
  tiles = new Map();
  /** @type {Box[]} of all images, in common coordinates */
  boxes = [];
  /** @type {LibraryItem[]} */
  #items = [];
  #total = 0; // how many there are, also those that are not loaded
  /** @type {Map<string, Section>} by day */
  #sections = new Map();
  /** @type {WeakMap<Element, Block>} */
  #byNode = new WeakMap();
  /** @type {Set<Block>} */
  #waiting = new Set();
  #timer = 0;
  #width = 0;
  #shape = ""; // the width and height for which everything is laid out
  #near = new IntersectionObserver((entries) => this.#follow(entries), { rootMargin: `${NEAR * 100}% 0px` });

  /** @param {(tile: Tile) => void} onTile is called with each new tile */
  constructor(onTile) {
    super();
    this.onTile = onTile;
    new ResizeObserver(([{ contentRect }]) => {
      const width = Math.round(contentRect.width);
      if (!width || width === this.#width) return;
      this.#width = width;
      this.show(this.#items, this.#total);
    }).observe(this.node);
  }

  /** @param {LibraryItem[]} items in order @param {number} total how many there are, also those that are not loaded */
  show(items, total) {
    const old = this.#items;
    this.#items = items;
    this.setTotal(total);
    this.#width ||= this.node.clientWidth;
    if (!this.#width) return; // another tab is shown; the size that the node gets calls again
    const shape = `${this.#width} ${this.rowHeight}`;
    const isSameShape = shape === this.#shape && old.length > 0;
    this.#shape = shape;
    if (isSameShape && items === old) return;
    const hasMoreOnly = isSameShape && old.length <= items.length && old.every((item, index) => item === items[index]);
    this.#layOut(hasMoreOnly);
    if (!hasMoreOnly) this.#fillNear();
  }

  /** @param {number} total how many images there are, also those that are not loaded */
  setTotal(total) {
    const known = Math.max(total, this.#items.length);
    if (known === this.#total) return;
    this.#total = known;
    for (const { node } of this.tiles.values()) node.setAttribute("aria-setsize", String(known));
  }

  /** @param {boolean} hasMoreOnly whether the images before are the same */
  #layOut(hasMoreOnly) {
    const images = this.#items.map((item) => ({ ratio: item.width && item.height ? item.width / item.height : 1, at: item.created_at }));
    const days = layOut(images, { width: this.#width, rowHeight: this.rowHeight, gap: GAP_PX }, dayOf);
    this.boxes = boxesOf(days);
    const now = Date.now() / 1000;
    const before = this.#sections;
    this.#sections = new Map(days.map(({ day }) => [day, before.get(day) ?? createSection()]));
    for (const [day, section] of before) if (!this.#sections.has(day)) section.blocks.forEach((block) => this.#drop(block));
    for (const { day, at, blocks } of days) {
      const section = /** @type {Section} */ (this.#sections.get(day));
      showDay(section, at, now);
      this.#showBlocks(section, blocks, hasMoreOnly);
    }
    putInOrder(this.node, [...this.#sections.values()].map(({ node }) => node));
  }

  /** @param {Section} section @param {import("./layout.js").Block[]} blocks @param {boolean} hasMoreOnly */
  #showBlocks(section, blocks, hasMoreOnly) {
    section.blocks.splice(blocks.length).forEach((block) => this.#drop(block));
    blocks.forEach(({ start, boxes, height }, index) => {
      const block = section.blocks[index] ?? this.#createBlock(section);
      const isSame = hasMoreOnly && block.start === start && block.height === height && block.boxes.length === boxes.length;
      if (isSame) return;
      if (block.height !== height) block.node.style.height = `${height}px`;
      Object.assign(block, { start, boxes, height });
      if (block.isFilled) this.#fill(block);
    });
  }

  /** @param {Section} section */
  #createBlock(section) {
    const block = { node: element("ul", { class: "block" }), start: 0, boxes: [], height: 0, isFilled: false };
    section.blocks.push(block);
    section.node.append(block.node);
    this.#byNode.set(block.node, block);
    this.#near.observe(block.node);
    return block;
  }

  /** @param {Block} block */
  #drop(block) {
    this.#near.unobserve(block.node);
    this.#waiting.delete(block);
    block.node.remove();
    for (const [id, { node }] of this.tiles) if (node.parentElement === block.node) this.tiles.delete(id);
  }

  /* --- what is in sight */

  #fillNear() {
    const range = window.innerHeight * NEAR;
    for (const { blocks } of this.#sections.values()) {
      for (const block of blocks) {
        const { top, bottom } = block.node.getBoundingClientRect();
        if (!block.isFilled && bottom > -range && top < window.innerHeight + range) this.#fill(block);
      }
    }
    // A tile may have moved to a block that is not filled.
    for (const [id, { node }] of this.tiles) if (!node.parentElement) this.tiles.delete(id);
    emit(this, "filled");
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #follow(entries) {
    for (const { target, isIntersecting } of entries) {
      const block = this.#byNode.get(target);
      if (!block) continue;
      if (isIntersecting && !block.isFilled) this.#waiting.add(block);
      else if (!isIntersecting) this.#empty(block);
    }
    if (this.#waiting.size) this.#fillSoon();
  }

  #fillSoon() {
    this.#timer ||= window.setTimeout(() => this.#fillNext(), FRAME_MS);
  }

  // One in each frame, so that none waits for all of them; what is in the middle of the window first.
  #fillNext() {
    this.#timer = 0;
    const middle = window.innerHeight / 2;
    const distance = (/** @type {Block} */ { node }) => {
      const { top, bottom } = node.getBoundingClientRect();
      return Math.max(top - middle, middle - bottom);
    };
    const [next] = [...this.#waiting].map((block) => ({ block, far: distance(block) })).sort((a, b) => a.far - b.far);
    if (!next) return;
    this.#waiting.delete(next.block);
    this.#fill(next.block);
    emit(this, "filled");
    if (this.#waiting.size) this.#fillSoon();
  }

  /** @param {Block} block */
  #empty(block) {
    this.#waiting.delete(block);
    if (!block.isFilled || !this.#width || block.node.contains(document.activeElement)) return;
    block.isFilled = false;
    for (const { item } of this.#tilesIn(block)) this.tiles.delete(item.id);
    block.node.replaceChildren();
  }

  /** @param {Block} block */
  #tilesIn(block) {
    return [...this.tiles.values()].filter(({ node }) => node.parentElement === block.node);
  }

  /** @param {Block} block */
  #fill(block) {
    block.isFilled = true;
    const nodes = block.boxes.map((box, offset) => this.#tileOf(block.start + offset, box).node);
    if (block.node.firstChild) putInOrder(block.node, nodes);
    else block.node.append(...nodes);
  }

  /** @param {number} index @param {Box} box @returns {Tile} */
  #tileOf(index, box) {
    const item = this.#items[index];
    let tile = this.tiles.get(item.id);
    if (!tile || tile.item.file_key !== item.file_key || tile.item.state !== item.state) {
      tile?.node.remove();
      tile = tileOf(item, this.#total);
      this.tiles.set(item.id, tile);
      this.onTile(tile);
    }
    tile.item = item;
    positionTile(tile, index, box);
    return tile;
  }

  /** The tile of an image, which gets its elements now if it is far out of sight.
   * @param {number} index @returns {Tile | undefined} */
  tileAt(index) {
    for (const { blocks } of this.#sections.values()) {
      const block = blocks.find(({ start, boxes }) => index >= start && index < start + boxes.length);
      if (block && !block.isFilled) this.#fill(block);
      if (block) return this.tiles.get(this.#items[index]?.id);
    }
    return undefined;
  }
}

/**
 * Write a day as of today; only when it changes, as dates in words take longer than all else in a layout.
 * @param {Section} section
 * @param {number} at
 * @param {number} now
 */
function showDay({ heading }, at, now) {
  const today = dayOf(now);
  if (heading.dataset.today === today) return;
  heading.dataset.today = today;
  heading.textContent = dayLabel(at, now, language);
}

/** @returns {Section} */
function createSection() {
  const heading = element("h2", { class: "day" });
  return { node: element("section", {}, heading), heading, blocks: [] };
}
