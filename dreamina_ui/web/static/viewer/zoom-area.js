/* One or more panes under one view: zoom and pan by pointer, wheel and keys. */

import { Gestures } from "./gestures.js";
import * as zoom from "./zoom.js";

/** @typedef {import("./pane.js").Pane} Pane */
/** @typedef {import("./gestures.js").Gesture} Gesture */
/**
 * @typedef {object} AreaEvents
 * @property {() => void} [onView] the view changed
 * @property {() => void} [onTap] a finger tapped once
 * @property {(dx: number) => void} [onSlide]
 * @property {(direction: -1 | 0 | 1) => void} [onSlideEnd]
 * @property {(dy: number) => void} [onPull]
 * @property {(isFar: boolean) => void} [onPullEnd]
 */

const CONTROLS = "button, a, input, video, .trouble, .divider";
const TAP_WAIT_MS = 260; // a second tap may follow
const SMOOTH_MS = 160;

export class ZoomArea {
  /** @param {HTMLElement} node @param {AreaEvents} events */
  constructor(node, events) {
    this.node = node;
    this.events = events;
    this.view = zoom.FIT;
    /** @type {Pane[]} the panes that share the view */
    this.panes = [];
    /** @type {{pane: Pane, view: zoom.View}[]} the panes beside them, for later */
    this.neighbors = [];
    this.gestures = new Gestures((gesture) => this._act(gesture), {
      canPan: (dx, dy) => this._canPan(dx, dy),
      size: () => this.area,
    });
    this.box = new DOMRect();
    this._listen();
    new ResizeObserver(() => this.render()).observe(node);
  }

  get area() {
    const node = this.panes[0]?.node ?? this.node;
    return { width: node.clientWidth || 1, height: node.clientHeight || 1 };
  }

  /** @param {Pane} pane @returns {zoom.Scene} */
  sceneOf(pane) {
    return { image: pane.size, area: this.area, ratio: devicePixelRatio };
  }

  /** The scene of the widest image: its 100 % is the 100 % of all. */
  get scene() {
    const pane = this.panes.reduce((widest, next) => (next.size.width > widest.size.width ? next : widest));
    return this.sceneOf(pane);
  }

  get canZoom() {
    return this.panes.some((pane) => pane.isImage);
  }

  /** Screen pixels per pixel of the image. */
  get scale() {
    return this.canZoom ? zoom.scaleOf(this.view, this.scene) : 1;
  }

  /** @param {Pane[]} panes @param {zoom.View} view */
  show(panes, view = zoom.FIT) {
    this.panes = panes;
    this.view = view;
    this.render();
  }

  render() {
    if (!this.panes.length || !this.node.isConnected) return;
    if (this.canZoom) this.view = zoom.clampView(this.view, this.scene);
    for (const pane of this.panes) pane.moveTo(zoom.clampView(this.view, this.sceneOf(pane)), this.sceneOf(pane));
    for (const { pane, view } of this.neighbors) pane.moveTo(zoom.clampView(view, this.sceneOf(pane)), this.sceneOf(pane), false);
    this.events.onView?.();
  }

  /** @param {zoom.View} view @param {boolean} [isSmooth] */
  change(view, isSmooth = false) {
    if (!this.canZoom) return;
    this.node.classList.toggle("smooth", isSmooth);
    if (isSmooth) setTimeout(() => this.node.classList.remove("smooth"), SMOOTH_MS);
    this.view = view;
    this.render();
  }

  get center() {
    const { width, height } = this.area;
    return { x: width / 2, y: height / 2 };
  }

  toggle(point = this.center) {
    if (this.canZoom) this.change(zoom.toggle(this.view, point, this.scene), true);
  }

  /** @param {1 | -1} direction */
  step(direction) {
    if (this.canZoom) this.change(zoom.step(this.view, direction, this.center, this.scene), true);
  }

  fit() {
    this.change(zoom.FIT, true);
  }

