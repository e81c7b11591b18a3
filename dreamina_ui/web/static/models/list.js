/* Which models the chooser shows, and in which order. No DOM. */

/** @typedef {{model_id: string, title: string, kind: string, category: string, usd?: number | null, unit?: string, packaged?: boolean}} Row */
/** @typedef {{search: string, category: string, order: string}} Filter */

/** @param {string} text */
function plain(text) {
  return text.normalize("NFKD").replace(/\p{Mark}/gu, "").toLowerCase();
}

/**
 * @param {Row[]} rows in the service's order
 * @param {Filter} filter
 * @param {{favorites: string[], recent: string[]}} own of this visitor; `recent` has the last one first
 */
export function shownRows(rows, { search, category, order }, { favorites, recent }) {
  const parts = plain(search).split(/\s+/).filter(Boolean);
  const matching = rows.filter((row) => {
    const text = plain(`${row.title} ${row.model_id} ${row.category}`);
    return parts.every((part) => text.includes(part)) && isOf(row, category, favorites);
  });
  const index = (/** @type {Row} */ row) => (recent.includes(row.model_id) ? recent.indexOf(row.model_id) : Infinity);
  const starred = (/** @type {Row} */ row) => (favorites.includes(row.model_id) ? 0 : 1);
  const cost = (/** @type {Row} */ row) => row.usd ?? Infinity;
  const compare = /** @type {Record<string, (a: Row, b: Row) => number>} */ ({
    price: (a, b) => difference(cost(a), cost(b)),
    title: (a, b) => a.title.localeCompare(b.title),
    recent: (a, b) => starred(a) - starred(b) || difference(index(a), index(b)),
  });
  return matching.sort(compare[order] ?? compare.recent); // stable: the service's order is the last word
}

/**
 * @param {number} a
 * @param {number} b
 */
function difference(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}

/**
 * @param {Row} row
 * @param {string} category "" for all, "*" for favorites
 * @param {string[]} favorites
 */
function isOf(row, category, favorites) {
  return !category || (category === "*" ? favorites.includes(row.model_id) : row.category === category);
}

/**
 * The service's list with the models first whose forms are in the page, in their order there.
 * @param {Row[]} rows
 * @param {string[]} packaged their model_ids
 */
export function packagedFirst(rows, packaged) {
  const index = (/** @type {Row} */ row) => (packaged.includes(row.model_id) ? packaged.indexOf(row.model_id) : Infinity);
  return [...rows].sort((a, b) => difference(index(a), index(b)));
}
