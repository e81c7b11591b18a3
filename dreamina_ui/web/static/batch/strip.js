/* One batch: how far it is, what it waits for, and its buttons. */

import { button, element } from "../core/dom.js";
import { moment, say, words } from "../core/words.js";

/**
 * @typedef {object} BatchCard
 * @property {string} batch_id
 * @property {number} created_at
 * @property {string} prompt the first one
 * @property {boolean} active
 * @property {string} state
 * @property {number} total
 * @property {{waiting: number, running: number}} counts
 * @property {string} summary
 * @property {string} message
 * @property {{prompt: string, reason: string}[]} refusals
 */

export class BatchStrip {
  /** @type {BatchCard} */
  data;
  #sent = -1;
  #act;
  #summary = element("span", { class: "summary" });
  #progress = element("progress");
  #message = element("p", { class: "message", role: "status" });
  #refusals = element("ul", { class: "refusals" });
  #sure = element("span", { class: "sure", role: "alertdialog", "aria-label": words.batch_cancel, hidden: true });
  #pause = button(words.batch_pause, (node) => this.#act("pause", node));
  #resume = button(words.batch_continue, (node) => this.#act("resume", node));
  #cancel = button(words.batch_cancel, () => this.#askCancel());

  /**
   * @param {BatchCard} data
   * @param {(action: string, node: HTMLButtonElement) => Promise<void>} act
   * @param {HTMLElement[]} more buttons
   */
  constructor(data, act, more) {
    this.data = data;
    this.#act = act;
    const title = say("batch_title", { time: moment(data.created_at) });
    this.#progress.setAttribute("aria-label", title);
    this.node = element("section", { class: "batch", "aria-label": title, "data-batch-id": data.batch_id, tabindex: -1 },
      element("p", {}, element("strong", { dir: "auto", class: "name" }, data.prompt || title), data.prompt ? element("span", { class: "when" }, title) : "", this.#summary), this.#progress, this.#message, this.#refusals,
      element("div", { class: "batch-actions" }, this.#pause, this.#resume, this.#cancel, this.#sure, ...more));
  }

  /**
   * @param {BatchCard} data
   * @returns {boolean} whether jobs were sent since the last time
   */
  fill(data) {
    this.data = data;
    const { counts, total } = data;
    this.node.dataset.state = data.state;
    this.#summary.textContent = data.summary;
    this.#progress.max = total;
    this.#progress.value = total - counts.waiting - counts.running;
    if (this.#message.textContent !== data.message) this.#message.textContent = data.message;
    this.#message.hidden = !data.message;
    this.#refusals.hidden = !data.refusals.length;
    this.#refusals.replaceChildren(...data.refusals.map(({ prompt, reason }) => (
      element("li", {}, element("strong", { dir: "auto" }, say("batch_refusal", { prompt })), " ", reason))));
    this.#pause.hidden = data.state !== "running";
    this.#resume.hidden = data.state !== "paused";
    if (!counts.waiting) this.#sure.hidden = true;
    this.#cancel.hidden = !counts.waiting || !this.#sure.hidden;
    const sent = total - counts.waiting;
    const isNew = sent !== Math.max(this.#sent, 0);
    this.#sent = sent;
    return isNew;
  }

  // The button with the focus may be hidden now: focus the next one.
  focus() {
    const next = [this.#pause, this.#resume].find((node) => !node.hidden) ?? this.node;
    next.focus();
  }

  #askCancel() {
    const back = () => {
      this.#sure.hidden = true;
      this.fill(this.data);
    };
    const no = button(words.keep_waiting, () => {
      back();
      this.#cancel.focus();
    });
    const yes = button(say("batch_cancel_sure", { count: this.data.counts.waiting }), async (node) => {
      await this.#act("cancel", node);
      back();
      this.focus();
    });
    this.#sure.replaceChildren(yes, no);
    this.#sure.hidden = false;
    this.#cancel.hidden = true;
    no.focus();
  }
}
