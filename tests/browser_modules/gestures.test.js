import assert from "node:assert/strict";
import test from "node:test";
import { Gestures } from "../../dreamina_ui/web/static/viewer/gestures.js";

/** A recognizer on an area of 390 x 844, and what it emitted. */
function begin(canPan = () => false) {
  const seen = [];
  const gestures = new Gestures((gesture) => seen.push(gesture), { canPan, size: () => ({ width: 390, height: 844 }) });
  return { gestures, seen };
}

/** A finger along points, 16 ms apart. */
function draw(gestures, points, { id = 1, at = 0, isTouch = true, stepMs = 16 } = {}) {
  points.forEach(([x, y], index) => {
    const now = at + index * stepMs;
    if (index === 0) gestures.down(id, x, y, now, isTouch);
    else gestures.move(id, x, y, now);
  });
  const [x, y] = points.at(-1);
  gestures.up(id, x, y, at + points.length * stepMs);
}

test("a quick swipe leads to the next image", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[300, 400], [270, 402], [230, 404], [190, 405]]);
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 1 });
  draw(gestures, [[100, 400], [130, 402], [170, 404], [210, 405]], { at: 1000 });
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: -1 });
});

test("a slow short swipe, or one that turns back, stays", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[300, 400], [280, 400], [260, 400], [250, 400]], { stepMs: 200 });
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 0 });
  draw(gestures, [[300, 400], [100, 400], [160, 400], [220, 400]], { at: 5000 });
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 0 });
});

test("a slow long swipe leads to the next image", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[350, 400], [300, 400], [200, 400], [150, 400], [150, 400]], { stepMs: 200 });
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 1 });
});

test("a pull down closes, a pull up does nothing", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[200, 300], [202, 340], [203, 400], [203, 470]]);
  assert.deepEqual(seen.at(-1), { type: "pull-end", isFar: true });
  const count = seen.length;
  draw(gestures, [[200, 500], [202, 440], [203, 400]], { at: 1000 });
  assert.equal(seen.length, count);
});

test("an image that is larger than the area is panned", () => {
  const { gestures, seen } = begin(() => true);
  draw(gestures, [[200, 300], [220, 320], [240, 330]]);
  assert.deepEqual(seen, [{ type: "pan", dx: 20, dy: 20 }, { type: "pan", dx: 20, dy: 10 }]);
});

test("two fingers zoom around their center, and the last one pans", () => {
  const { gestures, seen } = begin(() => false);
  gestures.down(1, 100, 400, 0, true);
  gestures.down(2, 200, 400, 5, true);
  gestures.move(1, 50, 400, 16);
  gestures.move(2, 250, 400, 32);
  const factor = seen.filter(({ type }) => type === "pinch").reduce((product, gesture) => product * gesture.factor, 1);
  assert.ok(Math.abs(factor - 2) < 1e-9);
  assert.equal(seen.at(-1).x, 150);
  gestures.up(1, 50, 400, 40);
  gestures.move(2, 260, 410, 60);
  assert.deepEqual(seen.at(-1), { type: "pan", dx: 10, dy: 10 });
  gestures.up(2, 260, 410, 70);
  assert.equal(seen.filter(({ type }) => type.includes("tap")).length, 0);
});

test("two taps at one place are a double tap, at two places are not", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[200, 300]], { at: 0 });
  draw(gestures, [[204, 302]], { at: 150 });
  assert.deepEqual(seen.map(({ type }) => type), ["tap", "double-tap"]);
  draw(gestures, [[200, 300]], { at: 2000 });
  draw(gestures, [[300, 500]], { at: 2150 });
  assert.deepEqual(seen.slice(2).map(({ type }) => type), ["tap", "tap"]);
});

test("a mouse neither slides nor pulls", () => {
  const { gestures, seen } = begin();
  draw(gestures, [[300, 400], [200, 400], [100, 400]], { isTouch: false });
  draw(gestures, [[300, 300], [300, 400], [300, 500]], { isTouch: false, at: 1000 });
  assert.deepEqual(seen, []);
});

test("a second finger or a lost pointer takes a swipe back", () => {
  const { gestures, seen } = begin();
  gestures.down(1, 300, 400, 0, true);
  gestures.move(1, 200, 400, 16);
  gestures.down(2, 100, 400, 20, true);
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 0 });
  gestures.cancel();
  gestures.down(1, 300, 400, 1000, true);
  gestures.move(1, 200, 400, 1016);
  gestures.cancel();
  assert.deepEqual(seen.at(-1), { type: "slide-end", direction: 0 });
});
