/* The image that is looked at, with its neighbors on both sides: a finger slides from one to the next. */

import { button, element, icon } from "../core/dom.js";
import { words } from "../core/words.js";
import { Pane } from "./pane.js";
import { ZoomArea } from "./zoom-area.js";
import { FIT } from "./zoom.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").ImageSource} ImageSource */

const GAP_PX = 24;
const SLIDE_MS = 180;

/** @param {ImageItem} a @param {ImageItem} b */
function sharesView(a, b) {
  return a.job_id === b.job_id || (a.width === b.width && a.height === b.height);
}

/** @param {string} name @param {string} text @param {() => unknown} onClick */
function stepButton(name, text, onClick) {
  const node = button("", onClick, { class: `step ${name}`, "aria-label": text, title: text });
  node.append(icon(name));
  return node;
}

export class Track {
  /** @param {{onView: () => void, onTap: () => void, onStep: (direction: -1 | 1) => boolean, onPulled: () => void}} events */
  constructor(events) {
    this.events = events;
    this.track = element("div", { class: "track" });
    this.progress = element("progress", { max: "1", value: "0", hidden: true, "aria-label": words.viewer_loading });
    this.previous = stepButton("previous", words.previous, () => events.onStep(-1));
    this.next = stepButton("next", words.next, () => events.onStep(1));
    this.node = element("div", { class: "stage" }, this.track, this.progress, this.previous, this.next);
    /** @type {Map<string, Pane>} */
    this.panes = new Map();
    /** @type {ImageItem | null} */
    this.item = null;
    this.area = new ZoomArea(this.node, {
      onView: events.onView,
      onTap: events.onTap,
      onSlide: (dx) => this._shift(dx),
      onSlideEnd: (direction) => this._slide(direction),
      onPull: (dy) => this._pull(dy),
      onPullEnd: (isFar) => (isFar ? events.onPulled() : this._pull(0, true)),
    });
  }

  /** Show an image of a source; the zoom stays between images of one job or of one size.
   * @param {ImageSource} source @param {number} index @param {number[]} order the neighbors to load, the likeliest first */
  show(source, index, order) {
    const item = source.at(index);
    if (!item) return;
    const view = this.item && sharesView(this.item, item) ? this.area.view : FIT;
    this.item = item;
    this.previous.disabled = index === 0;
    this.next.disabled = index + 1 >= source.length;
    const shown = new Map([[index, this._paneOf(item)]]);
    for (const position of order) {
      const neighbor = source.at(position);
      if (neighbor && Math.abs(position - index) === 1) shown.set(position, this._paneOf(neighbor));
    }
    for (const [id, pane] of this.panes) {
      if ([...shown.values()].includes(pane)) continue;
      pane.dispose();
      this.panes.delete(id);
    }
    for (const [position, pane] of shown) {
      const isCurrent = position === index;
      pane.node.style.transform = isCurrent ? "" : `translateX(calc(${position - index} * (100% + ${GAP_PX}px)))`;
      pane.node.dataset.offset = String(position - index);
      pane.node.inert = !isCurrent;
      pane.node.classList.toggle("current", isCurrent);
      if (!pane.node.isConnected) this.track.append(pane.node);
    }
    this._shift(0);
    this.progress.hidden = true;
    const current = /** @type {Pane} */ (shown.get(index));
    this.area.neighbors = [];
    current.waits = false;
    this.area.show([current], view);
    current.sharp.then(() => this._loadNeighbors(current, source, order, shown, view));
  }

  /** Load the neighbors one after another: on a slow line the likeliest is there soonest, and a step waits for little.
   * @param {Pane} current @param {ImageSource} source @param {number[]} order @param {Map<number, Pane>} shown @param {import("./zoom.js").View} view */
  async _loadNeighbors(current, source, order, shown, view) {
    const isOver = () => this.area.panes[0] !== current; // somebody is at another image already
    if (isOver()) return;
    const item = current.item;
    const neighbors = order.flatMap((position) => shown.get(position) ?? []);
    for (const pane of neighbors) pane.waits = true;
    this.area.neighbors = neighbors.map((pane) => ({ pane, view: sharesView(item, pane.item) ? view : FIT }));
    this.area.render();
    for (const pane of neighbors) {
      if (isOver()) return;
      pane.waits = false;
      this.area.render();
      await pane.sharp;
    }
    for (const position of order) {
      const next = shown.has(position) || isOver() ? null : source.at(position);
      if (next?.kind === "image" && next.screen) new Image().src = next.screen;
    }
  }

  /** @param {ImageItem} item */
  _paneOf(item) {
    const known = this.panes.get(item.id);
    if (known && known.item.original === item.original) return known;
    known?.dispose();
    const pane = new Pane(item, (part) => this._progress(pane, part));
    this.panes.set(item.id, pane);
    return pane;
  }

  /** @param {Pane} pane @param {number | null} part */
  _progress(pane, part) {
    if (this.area.panes[0] !== pane) return;
    this.progress.hidden = part === null;
    this.progress.value = part ?? 0;
  }

  clear() {
    for (const pane of this.panes.values()) pane.dispose();
    this.panes.clear();
    this.item = null;
    this.area.panes = [];
    this.area.neighbors = [];
    this._shift(0);
    this._pull(0);
  }

  /* --- fingers */

  /** @param {number} dx */
  _shift(dx) {
    this.track.classList.remove("sliding");
    this.track.style.transform = dx ? `translateX(${dx}px)` : "";
  }

  /** @param {-1 | 0 | 1} direction */
  _slide(direction) {
    this.track.classList.add("sliding");
    const width = this.node.clientWidth + GAP_PX;
    const hasNext = direction !== 0 && this._hasPane(direction);
    this.track.style.transform = hasNext ? `translateX(${-direction * width}px)` : "";
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    setTimeout(() => {
      if (!hasNext || !this.events.onStep(direction)) this._shift(0);
    }, isStill ? 0 : SLIDE_MS);
  }

  /** @param {number} direction */
  _hasPane(direction) {
    return [...this.panes.values()].some((pane) => pane.node.dataset.offset === String(direction));
  }

  /** @param {number} dy @param {boolean} [isSmooth] */
  _pull(dy, isSmooth = false) {
    this.track.classList.toggle("sliding", isSmooth);
    this.track.style.transform = dy ? `translateY(${dy}px)` : "";
    this.node.style.setProperty("--pulled", String(Math.min(1, dy / 400)));
  }
}
