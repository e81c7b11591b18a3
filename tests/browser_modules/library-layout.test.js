// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { boxesOf, layOut, rowsOf } from "../../dreamina_ui/web/static/library/layout.js";

const MEASURES = { width: 1000, rowHeight: 200, gap: 6 };

test("each row fills the width, and its images keep their shapes", () => {
  const ratios = [1, 4 / 3, 16 / 9, 0.75, 21 / 9, 1, 1, 3 / 2, 2 / 3, 1, 1, 1];
  let index = 0;
  for (const { count, height } of rowsOf(ratios, MEASURES).slice(0, -1)) {
    const width = ratios.slice(index, index + count).reduce((sum, ratio) => sum + ratio * height, 0) + (count - 1) * MEASURES.gap;
    assert.ok(Math.abs(width - MEASURES.width) < 0.01);
    assert.ok(height > 130 && height < 320, `${height}`);
    index += count;
  }
});

test("a few images are not blown up, and one that is too wide fits", () => {
  assert.deepEqual(rowsOf([1, 1], MEASURES), [{ count: 2, height: 200 }]);
  assert.deepEqual(rowsOf([4], { ...MEASURES, width: 400 }), [{ count: 1, height: 100 }]);
  assert.deepEqual(rowsOf([], MEASURES), []);
});

test("every image stands once, by days, in blocks that are drawn together", () => {
  const images = Array.from({ length: 100 }, (_, index) => ({ ratio: 1, at: index < 70 ? 200 : 100 }));
  const days = layOut(images, MEASURES, String);
  assert.deepEqual(days.map(({ day, blocks }) => [day, blocks[0].start]), [["200", 0], ["100", 70]]);
  const blocks = days.flatMap(({ blocks: own }) => own);
  assert.deepEqual(blocks.flatMap(({ start, boxes }) => boxes.map((_, offset) => start + offset)), images.map((_, index) => index));
  assert.ok(blocks.length > 3);
  const boxes = boxesOf(days);
  assert.equal(boxes.length, 100);
  assert.ok(boxes.every(({ top }, index) => index === 0 || top >= boxes[index - 1].top));
});
