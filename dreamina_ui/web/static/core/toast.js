/* A short note at the bottom of the window. */

import { button, element } from "./dom.js";
import { words } from "./words.js";

const SHORT_MS = 8000;
const UNDO_MS = 60000;

const note = element("div", { id: "dreamina-note", role: "status", "aria-live": "polite" });
let timer = 0;

/**
 * @param {string} text
 * @param {(() => unknown) | null} [undo] gives the note a button for it
 */
export function tell(text, undo = null) {
  // What is outside of an open dialog cannot be clicked.
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  (dialog ?? document.body).append(note);
  dialog?.addEventListener("close", () => document.body.append(note), { once: true });
  clearTimeout(timer);
  note.replaceChildren(element("span", {}, text));
  if (undo) note.append(button(words.undo, () => { note.replaceChildren(); undo(); }));
  timer = window.setTimeout(clearNote, undo ? UNDO_MS : SHORT_MS);
}

export function clearNote() {
  note.replaceChildren();
}
