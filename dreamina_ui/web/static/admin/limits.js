/* The owner's limits and blocked words. A refresh does not overwrite a field that is being edited. */

import { element } from "../core/dom.js";
import { language } from "../core/facts.js";
import { say, words } from "../core/words.js";
import { section } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Limit} Limit */
/** @typedef {import("./types.js").Overview} Overview */

/** @param {number} value */
function plainNumber(value) {
  return value.toLocaleString(language, { maximumFractionDigits: 2, useGrouping: false });
}

/** @param {string} text */
function asNumber(text) {
  const value = Number(text.trim().replace(",", "."));
  return Number.isFinite(value) ? value : text; // the server reports what is wrong with it
}

/**
 * @param {HTMLInputElement | HTMLTextAreaElement} input
 * @param {string} value
 */
function keep(input, value) {
  if (input.value === input.dataset.known) input.value = value;
  input.dataset.known = value;
}

export class LimitsForm {
  /** @type {Map<string, {input: HTMLInputElement, used: HTMLElement}>} */
  #rows = new Map();
  #form = element("form", { novalidate: true, id: "limits" });
  #save = element("button", { type: "submit", class: "main", form: "limits" }, words.owner_save);
  node = section(words.owner_limits, {}, element("p", { class: "soft" }, words.owner_limits_help), this.#form, this.#save);

  /** @param {Change} change */
  constructor(change) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const inputs = [...this.#rows.values()].map(({ input }) => input).filter((input) => input.value !== input.dataset.known);
      const limits = inputs.map((input) => [input.name, input.value.trim() === "" ? null : asNumber(input.value)]);
      change(this.#save, "limits", Object.fromEntries(limits));
    });
  }

  /** @param {Overview} overview */
  show({ limits }) {
    limits.forEach((limit) => this.#showLimit(limit));
  }

  /** @param {Limit} limit */
  #showLimit(limit) {
    const { input, used } = this.#rows.get(limit.name) ?? this.#newRow(limit);
    const isChanged = limit.most !== limit.at_start;
    input.placeholder = limit.at_start === null ? words.owner_no_limit : plainNumber(limit.at_start);
    keep(input, isChanged && limit.most !== null ? plainNumber(limit.most) : "");
    if (limit.most === null) {
      used.replaceChildren(say("owner_used_freely", { used: plainNumber(limit.used) }));
      return;
    }
    const value = limit.most > 0 ? Math.min(1, limit.used / limit.most) : 1;
    used.replaceChildren(
      say("owner_used", { used: plainNumber(limit.used), most: plainNumber(limit.most) }),
      element("progress", { value, max: 1, class: value >= 1 ? "full" : "", "aria-label": words[`owner_limit_${limit.name}`] }),
    );
  }

  /** @param {Limit} limit */
  #newRow({ name }) {
    const id = `limit-${name}`;
    const input = element("input", { id, name, inputmode: "decimal", autocomplete: "off", maxlength: 12, "data-known": "" });
    const used = element("div", { class: "used soft" });
    this.#form.append(element("div", { class: "limit" }, element("label", { for: id }, words[`owner_limit_${name}`]), input, used));
    const row = { input, used };
    this.#rows.set(name, row);
    return row;
  }
}

export class BlockedWords {
  #input = element("textarea", { id: "words", spellcheck: "false", dir: "auto", "data-known": "" });
  #save = element("button", { type: "submit", class: "main" }, words.owner_save);
  #form = element("form", {}, element("label", { for: "words", class: "soft" }, words.owner_words_help), this.#input, this.#save);
  node = section(words.owner_words, {}, this.#form);

  /** @param {Change} change */
  constructor(change) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      change(this.#save, "words", { words: this.#input.value.split("\n").filter((line) => line.trim()) });
    });
  }

  /** @param {Overview} overview */
  show({ rules }) {
    keep(this.#input, rules.words.join("\n"));
  }
}
