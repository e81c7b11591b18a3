/* <dreamina-admin>: asks for the overview, and again every 15 seconds while it is visible. */

import { element } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { request, url } from "../core/http.js";
import { words } from "../core/words.js";
import { Blocked, RecentErrors, States, Visitors } from "./activity.js";
import { BlockedWords, LimitsForm } from "./limits.js";
import { Money, Notices, Switch } from "./status.js";

/** @typedef {import("./types.js").Overview} Overview */
/** @typedef {import("./types.js").Change} Change */

const AGAIN_MS = 15000;
const NOTE_MS = 8000;

export class Admin extends HTMLElement {
  #note = element("p", { role: "status", "aria-live": "polite" });
  #price = element("p", { class: "warning wide", role: "alert", hidden: true }, words.owner_price_missing);
  #noteTimer = 0;
  #timer = 0;
  #visible = () => { if (!document.hidden) this.#ask(); };
  /** @type {{node: HTMLElement, show(overview: Overview): void}[]} */
  #parts = [];

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#visible);
    this.#timer = window.setInterval(() => {
      // Not while a button inside has the focus: the keyboard focus would be lost.
      const isBusy = document.activeElement?.closest("table");
      if (!document.hidden && !isBusy) this.#ask();
    }, AGAIN_MS);
    if (!this.childElementCount) this.#build();
    this.#ask();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#visible);
  }

  #build() {
    /** @type {Change} */
    const change = (node, control, body, done) => this.#change(node, control, body, done);
    const [today, month] = [new Money(words.owner_today, "today"), new Money(words.owner_month, "month")];
    const limits = [new LimitsForm(change), new BlockedWords(change)];
    const activity = [new States(), new Visitors(change), new Blocked(change), new RecentErrors()];
    this.#parts = [new Switch(change), new Notices(), today, month, ...limits, ...activity];
    const [status, ...others] = this.#parts.map(({ node }) => node);
    this.append(element("main", { id: "owner" }, this.#header(), status, this.#price, ...others, this.#note));
  }

  #header() {
    const signOut = element("form", { method: "post", action: url("sign-out") }, element("button", { class: "link" }, words.sign_out));
    return element("header", {},
      element("h1", {}, words.owner_title),
      element("a", { href: url("../") }, words.sign_in_back),
      ...(facts.signed_in ? [signOut] : []));
  }

  /** @type {Change} */
  async #change(node, control, body, done = words.owner_saved) {
    node.disabled = true;
    const isDone = await this.#ask(control, body);
    node.disabled = false;
    if (isDone) this.#tell(done);
    return isDone;
  }

  /**
   * @param {string} [path]
   * @param {object} [body]
   */
  async #ask(path = "overview", body) {
    try {
      const headers = { "Content-Type": "application/json" };
      const response = await request(`owner/${path}`, body && { method: "POST", headers, body: JSON.stringify(body) });
      if ([401, 403].includes(response.status)) location.reload(); // signed out meanwhile: the server leads to the sign-in page
      const value = await response.json();
      if (response.ok) {
        this.#price.hidden = !value.price_is_missing;
        this.#parts.forEach((part) => part.show(value));
        return true;
      }
      this.#tell(value.message);
    } catch {
      this.#tell(words.owner_offline);
    }
    return false;
  }

  /** @param {string} text */
  #tell(text) {
    clearTimeout(this.#noteTimer);
    this.#note.textContent = text;
    this.#noteTimer = window.setTimeout(() => { this.#note.textContent = ""; }, NOTE_MS);
  }
}
