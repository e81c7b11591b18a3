/* Short notes at the bottom of the window. What can be undone stays for as long as it can be, whatever else is said. */

import { button, element, icon } from "./dom.js";
import { words } from "./words.js";

const SHORT_MS = 8000;
const UNDO_MS = 60000;

/** @typedef {{text: string, undo: () => unknown, until: number}} Undoable */

const spoken = element("span", { class: "spoken" });
const undoable = element("span", { class: "undoable" });
const note = element("div", { id: "dreamina-note", role: "status", "aria-live": "polite" }, undoable, spoken);
/** @type {Undoable[]} */
let steps = []; // the newest last
let [spokenTimer, undoTimer] = [0, 0];

/**
 * @param {string} text
 * @param {(() => unknown) | null} [undo] gives the note a button for it
 * @param {number} [undoMs] for how long it can be undone
 */
export function tell(text, undo = null, undoMs = UNDO_MS) {
  // What is outside of an open dialog cannot be clicked.
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  (dialog ?? document.body).append(note);
  dialog?.addEventListener("close", () => document.body.append(note), { once: true });
  if (undo) {
    steps.push({ text, undo, until: performance.now() + undoMs });
    showUndo();
    return;
  }
  clearTimeout(spokenTimer);
  spoken.textContent = text;
  spokenTimer = window.setTimeout(clearNote, SHORT_MS);
}

function clearNote() {
  spoken.textContent = "";
}

function showUndo() {
  clearTimeout(undoTimer);
  steps = steps.filter(({ until }) => until > performance.now());
  const step = steps.at(-1);
  undoable.replaceChildren();
  if (!step) return;
  undoTimer = window.setTimeout(showUndo, step.until - performance.now() + 10);
  const drop = (/** @type {boolean} */ isUndone) => {
    steps = steps.filter((other) => other !== step);
    showUndo();
    if (isUndone) step.undo();
  };
  const close = button("", () => drop(false), { class: "dismiss", "aria-label": words.close, title: words.close });
  close.append(icon("close"));
  undoable.append(element("span", {}, step.text), button(words.undo, () => drop(true), { class: "undo" }), close);
}
