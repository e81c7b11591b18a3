/* Where a job's images stand on the stage. Pure: no DOM. Lengths are CSS pixels. */

/**
 * @typedef {object} Grid
 * @property {number[]} columns widths
 * @property {number[]} rows heights
 * @property {"none" | "tall" | "wide"} lead whether the first image is larger: it spans two rows, or two columns
 */

/**
 * The arrangement that shows the most of `count` images of one shape, and leaves no hole where there are up to four.
 * @param {number} count
 * @param {number} ratio width divided by height of each image
 * @param {number} width of the stage
 * @param {number} maxHeight
 * @param {number} gap between images
 * @returns {Grid}
 */
export function stageGrid(count, ratio, width, maxHeight, gap) {
  const bounds = { ratio, width, maxHeight, gap };
  const grids = count === 3 ? [tallLead(bounds), wideLead(bounds), even(3, 3, bounds), even(3, 1, bounds)] : evenGrids(count, bounds);
  return grids.reduce((best, grid) => (areaOf(grid, count) > areaOf(best, count) + 1 ? grid : best));
}

/** @typedef {{ratio: number, width: number, maxHeight: number, gap: number}} Bounds */

/**
 * @param {number} count
 * @param {Bounds} bounds
 */
function evenGrids(count, bounds) {
  if (count === 4) return [even(4, 2, bounds)];
  const columns = Array.from({ length: Math.max(1, count) }, (_, index) => index + 1);
  return columns.map((column_count) => even(count, column_count, bounds));
}

/**
 * @param {number} count
 * @param {number} columns
 * @param {Bounds} bounds
 * @returns {Grid}
 */
function even(count, columns, { ratio, width, maxHeight, gap }) {
  const rows = Math.max(1, Math.ceil(count / columns));
  const height = Math.min((width - gap * (columns - 1)) / columns / ratio, (maxHeight - gap * (rows - 1)) / rows);
  return { columns: Array(columns).fill(height * ratio), rows: Array(rows).fill(height), lead: "none" };
}

/**
 * One large image at the left, two small ones beside it.
 * @param {Bounds} bounds
 * @returns {Grid}
 */
function tallLead({ ratio, width, maxHeight, gap }) {
  const small = Math.min((width - gap - ratio * gap) / (3 * ratio), (maxHeight - gap) / 2);
  return { columns: [ratio * (2 * small + gap), ratio * small], rows: [small, small], lead: "tall" };
}

/**
 * One large image above two small ones.
 * @param {Bounds} bounds
 * @returns {Grid}
 */
function wideLead({ ratio, width, maxHeight, gap }) {
  const small = Math.min((width - gap) / 2 / ratio, (maxHeight - gap - gap / ratio) / 3);
  return { columns: [small * ratio, small * ratio], rows: [2 * small + gap / ratio, small], lead: "wide" };
}

/**
 * @param {Grid} grid
 * @param {number} count
 */
function areaOf({ columns, rows, lead }, count) {
  const total = (/** @type {number[]} */ lengths) => lengths.reduce((sum, length) => sum + length, 0);
  return lead === "none" ? count * columns[0] * rows[0] : total(columns) * total(rows);
}
