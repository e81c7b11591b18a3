/* <dreamina-admin>: asks for the overview, and again every 15 seconds while its tab is shown. */

import { useStyle } from "../core/dialogs.js";
import { element } from "../core/dom.js";
import { get, request, url } from "../core/http.js";
import { press } from "../core/press.js";
import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";
import { terms } from "../form/price.js";
import { Blocked, RecentErrors, States, Visitors } from "./activity.js";
import { costsSection } from "../costs/costs.js";
import { beside, section } from "./parts.js";
import { Balance, OfferedModels } from "./account.js";
import { Invite } from "./invite.js";
import { BlockedWords, LimitsForm } from "./limits.js";
import { Newest } from "./newest.js";
import { Money, Notices, Switch } from "./status.js";

/** @typedef {import("./types.js").Overview} Overview */
/** @typedef {import("./types.js").Change} Change */

const AGAIN_MS = 15000;
const RETRY_MS = 2000;

const styled = useStyle(new URL("./admin.css", import.meta.url));

/** @type {Promise<void> | null} */
let texts = null;

// The page's other texts come with the page; these are the owner's alone.
async function loadTexts() {
  for (;;) {
    try {
      Object.assign(words, await get("owner/texts"));
      return;
    } catch {
      terms.refresh(); // perhaps the session has ended: then the tab goes away
      await new Promise((wait) => setTimeout(wait, RETRY_MS));
    }
  }
}

export class Admin extends HTMLElement {
  #timer = 0;
  #newest = new Newest();
  #isBuilt = false;
  #look = () => { if (this.#isShown) this.#ask(); };
  /** @type {{node: HTMLElement, show(overview: Overview): void}[]} */
  #parts = [];

  async connectedCallback() {
    document.addEventListener("visibilitychange", this.#look);
    router.addEventListener("change", this.#look);
    this.#timer = window.setInterval(() => {
      // Not while a button inside has the focus: the keyboard focus would be lost.
      if (!document.activeElement?.closest("#owner .rows")) this.#look();
    }, AGAIN_MS);
    await (texts ??= loadTexts());
    await styled;
    if (!this.#isBuilt) this.#build();
    this.#look();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#look);
    router.removeEventListener("change", this.#look);
  }

  get #isShown() {
    return this.#isBuilt && this.isConnected && !document.hidden && router.state.tab === "admin";
  }

  #build() {
    this.#isBuilt = true;
    /** @type {Change} */
    const change = (node, control, body, done) => this.#change(node, control, body, done);
    const [today, month] = [new Money(words.owner_today, "today"), new Money(words.owner_month, "month")];
    const limits = [new LimitsForm(change), new BlockedWords(change)];
    const activity = [new States(), new Visitors(change), new Blocked(change), new RecentErrors()];
    this.#parts = [new Switch(change), new Price(), new Notices(), beside(new Balance(), today, month), new Costs(), new Invite(), ...limits, new OfferedModels(change), ...activity, new Account()];
    this.append(element("div", { id: "owner" }, ...this.#parts.map(({ node }) => node)));
  }

  /** @type {Change} */
  async #change(node, control, body, done = words.owner_saved) {
    node.disabled = true;
    const isDone = await this.#ask(control, body);
    node.disabled = false;
    if (isDone && done) tell(done);
    return isDone;
  }

  /**
   * @param {string} [path]
   * @param {object} [body]
   */
  async #ask(path = "overview", body) {
    const isNewest = this.#newest.begin(Boolean(body));
    try {
      const headers = { "Content-Type": "application/json" };
      const response = await request(`owner/${path}`, body && { method: "POST", headers, body: JSON.stringify(body) });
      if ([401, 403].includes(response.status)) terms.refresh(); // signed out meanwhile: the tab goes away
      const value = await response.json();
      const isShown = isNewest();
      if (response.ok) {
        if (isShown) press.after(() => this.#parts.forEach((part) => part.show(value)))();
        return true;
      }
      tell(value.message);
    } catch {
      tell(words.owner_offline);
    }
    return false;
  }
}

/** What was spent by day, month and model; asked for again when more was spent. */
class Costs {
  #costs = costsSection();
  #known = "";
  node = section(words.costs, { class: "wide" }, this.#costs.node);

  /** @param {Overview} overview */
  show({ month }) {
    const now = JSON.stringify(month);
    if (now !== this.#known) this.#costs.load();
    this.#known = now;
  }
}

/** A limit in USD that cannot hold. */
class Price {
  node = element("p", { class: "warning wide", role: "alert", hidden: true }, words.owner_price_missing);

  /** @param {Overview} overview */
  show(overview) {
    this.node.hidden = !overview.price_is_missing;
  }
}

/** The button that signs out, for an owner who signed in. */
class Account {
  node = element("form", { method: "post", action: url("sign-out"), class: "wide", hidden: true },
    element("button", { class: "link" }, words.sign_out));

  /** @param {Overview} overview */
  show(overview) {
    this.node.hidden = !overview.signed_in;
  }
}
