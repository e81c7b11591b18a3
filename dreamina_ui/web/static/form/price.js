/* What the next job is expected to cost, and what the visitor may still do today. */

import { get, quota } from "../core/http.js";
import { priceEach, say, timeOfDay, usd, words } from "../core/words.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Quota} Quota */
/** @typedef {{one_usd: number, unit: string, switch?: string, count?: string, duration?: string, most_usd?: number, most_files?: number}} Price */
/** @typedef {{play_money: boolean, models: Record<string, Price | null>}} Prices */

const PRICES_MS = 600000; // how long prices are cached: a page may stay open for days

/** Events: `change`. */
class Terms extends EventTarget {
  /** @type {Prices | null} */
  prices = null;
  /** @type {Quota | null} */
  quota = null;
  #pricesAt = 0;
  /** @type {Map<string, Price | null>} */
  #own = new Map();

  /** Ask for both; either is optional, as the server enforces the limits. */
  refresh() {
    this.askPrices();
    quota().then((left) => {
      this.quota = left;
      this.dispatchEvent(new Event("change"));
    }).catch(() => {});
  }

  /** @param {boolean} [anew] an own key may have other prices */
  async askPrices(anew = false) {
    const isKnown = this.prices && Object.values(this.prices.models).every(Boolean);
    if (!anew && isKnown && performance.now() < this.#pricesAt + PRICES_MS) return;
    this.#pricesAt = performance.now();
    try {
      this.prices = await get("prices");
      this.dispatchEvent(new Event("change"));
    } catch { /* the note is optional */ }
  }

  /** Whether Generate could do nothing now. */
  get isOff() {
    if (!this.quota) return false;
    return this.quota.can_generate === false;
  }

  /**
   * What a model of the catalog costs.
   * @param {string} modelId
   * @param {Price | null} price
   */
  setPrice(modelId, price) {
    this.#own.set(modelId, price);
    this.dispatchEvent(new Event("change"));
  }

  /** The price of the form as it is; "" before anything is known. */
  priceText() {
    const id = form.model.model_id;
    return this.prices ? priceText(this.prices, this.#own.get(id) ?? this.prices.models[id]) : "";
  }

  /** What is left today, or why no job is taken. */
  quotaText() {
    if (!this.quota) return { text: "", title: "" };
    const { stopped, jobs_today: count, renewed_at: renewedAt } = this.quota;
    if (stopped || count === null) return { text: stopped, title: "" };
    return { text: say("left_today", { count }), title: say("resets_at", { time: timeOfDay(renewedAt) }) };
  }
}

export const terms = new Terms();

/**
 * @param {Prices} prices
 * @param {Price | null | undefined} price
 */
function priceText(prices, price) {
  if (!price) return words.price_unknown;
  const perFile = usd(price.one_usd);
  const field = form.fields.find((known) => known.parameter === price.switch);
  const count = numberIn(price.count) ?? 1;
  const seconds = price.unit.startsWith("s") && numberIn(price.duration);
  let text = priceEach(perFile, price.unit);
  if (seconds) return playing(prices, say("price_seconds", { price: usd(price.one_usd * seconds * count), count: seconds }));
  if (!["image", "output", "picture"].includes(price.unit)) return playing(prices, text);
  if (field && form.valueOf(field)) text = say("price_one", { price: perFile });
  else if (field) text = say("price_most", { price: usd(price.most_usd ?? 0), count: price.most_files });
  else if (count > 1) text = say("price_most", { price: usd(price.one_usd * count), count });
  return playing(prices, text);
}

/**
 * @param {Prices} prices
 * @param {string} text
 */
function playing(prices, text) {
  return prices.play_money ? say("price_play", { price: text }) : text;
}

/**
 * The number above 0 that a field of the form holds.
 * @param {string | undefined} parameter
 */
function numberIn(parameter) {
  const field = form.fields.find((known) => known.parameter === parameter);
  const value = field && Number(form.valueOf(field));
  return value && value > 0 ? value : undefined;
}
