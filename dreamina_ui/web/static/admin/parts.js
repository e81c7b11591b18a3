/* What several parts of the Admin tab are made of. */

import { element } from "../core/dom.js";
import { words } from "../core/words.js";

/**
 * A section with a heading.
 * @param {string} title
 * @param {Record<string, any>} attributes
 * @param {...Node} children
 */
export function section(title, attributes, ...children) {
  return element("section", attributes, element("h2", {}, title), ...children);
}

/**
 * @param {string[]} titles keys of texts
 * @param {(string | Node)[][]} rows
 */
export function table(titles, rows) {
  if (!rows.length) return nothing();
  const head = element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, words[title]))));
  const lines = rows.map((row) => element("tr", {}, ...row.map((cell, index) =>
    element("td", { "data-title": words[titles[index]], class: typeof cell === "string" ? "short" : null }, cell))));
  return element("table", {}, head, element("tbody", {}, ...lines));
}

export function nothing() {
  return element("p", { class: "soft" }, words.owner_nothing);
}

/** @param {string} name a hash, which for a login begins with "person-" */
export function shortName(name) {
  return name.slice(0, -24);
}
