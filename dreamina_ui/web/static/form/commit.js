/* What is shown is what is sent: every field is committed before Generate, and only the form's fields start a job. */

import { closest } from "../core/dom.js";
import { stop } from "../core/press-guard.js";
import { say } from "../core/words.js";
import { submission } from "./generate.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {{input: HTMLInputElement | HTMLTextAreaElement, field?: Field, value?: any}} Uncommitted */

const GRADIO_MS = 50; // Gradio passes values on after a moment
let isCommitted = false;

/** @param {Field} field */
function shownFor(field) {
  const value = form.valueOf(field);
  return Array.isArray(value) ? "" : field.labels[field.choices.indexOf(value)] ?? "";
}

// What shows something else than the form holds.
function uncommitted() {
  /** @type {Uncommitted[]} */
  const rows = [];
  for (const field of form.model.fields) {
    const node = document.getElementById(field.id);
    const list = node?.querySelector("input[role=combobox]");
    if (list instanceof HTMLInputElement && list.value.trim() !== shownFor(field)) {
      rows.push({ input: list, field, value: form.valueOf(field) });
    }
    const text = node?.querySelector("textarea"); // some extensions of browsers write into it without an event
    const held = text && form.valueOf(field);
    if (text && typeof held === "string" && text.value !== held) rows.push({ input: text });
    for (const input of node?.querySelectorAll("input") ?? []) {
      if (input.type === "number" && input.value === "") rows.push({ input });
    }
  }
  return rows;
}

// Returns a text for the visitor if a field cannot be committed, otherwise "".
async function commit() {
  for (const { input, field, value } of uncommitted()) {
    if (!field) {
      if (input instanceof HTMLInputElement) restore(input);
      else input.dispatchEvent(new Event("input", { bubbles: true }));
      continue;
    }
    const typed = input.value.trim();
    const choice = typed ? choiceFor(field, typed) : value;
    if (choice === undefined) {
      input.focus();
      return say("choice_unclear", { value: typed, field: input.getAttribute("aria-label") || field.parameter });
    }
    input.blur();
    const all = Array.isArray(value) ? [...new Set([...value, choice])] : choice;
    if (typed) await form.fillIn(form.model.model_id, { [field.parameter]: all });
  }
  await new Promise((wait) => setTimeout(wait, GRADIO_MS));
  return "";
}

/**
 * The one choice that a text names; undefined where it names none or several.
 * @param {Field} field
 * @param {string} typed
 */
function choiceFor(field, typed) {
  const plain = (/** @type {any} */ text) => String(text).toLowerCase().replace(/×/g, "x").replace(/\s+/g, "");
  const texts = field.choices.map((choice, index) => [plain(choice), plain(field.labels[index])]);
  const wanted = plain(typed);
  const exact = field.choices.filter((_, index) => texts[index].includes(wanted));
  const part = field.choices.filter((_, index) => texts[index].some((text) => text.includes(wanted)));
  return exact.length === 1 ? exact[0] : part.length === 1 ? part[0] : undefined;
}

async function generate() {
  const problem = await commit();
  submission.tell(problem);
  const button = document.getElementById("generate");
  if (problem || !button?.checkVisibility()) return; // a prompt that is out of sight is never submitted
  isCommitted = true;
  button.click();
  isCommitted = false;
}

/* --- numbers */

/** @type {WeakMap<HTMLInputElement, string>} */
const lastNumbers = new WeakMap(); // number input -> its last valid text

/**
 * @param {Event} event
 * @returns {HTMLInputElement | null}
 */
function formNumber(event) {
  const node = closest(event, ".model-form input[type=number]");
  return node instanceof HTMLInputElement ? node : null;
}

/** @param {Event} event */
function remember(event) {
  const input = formNumber(event);
  if (input?.value) lastNumbers.set(input, input.value);
}

/**
 * An emptied number returns to its last value.
 * @param {HTMLInputElement} input
 */
function restore(input) {
  const last = lastNumbers.get(input);
  if (input.value !== "" || last === undefined) return;
  // Gradio's framework notices only what the browser's own setter does.
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(input, last);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @param {Event} event */
function insertPoint(event) {
  event.preventDefault();
  document.execCommand("insertText", false, "."); // the only way to insert an unfinished number
}

/** Guard the form from now on. */
export function startCommitting() {
  // Ctrl+Enter or Cmd+Enter in a field of the form is a click on Generate.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.repeat) return stop(event);
    if (event.isComposing || event.keyCode === 229) return;
    if (document.querySelector("dialog[open]") || !closest(event, ".model-form")) return;
    stop(event); // Gradio's dropdown would take the Enter
    generate();
  }, true);

  // A finger on Generate leaves the focus in the field: what was typed there is committed first.
  document.addEventListener("click", (event) => {
    if (!closest(event, "#generate") || isCommitted || uncommitted().length === 0) return;
    stop(event);
    generate();
  }, true);

  document.addEventListener("focusin", remember, true);
  document.addEventListener("change", remember, true);
  // Before Gradio's own listener, which would make the least value of an empty one; focusout comes after that.
  document.addEventListener("blur", (event) => {
    const input = formNumber(event);
    if (input) restore(input);
  }, true);

  // Browsers drop a comma in a number unless it is their own decimal mark.
  document.addEventListener("keydown", (event) => {
    if (event.key === "," && formNumber(event) && !event.ctrlKey && !event.metaKey) insertPoint(event);
  }, true);
  document.addEventListener("beforeinput", (event) => {
    if (event.data === "," && formNumber(event)) insertPoint(event);
  }, true);
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (!formNumber(event) || !/^-?\d*,\d+$/.test(text)) return;
    event.preventDefault();
    document.execCommand("insertText", false, text.replace(",", "."));
  }, true);
}
