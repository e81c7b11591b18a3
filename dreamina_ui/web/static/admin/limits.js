/* The owner's limits and blocked words. A refresh does not overwrite a field that is being edited. */

import { language } from "../core/facts.js";
import { say, usd, words } from "../core/words.js";
import { button, element } from "../core/dom.js";
import { post } from "../core/http.js";
import { meter, section } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Limit} Limit */
/** @typedef {import("./types.js").Overview} Overview */

const NO_LIMIT = "none";

/** @param {number} value */
function plainNumber(value) {
  return value.toLocaleString(language, { maximumFractionDigits: 2, useGrouping: false });
}

/** @param {string} text */
function asNumber(text) {
  if (text.trim() === words.owner_no_limit) return NO_LIMIT;
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
  #presets = element("div", { class: "presets", role: "group", "aria-label": words.owner_presets });
  #about = element("p", { class: "soft", role: "status" });
  node = section(words.owner_limits, {}, this.#presets, this.#about, element("p", { class: "soft" }, words.owner_limits_help), this.#form, this.#save);

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
  show({ limits, presets }) {
    if (!this.#presets.childElementCount) {
      this.#presets.append(...Object.entries(presets).map(([name, values]) => button(words[`owner_preset_${name}`], () => this.#fill(name, values))));
    }
    limits.forEach((limit) => this.#showLimit(limit));
  }

  /**
   * Fill in a preset; nothing changes before Save.
   * @param {string} name
   * @param {Record<string, number | null>} values
   */
  #fill(name, values) {
    for (const [key, { input }] of this.#rows) {
      const value = values[key];
      input.value = value === null ? words.owner_no_limit : plainNumber(value);
    }
    this.#about.textContent = `${words[`owner_preset_${name}_about`]} ${words.owner_preset_save}`;
    this.#save.focus();
  }

  /** @param {Limit} limit */
  #showLimit(limit) {
    const { input, used } = this.#rows.get(limit.name) ?? this.#newRow(limit);
    const isChanged = limit.most !== limit.at_start;
    input.placeholder = limit.at_start === null ? words.owner_no_limit : plainNumber(limit.at_start);
    const text = limit.most === null ? words.owner_no_limit : plainNumber(limit.most);
    keep(input, isChanged ? text : "");
    const shown = limit.name.startsWith("usd") ? usd : plainNumber;
    if (limit.most === null) {
      used.replaceChildren(say("owner_used_freely", { used: shown(limit.used) }));
      return;
    }
    used.replaceChildren(
      say("owner_used", { used: shown(limit.used), most: shown(limit.most) }),
      meter(words[`owner_limit_${limit.name}`], limit.most, limit.used),
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
  #sample = element("input", { id: "words-test", autocomplete: "off", maxlength: 2000, dir: "auto" });
  #found = element("p", { class: "soft", role: "status" });
  #test = element("form", { class: "words-test" }, element("label", { for: "words-test", class: "soft" }, words.owner_words_test), this.#sample,
    element("button", { type: "submit" }, words.owner_test), this.#found);
  node = section(words.owner_words, {}, this.#form, this.#test);

  /** @param {Change} change */
  constructor(change) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      change(this.#save, "words", { words: this.#lines });
    });
    this.#test.addEventListener("submit", async (event) => {
      event.preventDefault();
      const outcome = await post("owner/try-words", { words: this.#lines, text: this.#sample.value });
      this.#test.dataset.found = String(Boolean(outcome.answer?.found.length));
      const matches = outcome.answer?.found ?? [];
      this.#found.textContent = outcome.refusal ?? (matches.length ? say("owner_words_found", { words: matches.join(", ") }) : words.owner_words_clear);
    });
  }

  get #lines() {
    return this.#input.value.split("\n").filter((line) => line.trim());
  }

  /** @param {Overview} overview */
  show({ rules }) {
    keep(this.#input, rules.words.join("\n"));
  }
}
