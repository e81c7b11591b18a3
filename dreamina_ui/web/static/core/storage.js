/* What the browser stores for this page. The names have the installation in them: others may share the origin.
 * A browser without storage stores nothing. */

import { facts } from "./facts.js";

/** Forget everything that is stored for this page. */
export function forgetAll() {
  for (const open of [() => localStorage, () => sessionStorage]) {
    try {
      const storage = open();
      Object.keys(storage).filter((key) => key.startsWith(`dreamina.${facts.installation}.`)).forEach((key) => storage.removeItem(key));
    } catch { /* a browser without storage */ }
  }
}

/** @param {() => Storage} open */
function storageOf(open) {
  const name = (/** @type {string} */ key) => `dreamina.${facts.installation}.${key}`;
  return {
    /**
     * @param {string} key
     * @returns {string | null}
     */
    get(key) {
      try {
        return open().getItem(name(key)) ?? open().getItem(`dreamina.${key}`); // the second name is that of version 1.0
      } catch {
        return null;
      }
    },
    /**
     * @param {string} key
     * @param {string | null} value null removes it
     * @returns {boolean} whether it is stored: there may be no room
     */
    set(key, value) {
      try {
        if (value !== null) {
          open().setItem(name(key), value);
          return true;
        }
        open().removeItem(name(key));
        open().removeItem(`dreamina.${key}`);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Shared by all tabs, and there after the browser was closed. */
export const local = storageOf(() => localStorage);
/** Of this tab alone. */
export const session = storageOf(() => sessionStorage);

/**
 * The value that a JSON text stands for; null for a damaged one or none.
 * @param {string | null} text
 * @returns {any}
 */
export function parse(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}
