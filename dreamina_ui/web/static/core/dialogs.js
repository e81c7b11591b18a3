/* Dialogs of features that are loaded when somebody first opens them. */

import { button, element, icon, openDialog } from "./dom.js";
import { words } from "./words.js";

/** @type {Map<string, Promise<unknown>>} */
const styles = new Map();

/**
 * Load a style sheet once; resolves when it holds, so that a module that waits for it never shows anything without it.
 * @param {URL} href
 */
export function useStyle({ href }) {
  const known = styles.get(href);
  if (known) return known;
  const link = element("link", { rel: "stylesheet", href });
  const done = new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
  });
  styles.set(href, done);
  document.head.append(link);
  return done;
}

/**
 * Open a dialog with a heading and a button that closes it; it goes away when it is closed, and the focus goes back.
 * @param {string} title
 * @param {string} name its class
 * @param {...(Node | string)} children
 */
export function showDialog(title, name, ...children) {
  const back = document.activeElement;
  const heading = element("h2", {}, title);
  const close = button("", () => dialog.close(), { class: "close", "aria-label": words.close, title: words.close });
  close.append(icon("close"));
  const dialog = element("dialog", { class: `studio-dialog ${name}`, "aria-label": title }, heading, close, ...children);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (back instanceof HTMLElement && back.isConnected) back.focus();
  });
  openDialog(dialog, heading);
  return dialog;
}
