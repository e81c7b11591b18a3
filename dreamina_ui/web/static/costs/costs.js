/* Spending: a small chart with its tables. */

import { button, element } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { get } from "../core/http.js";
import { number, say, usd, words } from "../core/words.js";

/** @typedef {{usd: number, unknown: number, [name: string]: number}} Sum */
/** @typedef {"days" | "months"} Unit */
/** @typedef {{total: Sum, own_key: Sum, days: Record<string, Sum>, months: Record<string, Sum>, models: Record<string, Sum>}} Spending */

const UNITS = /** @type {const} */ (["days", "months"]);
const TITLES = { days: words.costs_days, months: words.costs_months };
const SLOTS = { days: 30, months: 12 };
const titles = Object.fromEntries(facts.models.map((model) => [model.model_id, model.title]));
/** @type {Sum} */
const NOTHING = { usd: 0, told: 0, unknown: 0 };
/** @type {Unit} */
let unit = "days";

/**
 * The same without a fold, for the owner.
 * @returns {{node: HTMLElement, load(): Promise<void>}}
 */
export function costsSection() {
  const node = element("div", { class: "costs" });
  return { node, load: () => load(node) };
}

/** A panel that loads its data each time it is opened. */
export function costsPanel() {
  const body = element("div", { class: "costs-body" });
  const box = element("details", { class: "costs" }, element("summary", {}, words.costs), body);
  box.addEventListener("toggle", () => box.open && load(body));
  return box;
}

/** @param {HTMLElement} body */
async function load(body) {
  try {
    show(body, await get("costs"));
  } catch {
    body.replaceChildren(element("p", { role: "status" }, words.request_failed));
  }
}

/**
 * @param {HTMLElement} body
 * @param {any} spending
 */
function show(body, spending) {
  const budgets = ["money", "play"].filter((name) => spending[name].total.told + spending[name].total.unknown);
  body.replaceChildren(
    ...(budgets.includes("money") ? [element("p", { class: "hint" }, spending.is_owner ? words.costs_of_owner : words.costs_of_visitor)] : []),
    ...(budgets.length ? [] : [element("p", {}, words.costs_none)]),
    ...budgets.map((name) => section(name, spending[name], spending.today)),
  );
}

/**
 * @param {string} budget
 * @param {Spending} spending
 * @param {string} today such as `2026-11-29`
 */
function section(budget, spending, today) {
  const { total, own_key: own } = spending;
  const parts = [
    total.told ? say("costs_total", { usd: usd(total.usd), jobs: total.told }) : "",
    total.unknown ? say("costs_unknown", { count: total.unknown }) : "",
    own.told ? say("costs_own_key", { usd: usd(own.usd) }) : "",
  ];
  const chart = element("div", { class: "costs-chart" });
  const buttons = UNITS.map((name) => button(TITLES[name], () => { unit = name; draw(); }, { "data-unit": name }));
  const draw = () => {
    buttons.forEach((node) => node.setAttribute("aria-pressed", String(node.dataset.unit === unit)));
    chart.replaceChildren(...bars(spending[unit], today));
  };
  draw();
  const models = Object.entries(spending.models).map(([id, sum]) => /** @type {[string, Sum]} */ ([titles[id] || id, sum]));
  return element("section", { class: "costs-purse", "data-purse": budget },
    ...(budget === "play" ? [element("p", { class: "costs-play" }, words.costs_play)] : []),
    element("p", { class: "costs-total" }, parts.filter(Boolean).join(" · ")),
    element("div", { class: "costs-units" }, ...buttons),
    chart,
    table(words.costs_models, words.detail_model, models),
  );
}

/**
 * Bars, and the same numbers as a table for screen readers.
 * @param {Record<string, Sum>} sums
 * @param {string} today
 */
function bars(sums, today) {
  const names = slots(today);
  const most = Math.max(...names.map((name) => sums[name]?.usd || 0));
  const nodes = names.map((name) => {
    const sum = sums[name] || NOTHING;
    const texts = [shown(name), sum.told || !sum.unknown ? usd(sum.usd) : "", sum.unknown ? say("costs_unknown", { count: sum.unknown }) : ""];
    const bar = element("div", { class: "costs-bar" });
    bar.style.height = `${(100 * sum.usd) / (most || 1)}%`;
    const slot = element("div", { class: "costs-slot", title: texts.filter(Boolean).join(" · ") }, bar);
    if (sum.unknown) bar.before(element("span", { class: "costs-mark" }, "?"));
    return slot;
  });
  const rows = names.filter((name) => sums[name]).reverse().map((name) => /** @type {[string, Sum]} */ ([shown(name), sums[name]]));
  const ends = [names[0], names[names.length - 1]].map((name) => element("span", {}, shown(name)));
  return [
    element("div", { class: "costs-most", "aria-hidden": "true" }, most ? usd(most) : ""),
    element("div", { class: "costs-bars", "aria-hidden": "true" }, ...nodes),
    element("div", { class: "costs-axis", "aria-hidden": "true" }, ...ends),
    element("details", { class: "costs-table" },
      element("summary", {}, words.costs_table), table(TITLES[unit], words.costs_when, rows)),
  ];
}

/**
 * @param {string} caption
 * @param {string} first the title of the first column
 * @param {[string, Sum][]} rows
 */
function table(caption, first, rows) {
  const head = [first, words.detail_cost, words.costs_jobs, words.costs_jobs_unknown];
  const lines = rows.map(([name, sum]) => {
    const cells = [sum.told ? usd(sum.usd) : words.unknown, number(sum.told + sum.unknown), number(sum.unknown)];
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((text) => element("td", {}, text)));
  });
  return element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...lines));
}

/**
 * The keys of the newest days or months in the server's format: `2026-11-23` or `2026-11`.
 * @param {string} today
 */
function slots(today) {
  const [year, month, day] = today.split("-").map(Number);
  return Array.from({ length: SLOTS[unit] }, (_, index) => {
    const ago = SLOTS[unit] - 1 - index;
    const date = unit === "days" ? Date.UTC(year, month - 1, day - ago) : Date.UTC(year, month - 1 - ago);
    return new Date(date).toISOString().slice(0, unit === "days" ? 10 : 7);
  });
}

/** @param {string} name */
function shown(name) {
  /** @type {Intl.DateTimeFormatOptions} */
  const format = name.length > 7 ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" };
  return new Intl.DateTimeFormat(language, { timeZone: "UTC", ...format }).format(new Date(name));
}
