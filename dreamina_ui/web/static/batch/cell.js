/* One job of a batch in its cell: what it waits for, or its images. */

import { closest, element, emit, icon, putInOrder } from "../core/dom.js";
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
  #seen = ""; // what was sent last, but for the job
  #home = element("div", { class: "batch-tiles" });
  /** @type {Map<string, HTMLElement>} by file */
  #tiles = new Map();

  /** @param {HTMLTableCellElement} node */
  constructor(node) {
    this.node = node;
    node.addEventListener("click", (event) => this.#click(event));
  }

  /** @param {CellData} data @returns {boolean} whether something else is shown than before */
  fill(data) {
    const seen = JSON.stringify([data.state, data.job_id, data.reason]);
    if (!data.job && seen === this.#seen) return false;
    this.#seen = seen;
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

  // What stays keeps its elements, and so the focus, and a click that has begun.
  #showImages() {
    const known = new Map(this.#tiles);
    this.#tiles = new Map(this.images.map((item) => [item.file_key, known.get(item.file_key) ?? tileOf(item)]));
    for (const item of this.images) {
      const tile = this.#tiles.get(item.file_key);
      tile?.querySelector(".batch-star")?.setAttribute("aria-pressed", String(item.is_favorite));
      tile?.toggleAttribute("data-starred", item.is_favorite);
    }
    this.node.toggleAttribute("data-starred", this.images.some((item) => item.is_favorite));
    this.#home.dataset.count = String(this.images.length);
    putInOrder(this.#home, [...this.#tiles.values()]);
    if (this.node.firstChild !== this.#home) this.node.replaceChildren(this.#home);
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

/** @param {BatchImage} item */
function tileOf(item) {
  const face = item.kind === "image"
    ? element("img", { src: item.thumbnail, alt: item.alt, loading: "lazy", decoding: "async" })
    : element("span", { class: "state" }, item.alt);
  const star = element("button", { type: "button", class: "batch-star", tabindex: -1, "aria-label": words.key_star, title: words.key_star }, icon("star"));
  return element("div", { class: "batch-tile" },
    element("button", { type: "button", class: "batch-image", "data-image": item.id, tabindex: -1, style: item.width ? `--ratio: ${item.width / item.height}` : null }, face), star);
}
