/* <dreamina-api-key>: the visitor's own RunComfy key; typed here, sent once, and never stored by the browser. */

import { button, element } from "../core/dom.js";
import { get, post, request } from "../core/http.js";
import { setOwnKey } from "../core/requests.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { terms } from "../form/price.js";

/** @typedef {{given: boolean, hint: string | null, required: boolean}} KeyState */

const PRICES_MS = 3000; // the server fetches a new key's prices after it got the key

export class ApiKey extends HTMLElement {
  /** @type {boolean | undefined} */
  #isGiven; // undefined until the server has said it
  #title = element("summary");
  #about = element("p");
  // Not a form: browsers offer to store what a form submits.
  #input = element("input", {
    type: "password", id: "own-key-input", autocomplete: "new-password", maxlength: 500, spellcheck: "false",
    autocapitalize: "off", "data-1p-ignore": true, "data-lpignore": "true",
  });
  #use = button(words.own_key_use, () => this.#give());
  #remove = button(words.own_key_remove, () => this.#takeBack());
  #problem = element("p", { class: "problem", role: "alert" });
  #field = element("div", { class: "own-key-field" }, element("label", { for: "own-key-input" }, words.own_key_label), this.#input, this.#use);
  #box = element("details", {}, this.#title, this.#about, this.#field, this.#remove, this.#problem);
  // Another tab may have added or removed it, and the server drops unused keys.
  #seen = () => !document.hidden && this.#loadState();
  #shown = (/** @type {PageTransitionEvent} */ event) => event.persisted && this.#loadState();

  constructor() {
    super();
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.repeat && !event.isComposing) this.#give();
    });
  }

  connectedCallback() {
    setOwnKey(() => this.#isGiven);
    document.addEventListener("visibilitychange", this.#seen);
    window.addEventListener("pageshow", this.#shown);
    if (this.#box.isConnected) return;
    this.append(this.#box);
    this.#loadState(true);
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#seen);
    window.removeEventListener("pageshow", this.#shown);
  }

  /** Show the field, for who needs a key. */
  open() {
    this.#box.open = true;
    this.#input.focus();
  }

  /**
   * @param {boolean} [isFirst]
   * @returns {Promise<KeyState | undefined>}
   */
  async #loadState(isFirst = false) {
    try {
      const state = await get("key");
      this.#show(state);
      if (isFirst) this.#box.open = (state.required || state.given) && !state.hint;
      return state;
    } catch {
      return undefined; // the connection notice says that the server cannot be reached
    }
  }

  /** @param {KeyState} state */
  #show({ given, hint: suffix, required }) {
    this.#isGiven = given;
    const isLost = given && !suffix;
    this.#title.textContent = suffix ? say("own_key_given", { hint: suffix }) : isLost ? words.own_key_lost : words.own_key;
    const none = required ? `${words.own_key_required} ${words.own_key_about}` : words.own_key_about;
    this.#about.textContent = suffix ? words.own_key_remove_about : isLost ? words.own_key_lost_about : none;
    this.#field.hidden = Boolean(suffix);
    this.dataset.state = suffix ? "given" : required || isLost ? "needed" : "none";
    this.#remove.hidden = !given;
    // With a key, Generate costs money, and nothing may say that it is free.
    document.documentElement.classList.toggle("own-key-given", Boolean(suffix));
  }

  async #give() {
    const key = this.#input.value;
    this.#input.value = "";
    this.#problem.textContent = "";
    if (!key.trim()) return this.#input.focus();
    this.#use.disabled = true;
    const { answer: saved, refusal } = await post("key", { key });
    this.#use.disabled = false;
    if (refusal) {
      this.#problem.textContent = refusal;
      return this.#input.focus();
    }
    const state = await this.#loadState();
    if (!state?.hint) {
      this.#problem.textContent = words.own_key_no_cookie;
      return;
    }
    this.#changed();
    if (!saved.is_checked) tell(words.own_key_unchecked);
  }

  async #takeBack() {
    this.#problem.textContent = "";
    try {
      const response = await request("key", { method: "DELETE" });
      if (!response.ok) throw new Error(String(response.status));
      this.#show(await response.json());
      this.#changed();
    } catch {
      this.#problem.textContent = words.request_failed;
    }
  }

  #changed() {
    terms.askPrices(true);
    setTimeout(() => terms.askPrices(), PRICES_MS);
    this.#title.focus();
    watch();
  }
}
