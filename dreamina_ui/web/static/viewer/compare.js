/* Two to four images under one view: in a grid, or two of them on both sides of a line. */

import { button, element, icon } from "../core/dom.js";
import { language } from "../core/facts.js";
import { words } from "../core/words.js";
import { fetchJob, knownJob } from "./details.js";
import { Pane } from "./pane.js";
import { ZoomArea } from "./zoom-area.js";
import { FIT, columnsFor } from "./zoom.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */

export class Comparison {
  /** @param {{onView: () => void, onRemove: (item: ImageItem) => void, onStar: (item: ImageItem) => void}} events */
  constructor(events) {
    this.events = events;
    /** @type {ImageItem[]} */
    this.items = [];
    /** @type {Pane[]} */
    this.panes = [];
    this.isBeside = false;
    this.grid = element("div", { class: "compare-grid" });
    this.note = element("p", { class: "compare-note", hidden: true }, words.compare_shapes);
    this.node = element("div", { class: "comparison", hidden: true }, this.grid, this.note);
    this.area = new ZoomArea(this.grid, { onView: events.onView });
    this.range = this._range();
    this.divider = element("div", { class: "divider" }, this.range, element("span", { class: "divider-handle", "aria-hidden": "true" }, "↔"));
    this._drag();
    new ResizeObserver(() => this._arrange()).observe(this.node);
  }

  /** @param {ImageItem[]} items 2 to 4 images */
  show(items) {
    const isSame = items.map(({ id }) => id).join() === this.items.map(({ id }) => id).join();
    this.items = items;
    this.node.hidden = false;
    if (isSame && this.panes.length) return this.caption();
    const { view } = this.area;
    this.clearPanes();
    this.panes = items.map((item) => new Pane(item));
    const figures = this.panes.map((pane) => element("figure", {}, pane.node, element("figcaption")));
    this.grid.replaceChildren(...figures, this.divider);
    this.caption();
    this._arrange();
    const shapes = items.map(({ width, height }) => (width || 1) / (height || 1));
    this.note.hidden = Math.max(...shapes) - Math.min(...shapes) <= 0.01;
    this.area.show(this.panes, view);
    const unknown = items.filter((item) => !knownJob(item)).map((item) => fetchJob(item.job_id));
    if (unknown.length) Promise.all(unknown).then(() => this.caption());
  }

  /** @param {boolean} isBeside whether two images are side by side, without a line */
  arrange(isBeside) {
    this.isBeside = isBeside;
    this._arrange();
  }

  get isOpen() {
    return this.items.length > 0;
  }

  get hasLine() {
    return this.items.length === 2 && !this.isBeside;
  }

  hide() {
    this.node.hidden = true;
    this.items = [];
    this.clearPanes();
    this.area.view = FIT;
  }

  clearPanes() {
    this.panes.forEach((pane) => pane.dispose());
    this.panes = [];
    this.area.panes = [];
  }

  /** Where the focus begins: at the line, if there is one. */
  focus() {
    if (this.hasLine) this.range.focus();
  }

  _arrange() {
    if (this.items.length < 2) return;
    const { clientWidth: width, clientHeight: height } = this.grid;
    const largest = this.items.reduce((wide, item) => ((item.width || 1) > (wide.width || 1) ? item : wide));
    const size = { width: largest.width || 1, height: largest.height || 1 };
    const columns = this.hasLine ? 2 : columnsFor(this.items.length, size, { width: width || 1, height: height || 1 });
    this.grid.style.setProperty("--columns", String(columns));
    this.grid.classList.toggle("line", this.hasLine);
    this.divider.hidden = !this.hasLine;
    this.area.render();
  }

  caption() {
    this.grid.querySelectorAll("figcaption").forEach((caption, index) => {
      const item = this.items[index];
      const star = button("", () => this.events.onStar(item), {
        class: "quiet star", "aria-label": item.is_favorite ? words.unfavourite : words.favourite, "aria-pressed": String(item.is_favorite),
      });
      star.append(icon("star"));
      const remove = button("", () => this.events.onRemove(item), { class: "quiet", "aria-label": words.compare_remove, title: words.compare_remove });
      remove.append(icon("close"));
      const job = knownJob(item);
      const output = job?.outputs.find(({ index: position }) => position === item.index);
      const facts = [job?.settings, output?.facts ?? item.facts].filter(Boolean).join(" · ");
      caption.replaceChildren(
        element("span", { class: "compare-text" }, element("span", { dir: "auto" }, job?.prompt ?? item.alt), element("small", {}, facts)),
        star, remove,
      );
    });
  }

  /* --- the line */

  _range() {
    const range = element("input", { type: "range", min: "0", max: "100", step: "1", value: "50", "aria-label": words.compare_line });
    range.addEventListener("input", () => this._cut());
    this._cut(range);
    return range;
  }

  _cut(range = this.range) {
    this.grid.style.setProperty("--cut", `${range.value}%`);
    range.setAttribute("aria-valuetext", (Number(range.value) / 100).toLocaleString(language, { style: "percent" }));
  }

  _drag() {
    const move = (/** @type {PointerEvent} */ event) => {
      if (!this.divider.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.grid.getBoundingClientRect();
      this.range.value = String(Math.round(Math.min(1, Math.max(0, (event.clientX - left) / width)) * 100));
      this._cut();
    };
    this.divider.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      event.preventDefault();
      this.divider.setPointerCapture(event.pointerId);
      this.range.focus({ preventScroll: true });
    });
    this.divider.addEventListener("pointermove", move);
  }
}
