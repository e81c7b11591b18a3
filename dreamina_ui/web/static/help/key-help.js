/* The list of keys, from the same table that their handlers use, and the switch for the single ones. */

import { button, element, icon, openDialog } from "../core/dom.js";
import { singleKeys } from "../core/keyboard.js";
import { rowsByScope } from "../core/keys.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/keys.js").KeyRow} KeyRow */

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** @returns {Record<string, string>} */
function keyNames() {
  return {
    Mod: isMac ? "⌘" : words.key_name_ctrl, Alt: isMac ? "⌥" : "Alt", Shift: words.key_name_shift, Space: words.key_name_space,
    Enter: "Enter", Delete: words.key_name_delete, Escape: words.key_name_escape,
    ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓",
  };
}

/** @param {string} step such as `Shift+R` */
function capsOf(step) {
  const names = keyNames();
  return step.split(/\+(?!$)/).map((key) => element("kbd", {}, names[key] ?? (key.length > 1 ? key : key.toUpperCase())));
}

/** One way to press: `Shift` `R`, or `g` then `c`. @param {string} keys */
function pressOf(keys) {
  const steps = keys.split(" ").map((step) => element("span", {}, ...capsOf(step)));
  return steps.flatMap((step, index) => (index ? [element("span", { class: "then" }, words.key_then), step] : [step]));
}

/** @param {KeyRow} row */
function lineOf(row) {
  const shown = row.keys.filter((key) => key !== "="); // the same as `+` on many keyboards
  const digits = shown.map((key) => /^(.*\+)?(\d)$/.exec(key));
  const [first, last] = [digits[0], digits[digits.length - 1]];
  if (shown.length > 2 && first && last) { // Shift 1 … 5
    return line(row, [element("span", {}, ...capsOf(shown[0])), element("span", { class: "then" }, "…"), ...capsOf(last[2])]);
  }
  const arrows = shown.map((key) => key.split("Arrow"));
  const keycaps = arrows.every(([, arrow]) => arrow) && shown.length > 1 && !shown[0].includes(" ")
    ? [element("span", {}, ...arrows.flatMap(([modifier, arrow], index) => capsOf(`${index ? "" : modifier}Arrow${arrow}`)))]
    : shown.flatMap((keys, index) => [...(index ? [element("span", { class: "then" }, "/")] : []), ...pressOf(keys)]);
  return line(row, keycaps);
}

/** @param {KeyRow} row @param {HTMLElement[]} keycaps */
function line(row, keycaps) {
  return element("div", { class: row.single ? "single" : "" }, element("dt", {}, words[row.text]), element("dd", {}, ...keycaps));
}

/** Open the list; it goes away when it is closed. */
export function showKeyHelp() {
  if (document.querySelector("dialog.key-help")) return;
  const opener = document.activeElement;
  const heading = element("h2", {}, words.key_title);
  const close = button("", () => dialog.close(), { class: "quiet", "aria-label": words.close, title: words.close });
  close.append(icon("close"));
  const box = element("input", { type: "checkbox", role: "switch", "aria-describedby": "key-help-about" });
  const titles = { everywhere: words.key_everywhere, viewer: words.key_viewer, grid: words.key_grid };
  const columns = element("div", { class: "key-columns" }, ...rowsByScope().map(([scope, rows]) => element("section", {},
    element("h3", {}, titles[scope]), element("dl", {}, ...rows.filter((row) => words[row.text]).map(lineOf)))));
  const dialog = element("dialog", { class: "key-help", "aria-label": words.key_title },
    element("div", { class: "key-head" }, heading, close), columns,
    element("label", {}, box, words.key_single), element("p", { id: "key-help-about" }, words.key_single_help));
  const showSwitch = () => {
    box.checked = singleKeys.areOn;
    columns.classList.toggle("no-single-keys", !singleKeys.areOn);
  };
  box.addEventListener("change", () => { singleKeys.areOn = box.checked; showSwitch(); });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  showSwitch();
  openDialog(dialog, heading);
}
