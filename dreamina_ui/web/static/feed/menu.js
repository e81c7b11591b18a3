/* A button that opens a menu in the top layer, above everything; arrow keys walk through it. */

import { button, element, icon } from "../core/dom.js";

/** @typedef {{text: string, act: () => unknown, isPaid?: boolean, isGrave?: boolean, help?: string}} MenuItem */

const MARGIN = 8;

/**
 * @param {string} label of the button
 * @param {() => MenuItem[]} makeItems called whenever the menu opens
 */
export function menuButton(label, makeItems) {
  const opener = button("", () => open(opener, makeItems()), { class: "more", "aria-label": label, title: label, "aria-haspopup": "menu", "aria-expanded": "false" });
  opener.append(icon("more"));
  return opener;
}

/**
 * @param {HTMLButtonElement} opener
 * @param {MenuItem[]} items
 */
function open(opener, items) {
  if (opener.getAttribute("aria-expanded") === "true") return;
  const menu = element("div", { class: "dreamina-menu", role: "menu", popover: "auto", "aria-label": opener.getAttribute("aria-label") });
  const nodes = items.map(({ text, act, isPaid, isGrave, help }) => {
    const node = button(text, () => { menu.hidePopover(); act(); }, { role: "menuitem", tabindex: -1, title: help, "data-paid": isPaid, "data-grave": isGrave });
    return node;
  });
  menu.append(...nodes);
  menu.addEventListener("keydown", (event) => onKey(event, menu, nodes));
  menu.addEventListener("toggle", (event) => {
    const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) return;
    if (menu.contains(document.activeElement) || document.activeElement === document.body) opener.focus();
    menu.remove();
  });
  opener.after(menu);
  menu.showPopover();
  moveTo(menu, opener);
  nodes[0]?.focus();
}

/**
 * @param {HTMLElement} menu
 * @param {HTMLElement} opener
 */
function moveTo(menu, opener) {
  const [at, size] = [opener.getBoundingClientRect(), menu.getBoundingClientRect()];
  const left = Math.min(Math.max(MARGIN, at.right - size.width), window.innerWidth - size.width - MARGIN);
  const isBelow = at.bottom + size.height + MARGIN <= window.innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${isBelow ? at.bottom + 4 : Math.max(MARGIN, at.top - size.height - 4)}px`;
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} menu
 * @param {HTMLButtonElement[]} nodes
 */
function onKey(event, menu, nodes) {
  const index = nodes.findIndex((node) => node === document.activeElement);
  const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: nodes.length - 1 }[event.key];
  if (next !== undefined) {
    event.preventDefault();
    nodes[(next + nodes.length) % nodes.length].focus();
  } else if (event.key === "Tab") {
    menu.hidePopover();
  }
}
