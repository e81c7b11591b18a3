// @ts-check
/* The images of a batch in reading order, for the viewer; up and down stay in the column. No DOM. */

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {ImageItem & {row: number, column: number}} BatchImage */

/** Event: `change`, when there are other images than before. */
export class BatchImages extends EventTarget {
  /** @type {BatchImage[]} */
  #items = [];

  get length() {
    return this.#items.length;
  }

  /** @param {number} index @returns {BatchImage | undefined} */
  at(index) {
    return this.#items[index];
  }

  /** @param {string} id */
  indexOf(id) {
    return this.#items.findIndex((item) => item.id === id);
  }

  get all() {
    return [...this.#items];
  }

  /** @param {BatchImage[]} items of all cells, in any order */
  set(items) {
    this.#items = [...items].sort((a, b) => a.row - b.row || a.column - b.column || a.index - b.index);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * The image above or below: of the same column, and if possible with the same number; null at the ends.
   * @param {number} index @param {1 | -1} direction
   */
  inColumn(index, direction) {
    const item = this.#items[index];
    if (!item) return null;
    const rows = this.#items.filter(({ row, column }) => column === item.column && (row - item.row) * direction > 0).map(({ row }) => row);
    if (!rows.length) return null;
    const row = direction > 0 ? Math.min(...rows) : Math.max(...rows);
    const cell = this.#items.filter((other) => other.row === row && other.column === item.column);
    return this.#items.indexOf(cell.find((other) => other.index === item.index) ?? cell[0]);
  }
}
