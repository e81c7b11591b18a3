/* The balance of the owner's account, and which models of the service visitors may use. */

import { button, element } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { get } from "../core/http.js";
import { tell } from "../core/toast.js";
import { moment, say, usd, words } from "../core/words.js";
import { section } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Overview} Overview */
/** @typedef {{model_id: string, title: string, packaged?: boolean}} Row */

const EVERY_MODEL = "*";
const FUNDS = "https://www.runcomfy.com/profile/billing";

export class Balance {
  node = element("section", { id: "balance", hidden: true });

  /** @param {Overview} overview */
  show({ balance }) {
    this.node.hidden = !balance;
    if (!balance) return;
    const { amount, currency, read_at: readAt, is_low: isLow, problem } = balance;
    const shown = amount === null ? "–" : currency === "USD" ? usd(amount) : `${amount} ${currency}`;
    const lines = readAt ? [say("owner_balance_at", { time: moment(readAt) })] : [];
    if (facts.uses_sandbox) lines.push(words.owner_demo);
    const warning = problem ? words[problem === "auth" ? "owner_balance_token" : "owner_balance_unknown"] : isLow ? words.owner_balance_low : "";
    this.node.classList.toggle("warning", Boolean(warning));
    this.node.replaceChildren(element("h2", {}, words.owner_balance), element("p", { class: "figure" }, shown),
      ...(warning ? [element("p", { role: "status" }, warning)] : []),
      ...lines.map((line) => element("p", { class: "soft" }, line)),
      ...(isLow ? [element("a", { href: FUNDS, target: "_blank", rel: "noopener" }, words.add_funds)] : []));
  }
}

/** The models with a file are offered to everybody; of the others, the owner chooses. */
export class OfferedModels {
  #status = element("p", { class: "soft", role: "status" });
  #every = element("input", { type: "checkbox", id: "every-model" });
  #search = element("input", { type: "search", id: "offered-search", "aria-label": words.search_models, placeholder: words.search_models });
  #list = element("ul", { class: "rows offered" });
  #save = button(words.owner_save, () => this.#onSave(), { class: "main" });
  #open = button(words.owner_models_choose, () => this.#load());
  #form = element("div", { hidden: true }, element("p", {}, this.#every, " ", element("label", { for: "every-model" }, words.owner_models_all)),
    this.#search, this.#list, this.#save);
  node = section(words.owner_models, { class: "wide", hidden: true }, element("p", { class: "soft" }, words.owner_models_help), this.#status, this.#open, this.#form);
  /** @type {Set<string>} */
  #offered = new Set();
  #change;

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
    this.#search.addEventListener("input", () => this.#filter());
  }

  /** @param {Overview} overview */
  show({ catalog }) {
    this.node.hidden = catalog.models === 0 && !catalog.problem;
    const left = Object.values(catalog.left_out).reduce((sum, count) => sum + count, 0);
    const parts = [say("owner_models_count", { count: catalog.models, left }), catalog.read_at ? say("owner_balance_at", { time: moment(catalog.read_at) }) : ""];
    if (catalog.problem) parts.push(words.owner_models_stale);
    parts.push(catalog.offered.includes(EVERY_MODEL) ? words.owner_models_all : say("owner_models_offered", { count: catalog.offered.length }));
    this.#status.textContent = parts.filter(Boolean).join(" ");
    if (this.#form.hidden) this.#offered = new Set(catalog.offered);
  }

  async #load() {
    const listing = await get("models").catch(() => null);
    if (!listing) return tell(words.owner_offline);
    const rows = /** @type {Row[]} */ (listing.models).filter((row) => !row.packaged);
    this.#every.checked = this.#offered.has(EVERY_MODEL);
    this.#list.replaceChildren(...rows.map((row) => {
      const box = element("input", { type: "checkbox", value: row.model_id, checked: this.#offered.has(row.model_id) });
      return element("li", { "data-text": `${row.title} ${row.model_id}`.toLowerCase() }, element("label", {}, box, ` ${row.title} `, element("code", {}, row.model_id)));
    }));
    this.#open.hidden = true;
    this.#form.hidden = false;
  }

  #filter() {
    const text = this.#search.value.trim().toLowerCase();
    for (const item of this.#list.children) if (item instanceof HTMLElement) item.hidden = !item.dataset.text?.includes(text);
  }

  async #onSave() {
    const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (this.#list.querySelectorAll("input:checked"));
    const models = [...(this.#every.checked ? [EVERY_MODEL] : []), ...[...boxes].map((box) => box.value)];
    if (await this.#change(this.#save, "models", { models })) {
      this.#form.hidden = true;
      this.#open.hidden = false;
    }
  }
}
