import assert from "node:assert/strict";
import test from "node:test";
import { nextCell } from "../../dreamina_ui/web/static/core/grid-keys.js";

const cell = (left, top, width = 100) => ({ left, top, width });
const even = [cell(0, 0), cell(100, 0), cell(200, 0), cell(0, 100), cell(100, 100)];
const justified = [cell(0, 0, 300), cell(300, 0, 100), cell(0, 200, 120), cell(120, 200, 120), cell(240, 200, 160)];

test("left and right follow the reading order across rows", () => {
  assert.equal(nextCell("ArrowRight", 2, even), 3);
  assert.equal(nextCell("ArrowLeft", 3, even), 2);
  assert.equal(nextCell("ArrowRight", 4, even), null);
  assert.equal(nextCell("ArrowLeft", 0, even), null);
});

test("up and down lead to the nearest cell of the next row", () => {
  assert.equal(nextCell("ArrowDown", 1, even), 4);
  assert.equal(nextCell("ArrowDown", 2, even), 4);
  assert.equal(nextCell("ArrowUp", 3, even), 0);
  assert.equal(nextCell("ArrowDown", 3, even), null);
  assert.equal(nextCell("ArrowDown", 0, justified), 3);
  assert.equal(nextCell("ArrowUp", 4, justified), 1);
});

test("home and end lead to the first and the last cell", () => {
  assert.equal(nextCell("Home", 3, even), 0);
  assert.equal(nextCell("End", 0, even), 4);
  assert.equal(nextCell("s", 0, even), null);
});
