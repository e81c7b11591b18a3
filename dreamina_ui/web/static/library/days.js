/* Dates in the page's language; a browser's own date field uses the browser's language. */

import { button, element } from "../core/dom.js";
import { language } from "../core/facts.js";
import { say, words } from "../core/words.js";
import { readDay } from "./read-day.js";

/** @typedef {{label: HTMLElement, input: HTMLInputElement, read: () => Date | null | undefined}} DayField */

const form = new Intl.DateTimeFormat(language, { year: "numeric", month: "2-digit", day: "2-digit" });
const order = form.formatToParts(0).map(({ type }) => /** @type {string} */ (type)).filter((type) => type !== "literal");
const example = form.format(new Date(2026, 11, 31));
let fields = 0;

/**
 * A text field for a day, with a button for the browser's calendar.
 * @param {string} text
 * @returns {DayField}
 */
export function dayField(text) {
  fields += 1;
  const id = `day-${fields}`;
  const input = element("input", { type: "text", autocomplete: "off", placeholder: say("day_example", { example }), size: example.length + 3, maxlength: 20, "aria-describedby": id });
  const calendar = element("input", { type: "date", tabindex: -1, "aria-hidden": "true" });
  const problem = element("p", { id, class: "problem", role: "alert" });
  const read = () => readDay(input.value, order);
  const check = () => {
    const isWrong = read() === null;
    input.setAttribute("aria-invalid", String(isWrong));
    problem.textContent = isWrong ? say("day_form", { example }) : "";
  };
  const open = button("▾", () => {
    const day = read();
    calendar.valueAsDate = day ? new Date(Date.UTC(day.getFullYear(), day.getMonth(), day.getDate())) : null;
    calendar.showPicker();
  }, { "aria-label": `${text}: ${words.calendar}`, title: words.calendar });
  input.addEventListener("change", check);
  calendar.addEventListener("change", () => {
    input.value = calendar.value && form.format(new Date(`${calendar.value}T00:00`));
    check();
    input.focus();
  });
  const label = element("div", { class: "day-field" }, element("label", {}, element("span", {}, text), input), calendar, open, problem);
  return { label, input, read };
}
