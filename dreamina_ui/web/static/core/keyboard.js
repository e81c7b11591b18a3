/* Leads keystrokes to whoever registered for their actions. */

import { KeyReader } from "./keys.js";
import { local } from "./storage.js";

/** @typedef {import("./keys.js").Scope} Scope */
/** @typedef {import("./keys.js").KeyRow} KeyRow */
/** @typedef {{scope: Scope, handlers: Record<string, (event: KeyboardEvent) => unknown>, isActive: (event: KeyboardEvent) => boolean}} Registration */

const SWITCH = "no-single-keys";
const ORDER = /** @type {Scope[]} */ (["grid", "viewer", "everywhere"]);
const PRESSED = "button, a, summary, select, video, [role=button], [role=option], [role=tab], input";
const MOVED = "input[type=range], select, video, [role=slider], [role=listbox]";
const TYPED = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable]:not([contenteditable=false])";

export const singleKeys = {
  get areOn() {
    return local.get(SWITCH) === null;
  },
  /** @param {boolean} areOn */
  set areOn(areOn) {
    local.set(SWITCH, areOn ? null : "1");
  },
};

const reader = new KeyReader(undefined, () => singleKeys.areOn);
/** @type {Registration[]} */
const registrations = [];

/** Register handlers for the actions of a scope; the newest active one for an action is called.
 * @param {Scope} scope @param {Registration["handlers"]} handlers by action
 * @param {(event: KeyboardEvent) => boolean} isActive
 * @returns {() => void} takes the registration back */
export function onKeys(scope, handlers, isActive) {
  const registration = { scope, handlers, isActive };
  registrations.unshift(registration);
  return () => registrations.splice(registrations.indexOf(registration), 1);
}

/** @param {Element | null} target @param {string} key */
function isForTarget(target, key) {
  if ((key === "Enter" || key === " ") && target?.closest(PRESSED)) return true;
  return /^(Arrow|Home$|End$|Page)/.test(key) && Boolean(target?.closest(MOVED));
}

/** @param {KeyboardEvent} event */
function handleKey(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  const target = event.target instanceof Element ? event.target : null;
  const active = registrations.filter(({ isActive }) => isActive(event));
  const scopes = ORDER.filter((scope) => active.some((registration) => registration.scope === scope));
  const row = reader.read(event, scopes, event.timeStamp, Boolean(target?.closest(TYPED)));
  if (!row || (row.scope !== "grid" && isForTarget(target, event.key))) return;
  const match = active.find(({ scope, handlers }) => scope === row.scope && handlers[row.action]);
  if (!match || match.handlers[row.action](event) === false) return;
  event.preventDefault();
}

document.addEventListener("keydown", handleKey);

/** @param {KeyboardEvent} event */
function isHeld({ key, target, ctrlKey, metaKey, altKey, repeat }) {
  const isTyped = target instanceof Element && target.closest(TYPED);
  return !isTyped && !ctrlKey && !metaKey && !altKey && !repeat && (key.length === 1 || /^(Arrow|Escape|Delete)/.test(key));
}

/**
 * Open something that may have to be loaded; keys pressed in the meantime are meant for it, and act once it is open.
 * @param {() => Promise<unknown>} open
 */
export async function openWithKeys(open) {
  /** @type {KeyboardEvent[]} */
  const held = [];
  const hold = (/** @type {KeyboardEvent} */ event) => {
    if (!isHeld(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    held.push(event);
  };
  window.addEventListener("keydown", hold, true);
  try {
    await open();
  } finally {
    window.removeEventListener("keydown", hold, true);
  }
  for (const { key, code, shiftKey } of held) {
    (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent("keydown", { key, code, shiftKey, bubbles: true, cancelable: true }));
  }
}
