// @ts-check
/*
 * Tell gestures from the movements of fingers or of a mouse, apart from the DOM.
 *
 * One finger pans an image that is larger than the area; otherwise it slides to the next image or pulls the viewer
 * away. Two fingers zoom. Thresholds are those of common phone galleries.
 */

/**
 * @typedef {{type: "tap" | "double-tap", x: number, y: number}
 *   | {type: "pan", dx: number, dy: number}
 *   | {type: "pinch", factor: number, x: number, y: number, dx: number, dy: number}
 *   | {type: "slide", dx: number}
 *   | {type: "slide-end", direction: -1 | 0 | 1}
 *   | {type: "pull", dy: number}
 *   | {type: "pull-end", isFar: boolean}} Gesture
 */
/** @typedef {{x: number, y: number, at: number}} Position  CSS pixels, and milliseconds */

const AXIS_PX = 10; // a finger that moves less has not decided where to
const TAP_MS = 500;
const DOUBLE_TAP_MS = 300;
const DOUBLE_TAP_PX = 30;
const FLICK_PX_PER_MS = 0.4;
const VELOCITY_MS = 50; // the speed is that of the last movements
const FAR = 0.35; // of the area's width or height: then it need not be quick

export class Gestures {
  /**
   * @param {(gesture: Gesture) => void} emit
   * @param {{canPan: (dx: number, dy: number) => boolean, size: () => {width: number, height: number}}} area
   */
  constructor(emit, area) {
    this.emit = emit;
    this.area = area;
    /** @type {Map<number, Position>} */
    this.pointers = new Map();
    /** @type {"" | "pan" | "slide" | "pull" | "pinch" | "done"} */
    this.mode = "";
    /** @type {Position[]} */
    this.trail = [];
    /** @type {Position | null} */
    this.start = null;
    /** @type {Position | null} */
    this.lastTap = null;
    this.isTouch = false;
  }

  /** @param {number} id @param {number} x @param {number} y @param {number} at @param {boolean} isTouch */
  down(id, x, y, at, isTouch) {
    if (this.pointers.size === 2) return;
    this.pointers.set(id, { x, y, at });
    this.isTouch = isTouch;
    if (this.pointers.size === 2) {
      this._end(at); // what one finger began is taken back
      this.mode = "pinch";
      return;
    }
    this.mode = "";
    this.start = { x, y, at };
    this.trail = [this.start];
  }

  /** @param {number} id @param {number} x @param {number} y @param {number} at */
  move(id, x, y, at) {
    const before = this.pointers.get(id);
    if (!before) return;
    const old = [...this.pointers.values()];
    this.pointers.set(id, { x, y, at });
    if (this.mode === "pinch") {
      if (this.pointers.size === 2) this._pinch(old, [...this.pointers.values()]);
      return;
    }
    if (!this.start) return;
    this.trail = [...this.trail.filter((position) => at - position.at < VELOCITY_MS), { x, y, at }];
    const [dx, dy] = [x - this.start.x, y - this.start.y];
    if (this.mode === "") {
      if (Math.hypot(dx, dy) < (this.isTouch ? AXIS_PX : 4)) return;
      this.mode = this._modeOf(dx, dy);
    }
    if (this.mode === "pan") this.emit({ type: "pan", dx: x - before.x, dy: y - before.y });
    else if (this.mode === "slide") this.emit({ type: "slide", dx });
    else if (this.mode === "pull") this.emit({ type: "pull", dy: Math.max(0, dy) });
  }

  /** @param {number} id @param {number} x @param {number} y @param {number} at */
  up(id, x, y, at) {
    if (!this.pointers.delete(id)) return;
    if (this.mode === "pinch") {
      // The finger that stays may pan.
      this.mode = this.pointers.size ? "pan" : "";
      return;
    }
    if (this.pointers.size) return;
    if (this.mode === "" && this.start && at - this.start.at < TAP_MS) this._tap({ x, y, at });
    else this._end(at, x, y);
    this.mode = "";
    this.start = null;
  }

  /** The browser took the pointer away, or the area is gone. */
  cancel() {
    this.pointers.clear();
    this._end(Infinity);
    this.mode = "";
    this.start = null;
  }

  /** @param {number} dx @param {number} dy */
  _modeOf(dx, dy) {
    if (this.area.canPan(dx, dy)) return "pan";
    if (!this.isTouch) return "done";
    if (Math.abs(dx) > Math.abs(dy)) return "slide";
    return dy > 0 ? "pull" : "done";
  }

  /** @param {Position[]} old @param {Position[]} now */
  _pinch(old, now) {
    const length = (/** @type {Position[]} */ [a, b]) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    const center = (/** @type {Position[]} */ [a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    const [from, to] = [center(old), center(now)];
    this.emit({ type: "pinch", factor: length(now) / length(old), ...to, dx: to.x - from.x, dy: to.y - from.y });
  }

  /** @param {Position} position */
  _tap(position) {
    const last = this.lastTap;
    const isSecond = last && position.at - last.at < DOUBLE_TAP_MS
      && Math.hypot(position.x - last.x, position.y - last.y) < DOUBLE_TAP_PX;
    this.lastTap = isSecond ? null : position;
    this.emit({ type: isSecond ? "double-tap" : "tap", x: position.x, y: position.y });
  }

  /** @param {number} at @param {number} [x] @param {number} [y] */
  _end(at, x, y) {
    const { start, mode } = this;
    const isHeld = x === undefined || y === undefined || !start;
    if (mode === "slide") {
      const dx = isHeld ? 0 : x - start.x;
      const goes = !isHeld && this._goes(dx, "x", at, this.area.size().width);
      this.emit({ type: "slide-end", direction: goes ? (dx < 0 ? 1 : -1) : 0 });
    } else if (mode === "pull") {
      const dy = isHeld ? 0 : y - start.y;
      this.emit({ type: "pull-end", isFar: !isHeld && dy > 0 && this._goes(dy, "y", at, this.area.size().height) });
    }
  }

  /** Whether a movement is quick or long enough, and does not turn back at its end.
   * @param {number} distance @param {"x" | "y"} axis @param {number} at @param {number} length */
  _goes(distance, axis, at, length) {
    const recent = this.trail.filter((position) => at - position.at < VELOCITY_MS);
    const first = recent[0] ?? this.trail[this.trail.length - 1];
    const last = this.trail[this.trail.length - 1];
    const velocity = last.at > first.at ? (last[axis] - first[axis]) / (last.at - first.at) : 0;
    if (velocity * distance < 0 && Math.abs(velocity) > FLICK_PX_PER_MS) return false;
    return Math.abs(velocity) > FLICK_PX_PER_MS || Math.abs(distance) > FAR * length;
  }
}
