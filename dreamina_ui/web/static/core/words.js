/* The texts of this page in its language. They are there before a module that imports this one runs. */

import { facts, language, root } from "./facts.js";
import { fillIn, shortenTo } from "./plural.js";

const PAUSE_MS = 2000;
const SHORT = 60;

/** @type {Record<string, string>} */
export const words = await load();

// An immutable file. Nothing can be shown without texts, so the request is repeated until it succeeds.
async function load() {
  for (;;) {
    try {
      const response = await fetch(new URL(facts.languages[language]?.words ?? "", root));
      if (response.ok) return response.json();
    } catch { /* no connection: repeated in a moment */ }
    await new Promise((wait) => setTimeout(wait, PAUSE_MS));
  }
}

/**
 * @param {string} key
 * @param {Record<string, any>} [values]
 */
export function say(key, values = {}) {
  return fillIn(words[key] ?? "", values, language);
}

/** @param {number} value */
export function number(value) {
  return value.toLocaleString(language);
}

/** @param {number} amount */
export function usd(amount) {
  return amount.toLocaleString(language, { style: "currency", currency: "USD", maximumFractionDigits: 4 });
}

/**
 * A duration in its natural unit.
 * @param {number} seconds
 * @param {number} [digits]
 */
export function duration(seconds, digits = 0) {
  const units = /** @type {[number, string][]} */ ([[3600, "hour"], [60, "minute"]]);
  const [size, unit] = units.find(([unitS]) => seconds >= 2 * unitS) ?? [1, "second"];
  const form = { style: "unit", unit, unitDisplay: "short", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return (seconds / size).toLocaleString(language, /** @type {Intl.NumberFormatOptions} */ (form));
}

/**
 * What one of something costs, as the service counts.
 * @param {string} price
 * @param {string} unit such as `output` or `second`; "" for an image
 */
export function priceEach(price, unit) {
  if (["image", "output", "picture", ""].includes(unit)) return say("price_each", { price });
  return unit === "second" ? say("price_second", { price }) : say("price_unit", { price, unit });
}

/**
 * A date and time.
 * @param {number} seconds since 1970
 */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

/**
 * A time of day.
 * @param {number} seconds since 1970
 */
export function timeOfDay(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
}

/** @param {string} text */
export function shorten(text) {
  return shortenTo(text, SHORT);
}

/**
 * The cost of a job as a text; "" while it may still cost nothing.
 * @param {import("./types.js").Job} job
 */
export function costOf(job) {
  if (job.cost_usd === null) return job.cost_is_unknown ? say("cost_unknown") : "";
  return job.is_play ? say("play_money", { usd: usd(job.cost_usd) }) : usd(job.cost_usd);
}
