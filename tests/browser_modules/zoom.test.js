import assert from "node:assert/strict";
import test from "node:test";
import { FIT, canPan, clampView, columnsFor, isFit, pan, placeImage, scaleOf, sharpCopy, step, toggle, zoomAt } from "../../dreamina_ui/web/static/viewer/zoom.js";

const scene = { image: { width: 6198, height: 2656 }, area: { width: 1440, height: 900 }, ratio: 1 };
const small = { image: { width: 512, height: 512 }, area: { width: 1000, height: 800 }, ratio: 2 };
const COPIES = [{ name: "preview", px: 1280 }, { name: "screen", px: 2560 }, { name: "original", px: Infinity }];

/** The part of the image under a point. */
function partAt(view, point, where) {
  const { left, top, width, height } = placeImage(view, where);
  return [(point.x - left) / width, (point.y - top) / height];
}

test("an image fits as large as possible, in the middle", () => {
  const { left, top, width, height } = placeImage(FIT, scene);
  assert.deepEqual([left, width], [0, 1440]);
  assert.ok(Math.abs(top + height / 2 - 450) <= 1);
  assert.equal(placeImage(FIT, small).height, 800);
});

test("a click shows 100 % at that point, and the next one the whole image", () => {
  const point = { x: 1000, y: 400 };
  const before = partAt(FIT, point, scene);
  const view = toggle(FIT, point, scene);
  assert.ok(Math.abs(scaleOf(view, scene) - 1) < 1e-9);
  partAt(view, point, scene).forEach((part, axis) => assert.ok(Math.abs(part - before[axis]) < 1e-3));
  assert.ok(isFit(toggle(view, point, scene)));
});

test("a click always changes the size", () => {
  const exact = { image: { width: 1000, height: 500 }, area: { width: 1000, height: 800 }, ratio: 1 };
  assert.ok(Math.abs(scaleOf(toggle(FIT, { x: 1, y: 1 }, exact), exact) - 2) < 1e-9);
  const view = toggle(FIT, { x: 1, y: 1 }, small);
  assert.ok(Math.abs(scaleOf(view, small) - 1) < 1e-9);
  assert.equal(placeImage(view, small).width, 256);
});

test("no empty space appears beside an image that is larger than the area", () => {
  let view = toggle(FIT, { x: 0, y: 450 }, scene);
  view = pan(view, 5000, 0, scene);
  assert.equal(placeImage(view, scene).left, 0);
  assert.equal(canPan(view, 1, scene), false);
  assert.equal(canPan(view, -1, scene), true);
  view = pan(view, -90000, -90000, scene);
  const { left, top, width, height } = placeImage(view, scene);
  assert.deepEqual([left + width, top + height], [1440, 900]);
});

test("a zoom has limits, and keeps the point under the pointer", () => {
  const point = { x: 700, y: 450 };
  let view = FIT;
  const before = partAt(view, point, scene);
  for (let turn = 0; turn < 10; turn += 1) view = zoomAt(view, view.zoom * 1.2, point, scene);
  partAt(view, point, scene).forEach((part, axis) => assert.ok(Math.abs(part - before[axis]) < 1e-3));
  assert.ok(Math.abs(scaleOf(zoomAt(view, 1e6, point, scene), scene) - 8) < 1e-9);
  assert.ok(isFit(zoomAt(view, 1e-6, point, scene)));
});

test("steps stop at 100 % and at the whole image", () => {
  const point = { x: 720, y: 450 };
  const seen = [];
  let view = FIT;
  for (let turn = 0; turn < 9; turn += 1) {
    view = step(view, 1, point, scene);
    seen.push(Math.round(scaleOf(view, scene) * 1000) / 1000);
  }
  assert.ok(seen.includes(1), String(seen));
  for (let turn = 0; turn < 12; turn += 1) view = step(view, -1, point, scene);
  assert.ok(isFit(view));
});

test("the smallest copy that is sharp is shown", () => {
  assert.equal(sharpCopy(FIT, scene, COPIES), "screen");
  assert.equal(sharpCopy(FIT, { ...scene, area: { width: 390, height: 844 }, ratio: 3 }, COPIES), "preview");
  assert.equal(sharpCopy(toggle(FIT, { x: 1, y: 1 }, scene), scene, COPIES), "original");
  const tiny = { ...scene, image: { width: 1000, height: 1000 } };
  assert.equal(sharpCopy({ ...FIT, zoom: 4 }, tiny, COPIES), "preview");
});

test("a view is valid for images of other sizes", () => {
  const view = clampView({ zoom: 1e9, x: 2, y: -1 }, small);
  assert.ok(view.x <= 1 && view.y >= 0 && Number.isFinite(view.zoom));
});

test("several images are arranged so that they are large", () => {
  const wide = { width: 2100, height: 900 };
  assert.equal(columnsFor(4, { width: 1000, height: 1000 }, { width: 1440, height: 900 }), 2);
  assert.equal(columnsFor(2, wide, { width: 1440, height: 900 }), 1);
  assert.equal(columnsFor(2, { width: 900, height: 1600 }, { width: 1440, height: 900 }), 2);
  assert.equal(columnsFor(4, wide, { width: 390, height: 844 }), 1);
});
