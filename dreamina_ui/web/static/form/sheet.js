/* <dreamina-sheet>: on a narrow window, the button that shows all settings above the prompt. */

import { button, element, icon } from "../core/dom.js";
import { words } from "../core/words.js";
import { submission } from "./generate.js";
import { form } from "./state.js";

const NARROW = "(max-width: 899px)";

export class Sheet extends HTMLElement {
  #toggle = button("", () => this.#set(!this.#isOpen), { id: "toggle-sheet", "aria-controls": "form", "aria-expanded": "false" });
  #isOpen = false;
  #sending = 0;
  #open = () => matchMedia(NARROW).matches && this.#set(true);
  #mark = () => markMainFields();
  // What was sent appears above: show it.
  #sent = () => {
    const hasEnded = this.#sending > 0 && !submission.running;
    this.#sending = submission.running;
    if (this.#isOpen && hasEnded && !submission.problem) this.#set(false);
  };
  // An open list of choices lies above the header and the tabs.
  #lists = new MutationObserver(() => {
    const isChoosing = this.closest("#form")?.querySelector("[role=listbox]") !== null;
    document.documentElement.classList.toggle("choosing", isChoosing);
  });
  /** @param {Event} event */
  #close = (event) => {
    const isOutside = event.target instanceof Element && !event.target.closest("#form, [role=listbox], dialog");
    if (this.#isOpen && isOutside) this.#set(false);
  };
  /** @param {KeyboardEvent} event */
  #onKey = (event) => {
    if (event.key !== "Escape" || !this.#isOpen || document.querySelector("[role=listbox], dialog[open]")) return;
    this.#set(false);
    this.#toggle.focus();
  };

  connectedCallback() {
    if (!this.#toggle.isConnected) {
      this.#toggle.append(element("span", {}, words.form_settings), icon("down"));
      this.append(this.#toggle);
    }
    document.addEventListener("show-form", this.#open);
    document.addEventListener("pointerdown", this.#close);
    document.addEventListener("keydown", this.#onKey);
    form.addEventListener("change", this.#mark);
    form.addEventListener("model", this.#showEnd);
    submission.addEventListener("change", this.#sent);
    this.#lists.observe(this.closest("#form") ?? this, { childList: true, subtree: true });
    markMainFields();
  }

  disconnectedCallback() {
    document.removeEventListener("show-form", this.#open);
    document.removeEventListener("pointerdown", this.#close);
    document.removeEventListener("keydown", this.#onKey);
    form.removeEventListener("change", this.#mark);
    form.removeEventListener("model", this.#showEnd);
    submission.removeEventListener("change", this.#sent);
    this.#lists.disconnect();
  }

  /** @param {boolean} isOpen */
  #set(isOpen) {
    this.#isOpen = isOpen;
    document.documentElement.classList.toggle("sheet-open", isOpen);
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.#showEnd();
  }

  // The prompt and Generate are at the end, and in sight also if there are more settings than fit.
  #showEnd = () => requestAnimationFrame(() => {
    const sheet = this.#isOpen && this.closest("#form");
    if (sheet) sheet.scrollTop = sheet.scrollHeight;
  });
}

// The text that stands beside Generate.
function markMainFields() {
  for (const model of form.models) {
    const field = model.fields.find((item) => item.is_text);
    if (field) document.getElementById(field.id)?.classList.add("main-field");
  }
}
