/* Which days the library shows: today, the last days, or between two dates. */

import { button, element, emit } from "../core/dom.js";
import { say, words } from "../core/words.js";
import { dayField } from "./days.js";

/** @type {[string, string][]} */
const PERIODS = [["1", words.library_today], ["7", say("library_days", { count: 7 })], ["30", say("library_days", { count: 30 })]];

/** Event: `change`, when somebody chose other days. */
export class Period extends EventTarget {
  since = dayField(words.library_since);
  until = dayField(words.library_until);
  #chips = new Map(PERIODS.map(([days, text]) => [days, button(text, () => this.#choose(days), { class: "chip-button", "aria-pressed": "false" })]));
  #dates = element("details", { class: "dates" }, element("summary", { class: "chip-button" }, words.library_dates),
    element("div", { class: "dates-fields" }, this.since.label, this.until.label));
  nodes = [...this.#chips.values(), this.#dates];
  #days = ""; // how many, with today; "" for dates or all

  constructor() {
    super();
    for (const name of ["input", "change"]) this.#dates.addEventListener(name, () => this.#setDays(""));
    this.#dates.addEventListener("keydown", (event) => { if (event.key === "Escape") this.#dates.open = false; });
    document.addEventListener("pointerdown", (event) => {
      if (!event.composedPath().includes(this.#dates)) this.#dates.open = false;
    });
  }

  /** @param {string} days */
  #setDays(days) {
    this.#days = days;
    for (const [known, node] of this.#chips) node.setAttribute("aria-pressed", String(known === days));
    this.#dates.toggleAttribute("data-set", Boolean(this.since.input.value.trim() || this.until.input.value.trim()));
  }

  /** @param {string} days */
  #choose(days) {
    this.since.input.value = this.until.input.value = "";
    this.#setDays(days === this.#days ? "" : days);
    emit(this, "change");
  }

  /** As the page's URL has it. @returns {Record<string, string>} */
  get urlQuery() {
    return { days: this.#days, since: this.since.input.value.trim(), until: this.until.input.value.trim() };
  }

  set urlQuery({ days = "", since = "", until = "" }) {
    if (this.since.input.value.trim() !== since) this.since.input.value = since;
    if (this.until.input.value.trim() !== until) this.until.input.value = until;
    this.#setDays(this.#chips.has(days) ? days : "");
  }

  /** As the server takes it: `since` and `until` in s since 1970. */
  get query() {
    const [since, until] = [this.since.read(), this.until.read()];
    until?.setDate(until.getDate() + 1); // up to the end of that day
    const first = new Date();
    first.setHours(0, 0, 0, 0);
    first.setDate(first.getDate() - Number(this.#days) + 1);
    const start = this.#days ? first : since;
    return { since: start ? start.getTime() / 1000 : "", until: until ? until.getTime() / 1000 : "" };
  }
}
