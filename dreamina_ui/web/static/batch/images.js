// @ts-check
/* The images of a batch in reading order, for the viewer; up and down stay in the column. No DOM. */

import { ImageList } from "../core/image-list.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {ImageItem & {row: number, column: number}} BatchImage */

/** @extends {ImageList<BatchImage>} */
export class BatchImages extends ImageList {
  /** @override @param {BatchImage[]} items of all cells, in any order */
  show(items) {
    super.show([...items].sort((a, b) => a.row - b.row || a.column - b.column || a.index - b.index));
  }

  /**
   * The image above or below: of the same column, and if possible with the same number; null at the ends.
   * @param {number} index @param {1 | -1} direction
   */
  inColumn(index, direction) {
    const item = this.items[index];
    if (!item) return null;
    const rows = this.items.filter(({ row, column }) => column === item.column && (row - item.row) * direction > 0).map(({ row }) => row);
    if (!rows.length) return null;
    const row = direction > 0 ? Math.min(...rows) : Math.max(...rows);
    const cell = this.items.filter((other) => other.row === row && other.column === item.column);
    return this.items.indexOf(cell.find((other) => other.index === item.index) ?? cell[0]);
  }
}
