import assert from "node:assert/strict";
import { test } from "node:test";
import { breakLines, sheetLayout } from "../../dreamina_ui/web/static/batch/sheet.js";

test("no image of a sheet covers another one or a label", () => {
  const spots = [0, 1].flatMap((row) => [0, 1, 2].flatMap((column) => [0, 1, 2, 3].map((index) => ({ row, column, index }))));
  const layout = sheetLayout(2, 3, spots, 40, 100);
  const boxes = spots.map(layout.image);
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
    assert.ok(a.left + a.width <= b.left || b.left + b.width <= a.left || a.top + a.height <= b.top || b.top + b.height <= a.top);
  }));
  assert.ok(boxes.every(({ left, top, width, height }) => left >= layout.labelWidth && top >= 40 && left + width <= layout.width && top + height <= layout.height));
});

test("a sheet of 200 rows is no larger than what browsers draw", () => {
  const layout = sheetLayout(200, 1, [{ row: 0, column: 0, index: 3 }], 40);
  assert.ok(layout.height * layout.scale <= 16000);
});

test("labels break at spaces, within long words, and end", () => {
  const fits = (line) => line.length <= 5;
  assert.deepEqual(breakLines("a red fox", fits, 9), ["a red", "fox"]);
  assert.deepEqual(breakLines("abcdefg h", fits, 9), ["abcde", "fg h"]);
  assert.deepEqual(breakLines("a b c d e f", fits, 1), ["a b c…"]);
});