  showActualSize() {
    if (this.canZoom) this.change(zoom.zoomAt(this.view, zoom.zoomFor(1, this.scene), this.center, this.scene), true);
  }

  /* --- pointers */

  _listen() {
    const { node } = this;
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this._isControl(event)) return;
      node.setPointerCapture(event.pointerId);
      const pane = this.panes.find(({ node: box }) => event.target instanceof Node && box.contains(event.target)) ?? this.panes[0];
      this.box = (pane?.node ?? node).getBoundingClientRect();
      this.gestures.down(event.pointerId, event.clientX, event.clientY, event.timeStamp, event.pointerType !== "mouse");
    });
    node.addEventListener("pointermove", (event) => this.gestures.move(event.pointerId, event.clientX, event.clientY, event.timeStamp));
    node.addEventListener("pointerup", (event) => this.gestures.up(event.pointerId, event.clientX, event.clientY, event.timeStamp));
    node.addEventListener("pointercancel", () => this.gestures.cancel());
    node.addEventListener("dragstart", (event) => event.preventDefault());
    node.addEventListener("wheel", (event) => this._turn(event), { passive: false });
  }

  /** @param {Event} event */
  _isControl(event) {
    return event.target instanceof Element && Boolean(event.target.closest(CONTROLS));
  }

  /** @param {WheelEvent} event */
  _turn(event) {
    if (!this.canZoom || (event.target instanceof Element && event.target.closest(".trouble"))) return;
    event.preventDefault();
    const pane = this.panes.find(({ node: box }) => event.target instanceof Node && box.contains(event.target)) ?? this.panes[0];
    this.box = pane.node.getBoundingClientRect();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1);
    const factor = Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)); // a pinch on a touchpad comes as a wheel with Ctrl
    this.change(zoom.zoomAt(this.view, this.view.zoom * factor, this._inArea(event.clientX, event.clientY), this.scene));
  }

  /** @param {number} x @param {number} y in the window */
  _inArea(x, y) {
    return { x: x - this.box.left, y: y - this.box.top };
  }

  /** @param {number} dx @param {number} dy */
  _canPan(dx, dy) {
    if (!this.canZoom || zoom.isFit(this.view)) return false;
    return Math.abs(dx) <= Math.abs(dy) || !this.gestures.isTouch || zoom.canPan(this.view, Math.sign(dx), this.scene);
  }

  /** @param {Gesture} gesture */
  _act(gesture) {
    const { events } = this;
    if (gesture.type === "tap") this._tap(gesture.x, gesture.y);
    else if (gesture.type === "double-tap") this._doubleTap(gesture.x, gesture.y);
    else if (gesture.type === "pan") this.change(zoom.pan(this.view, gesture.dx, gesture.dy, this.scene));
    else if (gesture.type === "pinch") {
      if (!this.canZoom) return;
      const moved = zoom.pan(this.view, gesture.dx, gesture.dy, this.scene);
      this.change(zoom.zoomAt(moved, moved.zoom * gesture.factor, this._inArea(gesture.x, gesture.y), this.scene));
    } else if (gesture.type === "slide") events.onSlide?.(gesture.dx);
    else if (gesture.type === "slide-end") events.onSlideEnd?.(gesture.direction);
    else if (gesture.type === "pull") events.onPull?.(gesture.dy);
    else if (gesture.type === "pull-end") events.onPullEnd?.(gesture.isFar);
  }

  /** @param {number} x @param {number} y */
  _tap(x, y) {
    if (!this.gestures.isTouch) return this.toggle(this._inArea(x, y));
    this.tapTimer = setTimeout(() => this.events.onTap?.(), TAP_WAIT_MS);
  }

  /** @param {number} x @param {number} y */
  _doubleTap(x, y) {
    clearTimeout(this.tapTimer);
    if (this.gestures.isTouch) this.toggle(this._inArea(x, y));
  }
}
