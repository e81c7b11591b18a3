/* <dreamina-tools>: above the images, the button that hides the form, and the examples. A click on one of these fills
 * in the form, and submits nothing. */

import { button, element } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { url } from "../core/http.js";
import { jobs } from "../core/jobs.js";
import { local } from "../core/storage.js";
import { words } from "../core/words.js";
import { useSettings } from "./settings.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Example} Example */

const STORED = "form";

export class Tools extends HTMLElement {
  #hide = button("", () => this.#setAway(!this.#isAway, true), { id: "toggle-form", "aria-controls": "form" });
  #toggle = button(words.examples, () => { this.#isCalled = !this.#isCalled; this.#show(); }, { "aria-controls": "examples", hidden: true });
  #section = element("section", { id: "examples", "aria-label": words.examples, hidden: true });
  #isAway = false;
  #isCalled = false;
  #show = () => this.#showExamples();
  #showForm = () => this.#setAway(false, false);

  connectedCallback() {
    if (!this.#hide.isConnected) this.append(element("div", { id: "tools" }, this.#hide, this.#toggle), this.#section);
    jobs.addEventListener("settled", this.#show);
    document.addEventListener("show-form", this.#showForm);
    this.#setAway(local.get(STORED) === "away", false);
    this.#showExamples();
  }

  disconnectedCallback() {
    jobs.removeEventListener("settled", this.#show);
    document.removeEventListener("show-form", this.#showForm);
  }

  /**
   * @param {boolean} isAway
   * @param {boolean} isRemembered
   */
  #setAway(isAway, isRemembered) {
    this.#isAway = isAway;
    document.documentElement.classList.toggle("form-away", isAway);
    this.#hide.setAttribute("aria-expanded", String(!isAway));
    this.#hide.textContent = isAway ? words.show_form : words.hide_form;
    if (isRemembered) local.set(STORED, isAway ? "away" : "here");
  }

  #showExamples() {
    if (!jobs.isLoaded || !facts.examples.length) return;
    const isEmpty = jobs.list().length === 0;
    this.#toggle.hidden = isEmpty;
    this.#toggle.setAttribute("aria-expanded", String(this.#isCalled));
    this.#section.hidden = !isEmpty && !this.#isCalled;
    if (!this.#section.hidden && !this.#section.children.length) this.#fill();
  }

  #fill() {
    const tiles = facts.examples.map((example, index) => element("li", {}, tile(example, index)));
    const wall = element("ul", { class: "wall" }, ...tiles);
    this.#section.append(element("h2", {}, words.examples), element("p", {}, words.examples_about), wall);
  }
}

/**
 * @param {Example} example
 * @param {number} index
 */
function tile(example, index) {
  const prompt = words[`example_${index + 1}`] || example.parameters.prompt;
  const node = button("", () => {
    const text = form.find(example.model_id)?.fields.find((field) => field.is_text);
    useSettings({ model_id: example.model_id, parameters: { ...example.parameters, prompt }, focus: text?.id ?? null });
  });
  node.append(element("img", { src: url(example.file), alt: "", width: 400, height: 300 }), element("span", {}, prompt));
  return node;
}
