// @ts-check
/* Where the library's images stand: justified rows below a heading for each day. Pure: no DOM. Lengths are CSS pixels. */

/** @typedef {{left: number, top: number, width: number, height: number}} Box  within its block */
/** @typedef {{start: number, boxes: Box[], height: number}} Block  rows that are drawn together; `start` is the first image's index */
/** @typedef {{day: string, at: number, blocks: Block[]}} Day  `at` in s since 1970 */
/** @typedef {{width: number, rowHeight: number, gap: number}} Measures */

const BLOCK_IMAGES = 6;
const [NARROWEST, WIDEST] = [0.3, 4]; // an extreme shape is cut, so that it leaves room for others

/**
 * @param {{ratio: number, at: number}[]} images in order; `ratio` is width divided by height
 * @param {Measures} measures
 * @param {(at: number) => string} dayOf
 * @returns {Day[]}
 */
export function layOut(images, measures, dayOf) {
  /** @type {Day[]} */
  const days = [];
  let start = 0;
  while (start < images.length) {
    const { at } = images[start];
    const day = dayOf(at);
    let end = start + 1;
    while (end < images.length && dayOf(images[end].at) === day) end += 1;
    const ratios = images.slice(start, end).map(({ ratio }) => Math.min(Math.max(ratio, NARROWEST), WIDEST));
    days.push({ day, at, blocks: blocksOf(ratios, start, measures) });
    start = end;
  }
  return days;
}

/**
 * @param {number[]} ratios
 * @param {number} start
 * @param {Measures} measures
 */
function blocksOf(ratios, start, measures) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {Block | null} */
  let block = null;
  let index = 0;
  for (const { count, height } of rowsOf(ratios, measures)) {
    if (!block || block.boxes.length >= BLOCK_IMAGES) {
      block = { start: start + index, boxes: [], height: 0 };
      blocks.push(block);
    }
    let left = 0;
    for (const ratio of ratios.slice(index, index + count)) {
      block.boxes.push({ left, top: block.height, width: ratio * height, height });
      left += ratio * height + measures.gap;
    }
    block.height += height + measures.gap;
    index += count;
  }
  return blocks;
}

/**
 * Each row fills the width, with the number of images that brings its height closest to the wanted one. The last row
 * is no higher than that, and may end earlier.
 * @param {number[]} ratios
 * @param {Measures} measures
 * @returns {{count: number, height: number}[]}
 */
export function rowsOf(ratios, { width, rowHeight, gap }) {
  const rows = [];
  const heightOf = (/** @type {number} */ sum, /** @type {number} */ count) => (width - (count - 1) * gap) / sum;
  let [sum, count] = [0, 0];
  for (const ratio of ratios) {
    const [before, after] = [count ? heightOf(sum, count) : Infinity, heightOf(sum + ratio, count + 1)];
    if (after < rowHeight && before - rowHeight < rowHeight - after) {
      rows.push({ count, height: before });
      [sum, count] = [0, 0];
    }
    [sum, count] = [sum + ratio, count + 1];
    if (heightOf(sum, count) <= rowHeight) {
      rows.push({ count, height: heightOf(sum, count) });
      [sum, count] = [0, 0];
    }
  }
  if (count) rows.push({ count, height: Math.min(rowHeight, heightOf(sum, count)) });
  return rows;
}

/**
 * All boxes of all days in common coordinates, for moving among them.
 * @param {Day[]} days
 * @returns {Box[]}
 */
export function boxesOf(days) {
  /** @type {Box[]} */
  const boxes = [];
  let top = 0;
  for (const block of days.flatMap(({ blocks }) => blocks)) {
    const offset = top;
    block.boxes.forEach((box) => boxes.push({ ...box, top: box.top + offset }));
    top += block.height;
  }
  return boxes;
}
