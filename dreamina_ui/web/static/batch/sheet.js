// @ts-check
/* Where labels and images stand in the picture of a whole batch. No DOM. */

const GAP = 8;
const SMALL = 200; // px of an image beside others of its job
const SINGLE = 320;
const LABEL_WIDTH = 260;
const MAX_SIDE = 16000; // px that browsers draw

/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {{row: number, column: number, index: number}} Spot */

/**
 * @param {number} rows @param {number} columns
 * @param {Spot[]} images `index` is the position in the cell, from 0
 * @param {number} labelHeight of the labels above the columns
 * @param {number} [rowHeight] the least that a row's label needs
 */
export function sheetLayout(rows, columns, images, labelHeight, rowHeight = 0) {
  const perCell = Math.max(1, ...images.map(({ index }) => index + 1));
  const across = perCell > 1 ? 2 : 1;
  const side = perCell > 1 ? SMALL : SINGLE;
  const cellWidth = across * (side + GAP) + GAP;
  const cellHeight = Math.max(Math.ceil(perCell / across) * (side + GAP) + GAP, rowHeight);
  const width = LABEL_WIDTH + columns * cellWidth;
  const height = labelHeight + rows * cellHeight;
  /** @type {(row: number, column: number) => Box} */
  const cell = (row, column) => ({ left: LABEL_WIDTH + column * cellWidth, top: labelHeight + row * cellHeight, width: cellWidth, height: cellHeight });
  /** @type {(spot: Spot) => Box} */
  const image = ({ row, column, index }) => {
    const { left, top } = cell(row, column);
    return { left: left + GAP + (index % across) * (side + GAP), top: top + GAP + Math.floor(index / across) * (side + GAP), width: side, height: side };
  };
  return { width, height, scale: Math.min(1, MAX_SIDE / Math.max(width, height)), labelWidth: LABEL_WIDTH, cell, image };
}

/**
 * Break a text into lines: at spaces, and within words that are too long or have none.
 * @param {string} text
 * @param {(line: string) => boolean} fits
 * @param {number} most lines; the last one ends in "…" if there are more
 */
export function breakLines(text, fits, most) {
  /** @type {string[]} */
  const lines = [];
  let line = "";
  for (const word of text.split(/(?<=\s)/)) {
    if (fits((line + word).trimEnd())) {
      line += word;
      continue;
    }
    if (line) lines.push(line.trimEnd());
    line = "";
    for (const character of word) {
      if (line && !fits(line + character)) {
        lines.push(line);
        line = "";
      }
      line += character;
    }
  }
  if (line.trim()) lines.push(line.trimEnd());
  return lines.length > most ? [...lines.slice(0, most - 1), `${lines[most - 1]}…`] : lines;
}
