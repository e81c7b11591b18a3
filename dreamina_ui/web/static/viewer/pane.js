/* One image in a box: the smallest copy that is sharp in the box's view, over the smaller ones; or what stands for it. */

import { button, element } from "../core/dom.js";
import { words } from "../core/words.js";
import { COPIES, loadImage, loadOriginal } from "./copies.js";
import { tileOf } from "./tile.js";
import { isFit, placeImage, sharpCopy } from "./zoom.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("./zoom.js").View} View */
/** @typedef {import("./zoom.js").Scene} Scene */

const rankOf = (/** @type {string} */ name) => COPIES.findIndex((copy) => copy.name === name);
const [PREVIEW, SCREEN, ORIGINAL] = ["preview", "screen", "original"].map(rankOf);

export class Pane {
  /** @param {ImageItem} item @param {(part: number | null) => void} onProgress how much of the original is loaded; null: no more */
  constructor(item, onProgress = () => {}) {
    this.item = item;
    this.onProgress = onProgress;
    this.size = { width: item.width || 1, height: item.height || 1 };
    this.isImage = item.kind === "image" && Boolean(item.original);
    this.node = element("div", { class: "pane" });
    this.frame = element("div", { class: "frame" });
    /** @type {HTMLElement | null} */
    this.trouble = null;
    this.shown = -1; // the rank of the copy that is shown
    this.wanted = -1;
    this.waits = false; // whether others are loaded first
    /** @type {Promise<void> | null} */
    this.screen = null;
    this.abort = new AbortController();
    /** @type {() => void} */
    this.settle = () => {};
    /** Resolved when the image is sharp, or nothing more will come. @type {Promise<void>} */
    this.sharp = new Promise((resolve) => { this.settle = resolve; });
    if (!this.isImage) this.settle();
    this.node.append(this.isImage ? this.frame : tileOf(item));
    if (this.isImage && item.thumbnail) this._load(0);
  }

  /** Show the image in a view. Only the pane that somebody looks at loads the original.
   * @param {View} view @param {Scene} scene @param {boolean} [isActive] */
  moveTo(view, scene, isActive = true) {
    if (!this.isImage) return;
    const { left, top, width, height } = placeImage(view, scene);
    Object.assign(this.frame.style, { width: `${width}px`, height: `${height}px`, transform: `translate(${left}px, ${top}px)` });
    this.node.classList.toggle("zoomed", !isFit(view));
    if (this.waits) return;
    const wanted = rankOf(sharpCopy(view, scene, COPIES));
    // An original that is no larger than the copy shows nothing more.
    const isEnough = wanted === ORIGINAL && Math.max(this.size.width, this.size.height) <= COPIES[SCREEN].px;
    const rank = Math.max(isEnough || (wanted === ORIGINAL && !isActive) ? SCREEN : wanted, PREVIEW);
    if (rank < ORIGINAL) {
      this._load(rank);
      return;
    }
    // Side by side, the copy that fills the screen would come as late as the original.
    this.screen ??= this.shown < SCREEN ? this._load(SCREEN) : Promise.resolve();
    this.screen.then(() => this._load(ORIGINAL));
  }

  dispose() {
    this.abort.abort();
    this.settle();
    this.node.remove();
  }

  /** @param {number} rank */
  async _load(rank) {
    if (rank <= this.wanted || this.trouble || this.abort.signal.aborted) return;
    this.wanted = rank;
    const { name } = COPIES[rank];
    const src = this.item[name] ?? this.item.preview ?? this.item.original;
    try {
      const progress = (/** @type {number} */ part) => this.wanted === rank && this.onProgress(part);
      const image = await (rank === ORIGINAL ? loadOriginal(src, this.abort.signal, progress) : loadImage(src, this.abort.signal));
      if (!this.abort.signal.aborted) this._show(image, rank);
    } catch {
      if (!this.abort.signal.aborted && rank > 0 && this.wanted === rank) this._fail(rank);
    } finally {
      if (rank === ORIGINAL) this.onProgress(null);
    }
  }

  /** @param {HTMLImageElement} image @param {number} rank */
  _show(image, rank) {
    if (rank <= this.shown) return;
    this.shown = rank;
    const below = [...this.frame.children];
    image.alt = this.item.alt;
    this.frame.append(image);
    this.node.dataset.copy = COPIES[rank].name;
    if (rank >= PREVIEW) this.settle();
    for (const old of below) if (old instanceof HTMLImageElement) old.alt = "";
    // The smaller copy stays until the larger one is painted.
    requestAnimationFrame(() => requestAnimationFrame(() => below.forEach((old) => old.remove())));
  }

  /** @param {number} rank */
  _fail(rank) {
    const retry = button(words.try_again, () => this._retry(rank));
    this.trouble = element("div", { class: "trouble", role: "alert" }, element("p", {}, words.viewer_failed), retry);
    this.node.append(this.trouble);
    this.wanted = this.shown;
    this.settle();
  }

  /** @param {number} rank */
  _retry(rank) {
    this.trouble?.remove();
    this.trouble = null;
    this._load(rank);
  }
}
