/* The values of a batch's fields: several for each, typed or checked. */

import { button, element } from "../core/dom.js";
import { words } from "../core/words.js";
import { numbersIn } from "./parse.js";

/** @typedef {{key: string, title: string, choices: {value: any, label: string}[]}} BatchField */
/** @typedef {{node: HTMLElement, read: () => any[], draft: () => any}} AxisInput */

/** @param {BatchField} field @param {any} stored as `draft` returned it, or a list of values @returns {AxisInput} */
export function axisInput(field, stored) {
  return field.choices.length ? choices(field, stored) : numbers(field, stored);
}

/** @param {BatchField} field @param {any} stored @returns {AxisInput} */
function choices(field, stored) {
  const boxes = field.choices.map(({ value, label }) => {
    const box = element("input", { type: "checkbox" });
    box.checked = Array.isArray(stored) && stored.includes(value);
    return { value, box, label: element("label", {}, box, " ", label) };
  });
  const read = () => boxes.filter(({ box }) => box.checked).map(({ value }) => value);
  const node = element("fieldset", {},
    element("legend", {}, field.title),
    element("div", { class: "batch-choices" }, ...boxes.map(({ label }) => label)),
    element("p", { class: "hint" }, words.batch_as_form));
  return { node, read, draft: read };
}

/** @param {BatchField} field @param {any} stored @returns {AxisInput} */
function numbers(field, stored) {
  const id = `batch-field-${field.key.replace(/\W/g, "-")}`;
  const input = element("input", { id, type: "text", inputmode: "text", autocomplete: "off", "aria-describedby": `${id}-hint` });
  input.value = Array.isArray(stored) ? stored.map((value) => String(value).replace(".", words.decimal_mark)).join(" ") : stored ?? "";
  const node = element("div", {},
    element("label", { for: id }, field.title), input,
    element("p", { id: `${id}-hint`, class: "hint" }, words.batch_numbers));
  return { node, read: () => numbersIn(input.value, words.decimal_mark), draft: () => input.value };
}

/**
 * Which of the axes stand above the columns; the others are at the side.
 * @param {{key: string, title: string, is_column: boolean}[]} axes
 * @param {(columns: string[]) => void} choose
 */
export function columnChoice(axes, choose) {
  const toggles = axes.map((axis) => button(axis.title, () => {
    choose(axes.filter(({ key, is_column: isColumn }) => (key === axis.key ? !isColumn : isColumn)).map(({ key }) => key));
  }, { "aria-pressed": String(axis.is_column), "data-axis": axis.key }));
  return element("div", { class: "batch-columns", role: "group", "aria-label": words.batch_columns },
    element("span", {}, words.batch_columns), ...toggles);
}
