/* No press by accident: what a held key or a double click may do, everywhere on the page. */

import { closest } from "./dom.js";

const PAID = "[data-paid], #generate";
const BUTTON = "button, summary, a, [role=button], input[type=checkbox]";

/** @type {Map<string, EventTarget | null>} */
const wentDownAt = new Map(); // code of a key that is down -> where it went down

/** @param {KeyboardEvent} event */
function isPressKey(event) {
  return event.key === "Enter" || event.key === " ";
}

/** @param {Event} event */
export function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** Guard all buttons from now on. */
export function startGuard() {
  // A held Enter or Space acts only where it went down, and presses a button once.
  document.addEventListener("keydown", (event) => {
    if (!isPressKey(event)) return;
    if (!event.repeat) wentDownAt.set(event.code, event.target);
    else if (wentDownAt.get(event.code) !== event.target || closest(event, BUTTON)) stop(event);
  }, true);

  // A button is pressed when Space is released: not by a Space that went down elsewhere.
  document.addEventListener("keyup", (event) => {
    if (!isPressKey(event)) return;
    const began = wentDownAt.get(event.code);
    wentDownAt.delete(event.code);
    if (began !== event.target && closest(event, BUTTON)) stop(event);
  }, true);
  window.addEventListener("blur", () => wentDownAt.clear());

  // The second click of a double click does not pay a second time.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && closest(event, PAID)) stop(event);
  }, true);
}
