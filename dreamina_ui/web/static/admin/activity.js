/* Who uses the page, who is blocked, and what went wrong. */

import { button, element } from "../core/dom.js";
import { number, moment, say, usd, words } from "../core/words.js";
import { nothing, section, shortName, table } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Overview} Overview */

export class States {
  #body = element("div");
  node = section(words.owner_states, { class: "wide" }, this.#body);

  /** @param {Overview} overview */
  show({ states }) {
    const items = Object.entries(states).map(([state, count]) => element("li", {}, `${words[`state_${state}`]} `, element("b", {}, number(count))));
    this.#body.replaceChildren(items.length ? element("ul", { class: "states" }, ...items) : nothing());
  }
}

/**
 * A visitor or an IP address, with the button that blocks it, or lets it in again.
 * @param {Change} change
 * @param {string} kind
 * @param {string | null} name
 * @param {boolean} isBlocked
 */
function entry(change, kind, name, isBlocked) {
  if (!name) return element("span", {}, words.owner_programs);
  const text = isBlocked ? words.owner_let_in : words.owner_put_out;
  const toggle = button(text, (node) => change(node, "shut-out", { kind, name, out: !isBlocked }), {
    class: "link", "aria-label": `${text}: ${shortName(name)}`,
  });
  return element("span", { class: "place" }, element("code", {}, shortName(name)), toggle);
}

export class Visitors {
  #change;
  #body = element("div");
  node = section(words.owner_visitors, { class: "wide" }, this.#body);

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
  }

  /** @param {Overview} overview */
  show({ guests, visitors, rules }) {
    const blocked = new Set(rules.shut_out.map(({ kind, name }) => kind + name));
    const rows = guests.map((guest) => [
      entry(this.#change, "visitor", guest.visitor_id, blocked.has(`visitor${guest.visitor_id}`)),
      number(guest.jobs_today),
      number(guest.jobs),
      usd(guest.usd),
      moment(guest.last_at),
      element("div", {}, ...guest.addresses.map((/** @type {string} */ name) => entry(this.#change, "address", name, blocked.has(`address${name}`)))),
    ]);
    const titles = ["owner_visitor", "owner_jobs_today", "owner_jobs_all", "owner_spent", "owner_last_job", "owner_addresses"];
    this.#body.replaceChildren(table(titles, rows));
    const count = guests.filter((guest) => guest.visitor_id).length;
    if (count < visitors) this.#body.append(element("p", { class: "soft" }, say("owner_some_visitors", { count, total: visitors })));
  }
}

export class Blocked {
  #change;
  #body = element("div");
  node = section(words.owner_shut_out, { class: "wide" }, this.#body);

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
  }

  /** @param {Overview} overview */
  show({ rules }) {
    const rows = rules.shut_out.map(({ kind, name, since }) => [
      words[kind === "visitor" ? "owner_visitor" : "owner_address"],
      entry(this.#change, kind, name, true),
      moment(since),
    ]);
    this.#body.replaceChildren(table(["owner_who", "owner_name", "owner_time"], rows));
  }
}

export class RecentErrors {
  #body = element("div");
  node = section(words.owner_errors, { class: "wide" }, this.#body);

  /** @param {Overview} overview */
  show({ troubles }) {
    const rows = troubles.map((row) => [
      moment(row.at),
      element("code", {}, row.job),
      words[`state_${row.state}`],
      element("div", {},
        element("p", {}, words[`problem_${row.problem}`] || words.problem_api),
        element("p", { class: "soft", lang: "en" }, row.detail || "")),
    ]);
    this.#body.replaceChildren(table(["owner_time", "owner_job", "owner_state", "owner_problem"], rows));
  }
}
