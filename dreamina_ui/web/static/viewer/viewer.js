/*
 * The one viewer, for every image anywhere on the page.
 *
 * `open(source, id)` shows an image of a source. Events, all bubbling: `image-action` for what somebody wants of the
 * image, `viewer-move` with its id, `viewer-close` with the source and the id of the last one.
 */

import { emit, element, openDialog } from "../core/dom.js";
import { onKeys } from "../core/keyboard.js";
import { KEYS, ratingOf } from "../core/keys.js";
import { press } from "../core/press.js";
import { local } from "../core/storage.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { Bar } from "./bar.js";
import { Comparison } from "./compare.js";
import { MAX_COMPARED, comparable, firstCompared, swapLast, withOrWithout } from "./compared.js";
import { Cursor } from "./cursor.js";
import { Info } from "./info.js";
import { Strip } from "./strip.js";
import { Track } from "./track.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").ImageSource} ImageSource */
/** @typedef {import("./zoom-area.js").ZoomArea} ZoomArea */

const INFO = "viewer-info"; // stored: whether the panel is open
const NEAR = 50; // images on each side among which those of the same job are
const CHOICE = 12; // images on each side that a comparison offers
const ACTIONS = KEYS.filter(({ scope }) => scope === "viewer").map(({ action }) => action);
/** @type {Record<string, (area: ZoomArea) => void>} */
const ZOOMS = {
  "toggle-zoom": (area) => area.toggle(),
  "zoom-in": (area) => area.step(1),
  "zoom-out": (area) => area.step(-1),
  "fit": (area) => area.fit(),
  "actual-size": (area) => area.showActualSize(),
};

export class Viewer extends HTMLElement {
  cursor = new Cursor();
  shownId = "";
  wasOpenedToCompare = false;
  /** @type {Element | null} */
  opener = null;
  hasInfo = local.get(INFO) !== null;

  bar = new Bar((tool) => this.act(tool));
  strip = new Strip((item) => this._choose(item));
  track = new Track({
    onView: () => this._showPosition(),
    onTap: () => this.dialog.classList.toggle("bare"),
    onStep: (direction) => this.step(direction),
    onPulled: () => this.close(),
  });
  comparison = new Comparison({
    onView: () => this._showPosition(),
    onRemove: (item) => this._choose(item),
    onStar: (item) => this._emitAction(item.is_favorite ? "unstar" : "star", item),
  });
  info = new Info((action) => this.act(action));
  dialog = element("dialog", { class: "viewer" }, this.bar.node,
    element("div", { class: "main" }, this.strip.node, this.track.node, this.comparison.node, this.info.node));

