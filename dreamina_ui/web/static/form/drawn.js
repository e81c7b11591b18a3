/* Wildcards in the prompt of a single job: what the server drew for them stands below the prompt, and is what is sent. */

import { button, element } from "../core/dom.js";
import { post } from "../core/http.js";
import { words } from "../core/words.js";
import { hasWildcards, newSeed } from "../prompts/fill.js";
import { form } from "./state.js";

/** @typedef {{text: string, drawn: string[]}} Drawing */

const TYPED_MS = 300;

class Drawn {
  #seed = newSeed();
  #typed = ""; // what `#asked` is about
  /** @type {Promise<import("../core/types.js").Outcome> | null} */
  #asked = null;
  #timer = 0;
  #text = element("span", { dir: "auto" });
  #node = element("p", { class: "drawn", role: "status", hidden: true }, element("b", {}, `${words.drawn_prompt} `), this.#text, " ",
    button(words.draw_again, () => this.renew()));

  constructor() {
    document.addEventListener("wildcards-changed", () => this.renew());
  }

  /** Show what the prompt of the form stands for; asked for when nobody types. */
  update() {
    const text = promptOf(form);
    const field = document.getElementById(mainText()?.id ?? "");
    if (field && this.#node.parentNode !== field) field.insertBefore(this.#node, field.querySelector(".prompt-tools"));
    if (this.#asked && text === this.#typed) return;
    clearTimeout(this.#timer);
    this.#node.hidden = true;
    if (hasWildcards(text)) this.#timer = window.setTimeout(() => this.of(text), TYPED_MS);
  }

  /** Draw anew for the next job. */
  renew() {
    this.#seed = newSeed();
    this.#asked = null;
    const text = promptOf(form);
    if (hasWildcards(text)) this.of(text);
    else this.#node.hidden = true;
  }

  /**
   * What a prompt stands for now; shown as soon as it is known.
   * @param {string} text
   */
  of(text) {
    if (this.#asked && this.#typed === text) return this.#asked;
    clearTimeout(this.#timer);
    this.#typed = text;
    const asked = post("wildcards/draw", { text, seed: this.#seed });
    this.#asked = asked;
    asked.then((outcome) => {
      if (this.#asked !== asked) return;
      if (outcome.answer) this.#show(outcome.answer);
      else this.#asked = null; // what failed is asked again
    });
    return asked;
  }

  /** @param {Drawing} drawing */
  #show({ text, drawn }) {
    this.#text.textContent = text;
    this.#node.hidden = drawn.length === 0;
  }
}

function mainText() {
  return form.model.fields.find((field) => field.is_text);
}

/** @param {typeof form} shown */
function promptOf(shown) {
  const field = mainText();
  return String((field && shown.valueOf(field)) ?? "");
}

export const drawn = new Drawn();
