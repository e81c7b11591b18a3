/* All batches of the visitor, those first that are not ended. */

import { button, element, emit } from "../core/dom.js";
import { get, post } from "../core/http.js";
import { jobs } from "../core/jobs.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { Refresher } from "./refresher.js";
import { BatchStrip } from "./strip.js";

/** @typedef {import("./strip.js").BatchCard} BatchCard */

const REFRESH_MS = 4000;
const REFRESH_SOON_MS = 1000;

/**
 * After how many ms to ask for a batch again: a job that was just submitted has no card yet, and no stream reports it.
 * @param {BatchCard} card
 */
export function pauseOf({ state, counts }) {
  if (state !== "running" && !counts.running) return 0;
  return counts.running ? REFRESH_MS : REFRESH_SOON_MS;
}

/**
 * Pause, resume or cancel a batch.
 * @param {string} batchId
 * @param {string} action
 * @param {HTMLButtonElement} node
 * @returns {Promise<BatchCard | null>} as it is then
 */
export async function act(batchId, action, node) {
  node.disabled = true;
  const { answer: batch, refusal } = await post(`batches/${batchId}/${action}`, {});
  node.disabled = false;
  if (refusal) {
    tell(refusal);
    return null;
  }
  if (action === "cancel") tell(say("batch_not_sent", { count: batch.not_sent }));
  return batch;
}

export class History {
  /** @type {Map<string, BatchStrip>} */
  #strips = new Map();
  #list = element("div", { class: "batch-list" });
  node = element("section", { class: "batch-history", hidden: true, "aria-labelledby": "batch-history-title" },
    element("h2", { id: "batch-history-title" }, words.batch_history), this.#list);
  refresher = new Refresher(() => get("batches"), (cards) => this.#show(cards));

  constructor() {
    jobs.addEventListener("settled", () => this.refresher.soon());
  }

  /** @param {BatchCard[]} cards all of them, in order */
  #show(cards) {
    const ids = new Set(cards.map(({ batch_id: id }) => id));
    for (const [id, { node }] of this.#strips) {
      if (ids.has(id)) continue;
      node.remove();
      this.#strips.delete(id);
    }
    cards.forEach((card, index) => {
      const strip = this.#fill(card);
      if (this.#list.children[index] !== strip.node) this.#list.insertBefore(strip.node, this.#list.children[index] ?? null);
    });
    this.node.hidden = !cards.length;
    const pauses = cards.map(pauseOf).filter(Boolean);
    return pauses.length ? Math.min(...pauses) : 0;
  }

  /** @param {BatchCard} card */
  #fill(card) {
    const id = card.batch_id;
    let strip = this.#strips.get(id);
    if (!strip) {
      const open = button(words.batch_open, (node) => emit(node, "open-batch", id));
      strip = new BatchStrip(card, (action, node) => this.#act(id, action, node), [open]);
      this.#strips.set(id, strip);
    }
    if (strip.fill(card) && card.active) watch();
    return strip;
  }

  /** @param {string} id @param {string} action @param {HTMLButtonElement} node */
  async #act(id, action, node) {
    const card = await act(id, action, node);
    if (!card) return;
    this.#strips.get(id)?.fill(card);
    this.#strips.get(id)?.focus();
    this.refresher.refresh();
  }
}