  connectedCallback() {
    if (this.dialog.isConnected) return;
    this.append(this.dialog);
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.act("close"); });
    this.dialog.addEventListener("close", () => this._closed());
    onKeys("viewer", Object.fromEntries(ACTIONS.map((action) => [action, (event) => this.act(action === "rate" ? `rate-${ratingOf(event)}` : action)])), ({ target }) =>
      this.dialog.open && target instanceof Node && (target === document.body || this.contains(target)));
  }

  get area() {
    return this.comparison.isOpen ? this.comparison.area : this.track.area;
  }

  /** @param {ImageSource} source @param {string} id @returns {boolean} whether the source has the image */
  open(source, id) {
    const index = source.indexOf(id);
    if (index < 0) return false;
    this._begin(source);
    this._leaveComparison();
    this._show(index);
    return true;
  }

  /** @param {ImageSource} source @param {ImageItem[]} items 2 to 4 images of it or of other sources */
  compare(source, items) {
    this._begin(source);
    this.wasOpenedToCompare = true;
    this.cursor.moveTo(Math.max(0, source.indexOf(items[0].id)));
    this.shownId = items[0].id;
    emit(this, "viewer-move", { id: this.shownId });
    this._compare(items);
  }

  close() {
    if (!this.dialog.open) return;
    if (document.fullscreenElement) document.exitFullscreen();
    this.dialog.close();
  }

  /** @param {ImageSource} source */
  _begin(source) {
    this.cursor.source?.removeEventListener("change", this._follow);
    source.addEventListener("change", this._follow);
    this.cursor.source = source;
    if (this.dialog.open) return;
    this.opener = document.activeElement;
    this.wasOpenedToCompare = false;
    this.dialog.classList.remove("bare");
    openDialog(this.dialog, this.bar.heading);
  }

  _closed() {
    const { opener, cursor: { item, source } } = this;
    source?.removeEventListener("change", this._follow);
    this._leaveComparison();
    this.track.clear();
    this.cursor.source = null;
    this.shownId = "";
    this.opener = null;
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    // A comparison was opened by a button, which has the focus again.
    emit(this, "viewer-close", { source, id: this.wasOpenedToCompare ? null : item?.id ?? null });
  }

  // The source has other images than before: stay at this one, or at its place if it is gone.
  _follow = press.after(() => {
    const { source, index } = this.cursor;
    if (!source || !this.dialog.open) return;
    if (this.comparison.isOpen) return this._refreshComparison();
    if (!source.length) return this.close();
    const position = source.indexOf(this.shownId);
    this._show(position >= 0 ? position : Math.min(index, source.length - 1));
  });

  /* --- one image */

  /** @param {number | null} index null stays */
  _show(index) {
    const { cursor } = this;
    const item = index === null ? null : cursor.source?.at(index);
    if (!cursor.source || !item || index === null) return false;
    const isOther = item.id !== this.shownId;
    cursor.moveTo(index);
    this.shownId = item.id;
    this.dialog.setAttribute("aria-label", item.alt);
    this.track.show(cursor.source, index, cursor.order);
    this.strip.show(cursor.around(NEAR).filter(({ job_id }) => job_id === item.job_id), [item.id]);
    this._showTools();
    this._showInfo();
    if (isOther) emit(this, "viewer-move", { id: item.id });
    return true;
  }

  /** @param {1 | -1} direction @returns {boolean} whether there is another image */
  step(direction) {
    if (!this.comparison.isOpen) return this._show(this.cursor.next(direction));
    const items = swapLast(this.comparison.items, this._choice(), direction);
    if (items) this._compare(items);
    return items !== null;
  }

  /** @param {1 | -1} direction */
  stepJob(direction) {
    if (!this.comparison.isOpen) this._show(this.cursor.nextJob(direction));
  }

  /* --- several images */

  /** @param {ImageItem[]} items */
  _compare(items) {
    const isNew = !this.comparison.isOpen;
    this.track.clear();
    this.dialog.classList.add("comparing");
    this.dialog.setAttribute("aria-label", words.compare_title);
    this.info.node.hidden = true;
    this.comparison.show(items);
    this.strip.show(this._choice(), this.comparison.items.map(({ id }) => id), true);
    this._showTools();
    this._showPosition();
    if (isNew) this.comparison.focus();
  }

  // Stars change the items.
  _refreshComparison() {
    const { source } = this.cursor;
    const current = (/** @type {ImageItem} */ item) => source?.at(source.indexOf(item.id)) ?? item;
    this.comparison.show(this.comparison.items.map(current));
    this.strip.show(this._choice(), this.comparison.items.map(({ id }) => id), true);
  }

  _choice() {
    return comparable(this.cursor.around(CHOICE), this.comparison.items);
  }

  _leaveComparison() {
    if (!this.comparison.isOpen) return;
    this.shownId = "";
    this.dialog.classList.remove("comparing");
    this.comparison.hide();
  }

  /** A small image was chosen: show it, or add it to the comparison or take it out. @param {ImageItem} item */
  _choose(item) {
    const { source } = this.cursor;
    if (!this.comparison.isOpen) return this._show(source?.indexOf(item.id) ?? null);
    const items = withOrWithout(this.comparison.items, item);
    if (items.length > MAX_COMPARED) return tell(say("compare_most", { count: MAX_COMPARED }));
    if (items.length > 1) return this._compare(items);
    this._leaveComparison();
    return this._show(Math.max(0, source?.indexOf(items[0].id) ?? 0));
  }

  // From a comparison back to the image that it began with.
  _back() {
    if (!this.comparison.isOpen || this.wasOpenedToCompare) return this.close();
    this._leaveComparison();
    this._show(this.cursor.index);
    this.bar.heading.focus();
  }

  /* --- what is around */

  _showPosition() {
    const { area, cursor: { item } } = this;
    const scale = area.panes.length && area.canZoom ? area.scale : 0;
    if (this.comparison.isOpen) this.bar.showComparison(scale);
    else if (item) this.bar.showPosition(this.cursor.index, this.cursor.length, scale, item.alt);
  }

  _showTools() {
    this.bar.showTools(this.comparison.isOpen ? null : this.cursor.item ?? null, {
      canCompare: this.cursor.length > 1,
      hasPair: this.comparison.items.length === 2,
      isBeside: this.comparison.isBeside,
      hasInfo: this.hasInfo,
    });
  }

  _showInfo() {
    const { item } = this.cursor;
    if (item) this.info.showFor(item, this.hasInfo, () => this.shownId === item.id);
  }

  /* --- actions */

  /** @param {string} action of a key, a button or the panel */
  act(action) {
    const { item } = this.cursor;
    if (ZOOMS[action]) ZOOMS[action](this.area);
    else if (action === "close") this._back();
    else if (action === "previous" || action === "next") this.step(action === "next" ? 1 : -1);
    else if (action === "previous-job" || action === "next-job") this.stepJob(action === "next-job" ? 1 : -1);
    else if (action === "compare") this._toggleComparison();
    else if (action === "full-screen") this._toggleFullScreen();
    else if (action === "beside") {
      this.comparison.arrange(!this.comparison.isBeside);
      this._showTools();
    }
    else if (this.comparison.isOpen || !item) return;
    else if (action === "info") this._toggleInfo();
    else this._emitAction(action === "star" && item.is_favorite ? "unstar" : action, item);
  }

  /** @param {string} action @param {ImageItem} item */
  _emitAction(action, item) {
    if (item.original || action === "retry-download") emit(this, "image-action", { action, item });
  }

  _toggleComparison() {
    if (this.comparison.isOpen) return this._back();
    const { item } = this.cursor;
    const items = item ? firstCompared(this.cursor.around(NEAR), item) : [];
    if (items.length > 1) this._compare(items);
    else tell(words.compare_few);
  }

  _toggleInfo() {
    this.hasInfo = !this.hasInfo;
    local.set(INFO, this.hasInfo ? "1" : null);
    this._showTools();
    this._showInfo();
  }

  _toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.dialog.requestFullscreen?.().catch(() => {});
  }
}
