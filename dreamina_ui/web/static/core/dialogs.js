/* Dialogs of features that are loaded when somebody first opens them. */

import { button, element, icon, openDialog } from "./dom.js";
import { words } from "./words.js";

/** @type {Set<string>} */
const styles = new Set();

/** Load a style sheet once. @param {URL} href */
export function useStyle(href) {
  if (styles.has(href.href)) return;
  styles.add(href.href);
  document.head.append(element("link", { rel: "stylesheet", href: href.href }));
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
