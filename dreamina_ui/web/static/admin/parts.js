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
 * Parts beside each other, as many as there are.
 * @param {...{node: HTMLElement, show(overview: import("./types.js").Overview): void}} parts
 */
export function beside(...parts) {
  const show = (/** @type {import("./types.js").Overview} */ overview) => parts.forEach((part) => part.show(overview));
  return { node: element("div", { class: "row wide" }, ...parts.map(({ node }) => node)), show };
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
  return element("table", { class: "rows" }, head, element("tbody", {}, ...lines));
}

/**
 * A bar: what is certain, then what is expected, of the most there may be.
 * @param {string} label
 * @param {number} most
 * @param {number} certain
 * @param {number} [expected]
 */
export function meter(label, most, certain, expected = 0) {
  const part = (/** @type {number} */ value) => (most > 0 ? Math.min(100, (100 * value) / most) : 100);
  const bar = element("div", { class: "certain" });
  const rest = element("div", { class: "expected" });
  bar.style.width = `${part(certain)}%`;
  rest.style.width = `${Math.min(100 - part(certain), part(expected))}%`;
  const used = Math.round(part(certain + expected));
  return element("div", {
    class: used >= 100 ? "meter full" : "meter", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": used,
  }, bar, rest);
}

export function nothing() {
  return element("p", { class: "soft" }, words.owner_nothing);
}

/** @param {string} name a hash, which for a login begins with "person-" */
export function shortName(name) {
  return name.slice(0, -24);
}
