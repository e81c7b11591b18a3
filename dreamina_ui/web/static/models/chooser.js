/* The dialog that lists all models: search, category, order, favorites. */

import { button, cancelIdle, element, icon, openDialog, whenIdle } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { moment, priceEach, say, usd, words } from "../core/words.js";
import { findModel } from "../form/more-models.js";
import { useSettings } from "../form/settings.js";
import { form } from "../form/state.js";
import "./live-form.js"; // its styles are the dialog's, too
import { packagedFirst, shownRows } from "./list.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {{read_at: number | null, is_stale: boolean, models: Row[], left_out: {model_id: string, title: string, reason: string}[], favorites: string[], recent: string[]}} Listing */

const FIRST_ROWS = 40; // what a window shows; the others follow when the browser has time

const FRESH_MS = 10_000;
/** @type {{at: number, listing: Promise<Listing>} | null} */
let prepared = null;

/** Read the list of models: somebody is about to open it. */
export function prepareChooser() {
  if (prepared && performance.now() < prepared.at + FRESH_MS) return;
  const listing = /** @type {Promise<Listing>} */ (get("models"));
  prepared = { at: performance.now(), listing };
  listing.catch(() => { prepared = null; });
}

/** Open the dialog. */
export async function openChooser() {
  prepareChooser();
  const listing = /** @type {Listing} */ (await prepared?.listing);
  prepared = null; // favorites and what was used last may change
  new Chooser(listing).open();
}

class Chooser {
  #rows;
  /** @type {{favorites: string[], recent: string[]}} */
  #own;
  #list = element("ul", { class: "models", "aria-label": words.models });
  #search = element("input", { type: "search", placeholder: words.search_models, "aria-label": words.search_models, id: "model-search" });
  #category;
  #order = element("select", { "aria-label": words.order_models },
    ...["recent", "price", "title"].map((name) => element("option", { value: name }, words[`models_by_${name}`])));
  #count = element("p", { class: "soft", role: "status" });
  /** @type {HTMLDialogElement} */
  #dialog = element("dialog", { class: "chooser", id: "model-chooser" });
  #heading = element("h2", {}, words.models);
  #pending = 0;

  /** @param {Listing} listing */
  constructor(listing) {
    this.#rows = packagedFirst(listing.models, form.models.map((model) => model.model_id));
    this.#own = { favorites: listing.favorites, recent: listing.recent };
    const categories = [...new Set(listing.models.map((row) => row.category).filter(Boolean))].sort();
    this.#category = element("select", { "aria-label": words.model_category }, element("option", { value: "" }, words.all_models),
      element("option", { value: "*" }, words.favorite_models), ...categories.map((name) => element("option", { value: name }, categoryText(name))));
    for (const node of [this.#search, this.#category, this.#order]) node.addEventListener("input", () => this.#render());
    const close = button("", () => this.#dialog.close(), { class: "close", "aria-label": words.close, title: words.close });
    close.append(icon("close"));
    this.#dialog.append(
      element("div", { class: "head" }, this.#heading, close),
      element("div", { class: "filters" }, this.#search, this.#category, this.#order),
      ...notes(listing), this.#count, this.#list, ...leftOut(listing));
    this.#dialog.addEventListener("close", () => this.#dialog.remove());
  }

  open() {
    this.#render();
    openDialog(this.#dialog, this.#heading);
    if (matchMedia("(pointer: fine)").matches) this.#search.focus();
  }

  #render() {
    cancelIdle(this.#pending);
    const filter = { search: this.#search.value, category: this.#category.value, order: this.#order.value };
    const rows = shownRows([...this.#rows], filter, this.#own);
    this.#count.textContent = say("models_found", { count: rows.length });
    this.#list.replaceChildren(...rows.slice(0, FIRST_ROWS).map((row) => this.#item(row)));
    this.#pending = whenIdle(() => this.#list.append(...rows.slice(FIRST_ROWS).map((row) => this.#item(row))));
  }

  /** @param {Row} row */
  #item(row) {
    const facts = [categoryText(row.category) || row.kind, priceOf(row)].filter(Boolean).join(" · ");
    const choose = button("", () => this.#choose(row), { class: "model", "aria-current": row.model_id === form.model.model_id ? "true" : null });
    choose.append(element("b", {}, row.title), element("span", { class: "soft" }, facts), element("code", {}, row.model_id));
    const star = button("", () => this.#star(row, star), { class: "star", "aria-label": say("favorite_model", { model: row.title }),
      "aria-pressed": String(this.#own.favorites.includes(row.model_id)) });
    star.append(icon("star"));
    return element("li", {}, choose, star);
  }

  /**
   * @param {Row} row
   * @param {HTMLButtonElement} node
   */
  async #star(row, node) {
    const isFavorite = !this.#own.favorites.includes(row.model_id);
    const { answer: own, refusal } = await post("models/favorite", { model_id: row.model_id, is_favorite: isFavorite });
    if (!own) return tell(refusal ?? words.request_failed);
    this.#own.favorites = own.favorites;
    node.setAttribute("aria-pressed", String(isFavorite));
  }

  /** @param {Row} row */
  async #choose(row) {
    const before = form.model;
    const model = await findModel(row.model_id);
    if (!model) return tell(words.model_not_loaded);
    this.#dialog.close();
    const text = before.fields.find((field) => field.is_text);
    const same = text && model.fields.find((field) => field.is_text && field.parameter === text.parameter);
    const typed = text && form.valueOf(text);
    const parameters = same && typed ? { [same.parameter]: typed } : {};
    return useSettings({ model_id: row.model_id, parameters, message: "", focus: "prompt" });
  }
}

/** A category of the service in the page's language, where we know it. @param {string} category */
function categoryText(category) {
  return words[`category_${category.replaceAll("-", "_")}`] ?? category;
}

/** @param {Row} row */
function priceOf(row) {
  if (row.usd === null || row.usd === undefined) return "";
  return priceEach(usd(row.usd), row.unit ?? "");
}

/** @param {Listing} listing */
function notes({ read_at: readAt, is_stale: isStale }) {
  return isStale && readAt ? [element("p", { class: "soft" }, say("models_stale", { time: moment(readAt) }))] : [];
}

/** @param {Listing} listing */
function leftOut({ left_out: rows }) {
  if (!rows.length) return [];
  const list = element("ul", { class: "left-out" });
  const details = element("details", {}, element("summary", {}, say("models_left_out", { count: rows.length })), list);
  details.addEventListener("toggle", () => {
    list.replaceChildren(...rows.map((row) => element("li", {}, `${row.title} – ${words[`model_problem_${row.reason}`]}`)));
  }, { once: true });
  return [details];
}
