/* A table of a batch's jobs in rows and columns; its labels stay in sight while it is scrolled. */

import { element } from "../core/dom.js";
import { words } from "../core/words.js";

/** @typedef {{title: string, detail: string}} Label */
/** @typedef {{rows: Label[], columns: Label[]}} Labels */

export class Matrix {
  /** @type {HTMLTableCellElement[][]} */
  #cells;

  /** @param {Labels} labels */
  constructor({ rows, columns }) {
    this.#cells = rows.map(() => columns.map(() => element("td")));
    const heads = columns.map((label) => element("th", { scope: "col" }, ...partsOf(label, words.batch_column_job)));
    const lines = rows.map((label, row) => (
      element("tr", {}, element("th", { scope: "row", title: label.title }, ...partsOf(label, "")), ...this.#cells[row])));
    const table = element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col", class: "corner" }, words.batch_rows), ...heads)),
      element("tbody", {}, ...lines));
    this.node = element("div", { class: "batch-matrix", tabindex: 0, role: "region", "aria-label": words.batch_matrix, style: `--columns: ${columns.length}` }, table);
  }

  /** @param {number} row @param {number} column */
  cell(row, column) {
    return this.#cells[row][column];
  }
}

/** @param {Label} label @param {string} missing */
function partsOf({ title, detail }, missing) {
  const parts = [element("span", { class: "title", dir: "auto" }, title || missing)];
  return detail ? [...parts, element("span", { class: "detail", dir: "auto" }, detail)] : parts;
}
