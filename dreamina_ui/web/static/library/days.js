// @ts-nocheck
/* Dates in the page's language; a browser's own date field uses the browser's language. */

import { element } from "../core/dom.js";
import { language } from "../core/facts.js";
import { say, words } from "../core/words.js";

const form = new Intl.DateTimeFormat(language, { year: "numeric", month: "2-digit", day: "2-digit" });
const order = form.formatToParts(0).map(({ type }) => type).filter((type) => type !== "literal");
const example = form.format(new Date(2026, 11, 31));
let fields = 0;

/* Parse a day in the language's order or as 2026-12-31; returns a Date at its start,
 * null if it is no valid day, undefined if the text is empty. */
function read(text) {
  if (!text.trim()) return undefined;
  const numbers = text.match(/\d+/g) || [];
  const names = numbers[0]?.length === 4 ? ["year", "month", "day"] : order;
  const { year, month, day } = Object.fromEntries(names.map((name, place) => [name, Number(numbers[place])]));
  const date = new Date(year, month - 1, day);
  const isDay = numbers.length === 3 && year > 999 && date.getMonth() === month - 1 && date.getDate() === day;
  return isDay ? date : null;
}

// A text field for a day, with a button for the browser's calendar: {label, read}.
export function dayField(text) {
  const id = `day-${++fields}`;
  const input = element("input", { type: "text", autocomplete: "off", placeholder: example, size: example.length, maxlength: 20, "aria-describedby": id });
  const calendar = element("input", { type: "date", tabindex: -1, "aria-hidden": "true" });
  const open = element("button", { type: "button", "aria-label": `${text}: ${words.calendar}`, title: words.calendar }, "▾");
  const problem = element("p", { id, class: "problem", role: "alert" });
  const check = () => {
    const isWrong = read(input.value) === null;
    input.setAttribute("aria-invalid", String(isWrong));
    problem.textContent = isWrong ? say("day_form", { example }) : "";
  };
  input.addEventListener("change", check);
  open.addEventListener("click", () => {
    const day = read(input.value);
    calendar.valueAsDate = day ? new Date(Date.UTC(day.getFullYear(), day.getMonth(), day.getDate())) : null;
    calendar.showPicker();
  });
  calendar.addEventListener("change", () => {
    input.value = calendar.value && form.format(new Date(`${calendar.value}T00:00`));
    check();
    input.focus();
  });
  const label = element("div", { class: "day" }, element("label", {}, element("span", {}, text), input), calendar, open, problem);
  return { label, read: () => read(input.value) };
}
