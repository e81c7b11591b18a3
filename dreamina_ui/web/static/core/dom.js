/* Building elements. */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes] null, undefined and false leave one out
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/**
 * @param {string} text
 * @param {(node: HTMLButtonElement) => unknown} onClick
 * @param {Record<string, any>} [attributes]
 */
export function button(text, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", () => onClick(node));
  return node;
}

/**
 * The ancestor or the node itself that matches; null for what is no element, such as the document.
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export function closest(event, selector) {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}

// Line icons in the color of the text, 24 x 24.
/** @type {Record<string, string>} */
const ICONS = {
  open: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
  download: "M12 4v11m-5-5 5 5 5-5M4 20h16",
  input: "M20 12v7a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h7M4 17l5-5 4 4 2-2 5 5M18 2v7m-3.5-3.5h7",
  beside: "M4 5h7v14H4zM13 5h7v14h-7z",
  compare: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  star: "m12 3 2.8 5.7 6.2.9-4.5 4.4 1.1 6.2-5.6-2.9-5.6 2.9L7.5 14 3 9.6l6.2-.9z",
  share: "M12 15V4m-4 4 4-4 4 4M5 12v7a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1v-7",
  info: "M12 11v6m0-10v.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  close: "M6 6l12 12M18 6 6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  down: "m6 9 6 6 6-6",
  reuse: "M20 7H9a5 5 0 0 0 0 10h1M16 3l4 4-4 4",
  size: "M4 8V4h4M20 8V4h-4M4 16v4h4M20 16v4h-4M9 9h6v6H9z",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  rerun: "M4 12a8 8 0 1 1 2.3 5.6M4 19v-4h4",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  previous: "m15 5-7 7 7 7",
  next: "m9 5 7 7-7 7",
  plus: "M12 5v14M5 12h14",
  board: "M4 5h7v9H4zM13 5h7v5h-7zM4 16h7v3H4zM13 12h7v7h-7z",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
};

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  svg.append(path);
  return svg;
}

/**
 * An icon and its text, which is for screen readers only where there is no room.
 * @param {string} name
 * @param {string} text
 */
export function iconAnd(name, text) {
  return [icon(name), element("span", {}, text)];
}

/**
 * Make these the children, and move only what stands elsewhere: what stays keeps its focus, and a click on it.
 * @param {Element} parent
 * @param {Element[]} nodes
 */
export function putInOrder(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/**
 * Show the frame that Gradio makes around an element of ours, which takes room as long as it is shown.
 * @param {HTMLElement} node
 * @param {boolean} isFilled whether there is anything in it
 */
export function showFrame(node, isFilled) {
  node.closest("[id$=-frame]")?.toggleAttribute("data-filled", isFilled);
}

/**
 * @param {() => void} act what can wait until the browser has time
 * @returns {number} for `cancelIdle`
 */
export function whenIdle(act) {
  return "requestIdleCallback" in window ? window.requestIdleCallback(act, { timeout: 500 }) : setTimeout(act, 50);
}

/** @param {number} id */
export function cancelIdle(id) {
  if ("cancelIdleCallback" in window) window.cancelIdleCallback(id);
  else clearTimeout(id);
}

/**
 * Tell whoever contains the node.
 * @param {EventTarget} node
 * @param {string} name
 * @param {any} [detail]
 */
export function emit(node, name, detail) {
  node.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}

/**
 * @param {string} name
 * @param {CustomElementConstructor} constructor
 */
export function define(name, constructor) {
  if (!customElements.get(name)) customElements.define(name, constructor);
}

const ARM_MS = 600;

/**
 * Disable a button that costs money until a second tap or click cannot be meant for what was there before.
 * @template {HTMLButtonElement} T
 * @param {T} node
 * @returns {T}
 */
export function arm(node) {
  node.dataset.paid = "";
  node.disabled = true;
  setTimeout(() => { node.disabled = false; }, ARM_MS);
  return node;
}

/**
 * Open a dialog with its heading focused, so that no key presses anything in it; it goes away when it is closed.
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement} heading
 */
export function openDialog(dialog, heading) {
  heading.tabIndex = -1;
  if (!dialog.isConnected) document.body.append(dialog);
  dialog.showModal();
  heading.focus();
}
