/* An image was dropped or pasted, and more than one thing can be done with it. */

import { button, element, openDialog } from "../core/dom.js";
import { words } from "../core/words.js";

/**
 * @param {() => unknown} reuse
 * @param {() => unknown} edit
 */
export function chooseUse(reuse, edit) {
  const back = document.activeElement;
  const heading = element("h2", {}, words.drop_title);
  const dialog = element("dialog", { class: "drop-choice", "aria-label": words.drop_title });
  const choose = (/** @type {() => unknown} */ act) => { dialog.close(); act(); };
  dialog.append(
    heading,
    button(words.drop_reuse, () => choose(reuse), { class: "main" }),
    button(words.use_as_input, () => choose(edit), { class: "main" }),
    button(words.cancel, () => dialog.close()),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (back instanceof HTMLElement && back.isConnected) back.focus();
  });
  openDialog(dialog, heading);
}
