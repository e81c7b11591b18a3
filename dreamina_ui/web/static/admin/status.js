/* Whether generating is on, and what was spent. */

import { element } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { moment, say, usd, words } from "../core/words.js";
import { meter } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Overview} Overview */

export class Switch {
  #now = element("p", { class: "now" });
  #reasons = element("div");
  #press = element("button", { type: "button", hidden: true }); // until it is known what it would do
  node = element("section", { class: "switch wide" }, element("div", {}, this.#now, this.#reasons), this.#press);

  /** @param {Change} change */
  constructor(change) {
    this.#press.addEventListener("click", () => {
      const stopped = this.node.dataset.stopped !== "true";
      change(this.#press, "switch", { stopped }, stopped ? words.owner_now_stopped : words.owner_now_running);
    });
  }

  /** @param {Overview} overview */
  show({ rules: { stops } }) {
    const isStopped = stops.length > 0;
    this.node.dataset.stopped = String(isStopped);
    this.#now.textContent = isStopped ? words.owner_now_stopped : words.owner_now_running;
    const since = (/** @type {number} */ at) => element("span", { class: "soft" }, say("owner_since", { time: moment(at) }));
    this.#reasons.replaceChildren(...stops.map((stop) => element("p", {}, words[`owner_stop_${stop.reason}`], " ", since(stop.since), ...wayOut(stop.reason))));
    if (!isStopped) this.#reasons.append(element("p", { class: "soft" }, words.owner_stop_help));
    this.#press.textContent = isStopped ? words.owner_resume : words.owner_stop;
    this.#press.className = isStopped ? "go" : "stop";
    this.#press.hidden = false;
  }
}

// Where the cause can be removed; then Resume is the last step.
/** @param {string} reason */
function wayOut(reason) {
  const links = /** @type {Record<string, [string, string]>} */ ({
    balance: [words.add_funds, "https://www.runcomfy.com/profile/billing"], auth: [words.owner_check_token, "https://www.runcomfy.com/profile"],
  });
  if (!links[reason]) return [];
  const [text, href] = links[reason];
  return [" ", element("a", { href, target: "_blank", rel: "noopener" }, text)];
}

export class Money {
  #title;
  #name;
  node = element("section");

  /**
   * @param {string} title
   * @param {"today" | "month"} name
   */
  constructor(title, name) {
    this.#title = title;
    this.#name = name;
  }

  /** @param {Overview} overview */
  show(overview) {
    const money = overview[this.#name];
    const used = money.billed_usd + money.open_usd;
    const limit = overview.limits.find(({ name }) => name === (this.#name === "today" ? "usd_per_day" : "usd_per_month"));
    const most = limit?.most ?? null;
    const lines = [say("owner_jobs", { count: money.jobs })];
    if (money.billed_jobs) lines.push(say(facts.uses_sandbox ? "owner_play" : "owner_billed", { usd: usd(money.billed_usd), count: money.billed_jobs, foreseen: usd(money.foreseen_usd) }));
    if (money.open_jobs) lines.push(say("owner_open", { usd: usd(money.open_usd), count: money.open_jobs }));
    if (money.unknown_jobs) lines.push(say("owner_unknown", { count: money.unknown_jobs }));
    this.node.replaceChildren(
      element("h2", {}, this.#title),
      ...(facts.uses_sandbox ? [element("p", { class: "demo" }, words.owner_demo)] : []),
      element("p", { class: "figure" }, most === null ? usd(used) : say("owner_of_budget", { used: usd(used), most: usd(most) })),
      ...(most === null ? [element("p", { class: "soft" }, words.owner_no_budget)] : [meter(this.#title, most, money.billed_usd, money.open_usd)]),
      ...lines.map((line) => element("p", { class: "soft" }, line)),
    );
  }
}

/* What the owner should look after, such as a model's file that is out of date. */
export class Notices {
  node = element("div", { class: "wide", hidden: true });

  /** @param {Overview} overview */
  show({ notices }) {
    this.node.hidden = !notices.length;
    this.node.replaceChildren(...notices.map(({ title, text, lines }) => element("section", { class: "warning" },
      element("h2", {}, title),
      element("p", {}, text),
      element("ul", { lang: "en" }, ...lines.map((line) => element("li", {}, line))))));
  }
}
