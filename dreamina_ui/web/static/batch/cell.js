/* One job of a batch in its cell: what it waits for, or its images. */

import { closest, element, emit, icon } from "../core/dom.js";
import { imagesOf } from "../core/images.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/types.js").Job} Job */
/** @typedef {import("./images.js").BatchImage} BatchImage */

/**
 * @typedef {object} CellData
 * @property {number} position
 * @property {number} row
 * @property {number} column
 * @property {"waiting" | "sent" | "refused" | "cancelled"} state
 * @property {string | null} job_id
 * @property {string} reason why it was refused
 * @property {Job} [job] left out if it did not change
 */

/** @type {Record<string, string>} */
const TEXTS = { waiting: words.batch_waiting, refused: words.batch_refused, cancelled: words.state_cancelled, sent: words.state_submitting };

export class Cell {
  /** @type {BatchImage[]} */
  images = [];
  /** @type {Job | null} */
  job = null;
  #shown = "";

  /** @param {HTMLTableCellElement} node */
  constructor(node) {
    this.node = node;
    node.addEventListener("click", (event) => this.#click(event));
  }

  /** @param {CellData} data @returns {boolean} whether something else is shown than before */
  fill(data) {
    if (data.job_id !== this.job?.job_id) this.job = null;
    if (data.job && data.job.version >= (this.job?.version ?? 0)) this.job = data.job;
    const { job } = this;
    this.images = job ? imagesOf(job).map((item) => ({ ...item, row: data.row, column: data.column })) : [];
    const text = job && job.state !== "done" ? job.state_text : TEXTS[data.state];
    const why = job?.state === "failed" ? job.message : data.reason;
    const shown = JSON.stringify([data.state, job?.state, text, why, this.images.map(({ id, is_favorite: isStarred }) => [id, isStarred])]);
    if (shown === this.#shown) return false;
    this.#shown = shown;
    this.node.dataset.state = job?.state ?? data.state;
    if (this.images.length) this.#showImages();
    else this.node.replaceChildren(element("span", { class: "state" }, text), ...(why ? [element("span", { class: "reason" }, why)] : []));
    return true;
  }

  #showImages() {
    const hadFocus = document.activeElement instanceof HTMLElement && this.node.contains(document.activeElement) ? document.activeElement.dataset.image : null;
    const tiles = this.images.map((item) => {
      const face = item.kind === "image"
        ? element("img", { src: item.thumbnail, alt: item.alt, loading: "lazy", decoding: "async" })
        : element("span", { class: "state" }, item.alt);
      const star = element("button", { type: "button", class: "batch-star", tabindex: -1, "aria-pressed": String(item.is_favorite), "aria-label": words.key_star }, icon("star"));
      return element("div", { class: "batch-tile" },
        element("button", { type: "button", class: "batch-image", "data-image": item.id, tabindex: -1 }, face), star);
    });
    this.node.replaceChildren(element("div", { class: "batch-tiles", "data-count": tiles.length }, ...tiles));
    const again = hadFocus && this.node.querySelector(`[data-image="${hadFocus}"]`);
    if (again instanceof HTMLElement) again.focus();
  }

  /** @param {Event} event */
  #click(event) {
    const tile = closest(event, ".batch-tile");
    const item = this.images[tile ? [...(tile.parentElement?.children ?? [])].indexOf(tile) : -1];
    if (!item) return;
    if (closest(event, ".batch-star")) emit(this.node, "image-action", { action: item.is_favorite ? "unstar" : "star", item });
    else emit(this.node, "open-cell", item.id);
  }
}
