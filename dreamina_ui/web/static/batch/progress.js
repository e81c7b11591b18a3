/* <dreamina-batches>: the progress of each batch that was active while this page was open. */

import { get, post } from "../core/http.js";
import { jobs } from "../core/jobs.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { say } from "../core/words.js";
import { BatchStrip } from "./strip.js";

/** @typedef {import("../core/types.js").Outcome} Outcome */
/** @typedef {import("./strip.js").BatchCard} BatchCard */

const REFRESH_MS = 4000;
const REFRESH_SOON_MS = 1000;
const CHANGED_MS = 300; // many jobs may change at once

export class BatchProgress extends HTMLElement {
  /** @type {Set<string>} */
  #seen = new Set(); // their end is shown, too
  /** @type {Map<string, BatchStrip>} */
  #strips = new Map();
  #timer = 0;
  #isRefreshing = false;
  #refreshesAgain = false;
  #jobsChanged = () => {
    clearTimeout(this.#timer);
    if (this.#strips.size) this.#timer = window.setTimeout(() => this.refresh(), CHANGED_MS);
  };
  #visible = () => { if (!document.hidden) this.refresh(); };

  connectedCallback() {
    jobs.addEventListener("change", this.#jobsChanged);
    document.addEventListener("visibilitychange", this.#visible);
    window.addEventListener("pageshow", this.#visible);
    this.refresh();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    jobs.removeEventListener("change", this.#jobsChanged);
    document.removeEventListener("visibilitychange", this.#visible);
    window.removeEventListener("pageshow", this.#visible);
  }

  /**
   * A batch was sent, or refused.
   * @param {Outcome} outcome
   */
  started({ answer: batch, refusal }) {
    if (refusal) return tell(refusal);
    this.#seen.add(batch.batch_id);
    tell(say("batch_started", { count: batch.total }));
    this.#show([batch]);
    this.#strips.get(batch.batch_id)?.node.scrollIntoView({ block: "nearest" });
    this.refresh();
  }

  /**
   * Ask for the batches, and again while any of them is active.
   * @returns {Promise<void>}
   */
  async refresh() {
    if (this.#isRefreshing) {
      this.#refreshesAgain = true;
      return;
    }
    this.#isRefreshing = true;
    clearTimeout(this.#timer);
    try {
      const batches = await get("batches");
      if (!this.#refreshesAgain) this.#show(batches); // otherwise it may be older than the response to a click
    } catch { /* the connection notice says that the server cannot be reached */ }
    this.#isRefreshing = false;
    if (this.#refreshesAgain) {
      this.#refreshesAgain = false;
      return this.refresh();
    }
    // A job that the dispatcher just submitted has no card yet, and no stream reports it.
    const going = [...this.#strips.values()].map(({ data }) => data).filter((data) => data.state === "running" || data.counts.running);
    const isSoon = going.some((data) => !data.counts.running);
    if (going.length && !document.hidden) this.#timer = window.setTimeout(() => this.refresh(), isSoon ? REFRESH_SOON_MS : REFRESH_MS);
  }

  /** @param {BatchCard[]} batches */
  #show(batches) {
    for (const data of batches) {
      if (data.active) this.#seen.add(data.batch_id);
      if (!this.#seen.has(data.batch_id)) continue;
      const strip = this.#strips.get(data.batch_id) ?? this.#newStrip(data);
      if (strip.fill(data) && data.active) watch();
    }
  }

  /** @param {BatchCard} data */
  #newStrip(data) {
    const strip = new BatchStrip(data, (action, node) => this.#act(data.batch_id, action, node), () => {
      this.#seen.delete(data.batch_id);
      this.#strips.delete(data.batch_id);
      strip.node.remove();
    });
    this.#strips.set(data.batch_id, strip);
    this.append(strip.node);
    return strip;
  }

  /**
   * @param {string} batchId
   * @param {string} action
   * @param {HTMLButtonElement} node
   */
  async #act(batchId, action, node) {
    node.disabled = true;
    const { answer: batch, refusal } = await post(`batches/${batchId}/${action}`, {});
    node.disabled = false;
    if (refusal) return tell(refusal);
    if (action === "cancel") tell(say("batch_not_sent", { count: batch.not_sent }));
    this.#show([batch]);
    this.#strips.get(batchId)?.focus();
    this.refresh();
  }
}
