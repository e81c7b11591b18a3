/* A batch that was started: its jobs in rows and columns, filled in place. */

import { marks } from "../core/actions.js";
import { arm, button, element, emit } from "../core/dom.js";
import { nextCell } from "../core/grid-keys.js";
import { get } from "../core/http.js";
import { imageLists } from "../core/image-lists.js";
import { jobs } from "../core/jobs.js";
import { onKeys } from "../core/keyboard.js";
import { send } from "../core/requests.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { Cell } from "./cell.js";
import { saveHtml, savePng, saveZip } from "./exports.js";
import { act, pauseOf } from "./history.js";
import { BatchImages } from "./images.js";
import { Matrix } from "./matrix.js";
import { Refresher } from "./refresher.js";
import { priceOf } from "./start.js";
import { BatchStrip } from "./strip.js";

/** @typedef {import("./cell.js").CellData} CellData */
/** @typedef {import("./matrix.js").Label} Label */

/**
 * What `batches/{batch_id}` responds.
 * @typedef {object} GridData
 * @property {import("./strip.js").BatchCard} batch
 * @property {string} model_id
 * @property {Label[]} rows
 * @property {Label[]} columns
 * @property {CellData[]} cells
 * @property {number} read_at
 * @property {any} request what was typed; null if it is not stored
 * @property {{count: number, expected_usd: number | null, digest: string, own_key: boolean, play_money: boolean} | null} retry
 */

const batchImages = new BatchImages(); // what the shown batch has
imageLists.add("batch", batchImages);

export class BatchGrid {
  /** @type {GridData | null} */
  data = null;
  batchId = "";
  takesFocus = false; // the button that leads here will be gone
  #readAt = 0;
  /** @type {Map<number, Cell>} by position */
  #cells = new Map();
  /** @type {Matrix | null} */
  #matrix = null;
  /** @type {BatchStrip | null} */
  #strip = null;
  #retryShown = "";
  #current = ""; // the id of the image that Tab leads to
  /** @type {HTMLElement | null} */
  #stop = null; // its element
  #retry = element("span", { class: "batch-retry" });
  #again = button(words.batch_edit_again, () => emit(this.node, "edit-batch", this.data));
  #best = button(words.batch_best, () => this.#toggleBest(), { "aria-pressed": "false" });
  #back = button(words.batch_all, () => emit(this.node, "open-batch", ""));
  #tools = element("div", { class: "batch-tools" }, this.#best,
    button("PNG", (node) => this.#save(node, savePng)), button("HTML", (node) => this.#save(node, saveHtml)),
    button("ZIP", () => saveZip(batchImages.items)));
  #body = element("div");
  node = element("section", { class: "batch-grid", hidden: true }, this.#body);
  refresher = new Refresher(() => this.#load(), (data) => this.#show(data));

  constructor() {
    jobs.addEventListener("settled", () => this.refresher.soon());
    jobs.addEventListener("change", (event) => this.#takeNews(/** @type {CustomEvent} */ (event).detail.job));
    batchImages.addEventListener("leave", (event) => this.#face(/** @type {CustomEvent} */ (event).detail)?.focus());
    marks.addEventListener("change", (event) => this.#takeMarks(/** @type {CustomEvent} */ (event).detail));
    this.node.addEventListener("open-cell", (event) => {
      emit(this.node, "open-image", { source: batchImages, id: /** @type {CustomEvent} */ (event).detail });
    });
    this.node.addEventListener("focusin", (event) => {
      if (event.target instanceof HTMLElement && event.target.dataset.image) this.#setCurrent(event.target.dataset.image);
    });
    onKeys("grid", {
      "move": (event) => this.#move(event.key),
      "open": () => emit(this.node, "open-image", { source: batchImages, id: this.#current }),
      "star": () => this.#act("star"),
      "download": () => this.#act("download"),
    }, (event) => event.target instanceof HTMLElement && this.node.contains(event.target) && Boolean(event.target.dataset.image));
  }

  /** @param {string} batchId "" for none */
  open(batchId) {
    this.node.hidden = !batchId;
    if (batchId === this.batchId) {
      if (batchId) this.refresher.start();
      else this.refresher.stop();
      return;
    }
    this.refresher.stop();
    this.batchId = batchId;
    this.data = null;
    this.#readAt = 0;
    this.#cells.clear();
    this.#matrix = this.#strip = null;
    this.#body.replaceChildren();
    batchImages.show([]);
    if (batchId) this.refresher.start();
  }

  async #load() {
    return get(`batches/${this.batchId}`, { since: this.#readAt }).catch((error) => {
      if (error.status === 404 && !this.data) this.#body.replaceChildren(this.#back, element("p", { class: "hint", role: "status" }, words.batch_missing));
      throw error;
    });
  }

  /** @param {GridData} data */
  #show(data) {
    if (data.batch.batch_id !== this.batchId) return 0;
    if (!this.#strip || !this.#matrix) this.#build(data);
    this.data = data;
    this.#readAt = data.read_at;
    if (this.#strip?.fill(data.batch) && data.batch.active) watch();
    let isChanged = false;
    for (const cell of data.cells) isChanged = Boolean(this.#cells.get(cell.position)?.fill(cell)) || isChanged;
    if (isChanged) this.#collect();
    this.#showRetry(data);
    return pauseOf(data.batch);
  }

  /** @param {GridData} data */
  #build(data) {
    this.#matrix = new Matrix(data);
    for (const { position, row, column } of data.cells) this.#cells.set(position, new Cell(this.#matrix.cell(row, column)));
    this.#strip = new BatchStrip(data.batch, (action, node) => this.#actOn(action, node), [this.#retry, this.#again]);
    this.#retryShown = "";
    const seed = data.request?.seed ? [element("p", { class: "hint batch-seed-used" }, `${words.batch_seed}: ${data.request.seed}`)] : [];
    this.#body.replaceChildren(this.#back, this.#strip.node, ...seed, this.#tools, this.#matrix.node);
    if (this.takesFocus) this.#strip.node.focus();
    this.takesFocus = false;
  }

  #collect() {
    batchImages.show([...this.#cells.values()].flatMap(({ images }) => images));
    if (batchImages.indexOf(this.#current) < 0) this.#setCurrent(batchImages.at(0)?.id ?? "");
    else this.#setCurrent(this.#current);
    this.#tools.hidden = !batchImages.length;
    this.#markBest();
  }

  /** @param {GridData} data */
  #showRetry({ retry }) {
    const key = JSON.stringify(retry);
    if (key === this.#retryShown) return;
    this.#retryShown = key;
    if (!retry) return this.#retry.replaceChildren();
    const text = `${say("batch_retry", { count: retry.count })} · ${priceOf(retry)}`;
    this.#retry.replaceChildren(arm(button(text, async (node) => {
      node.disabled = true;
      const { refusal } = await send(`batches/${this.batchId}/retry`, { digest: retry.digest }, () => tell(words.press_unknown));
      node.disabled = false;
      if (refusal) tell(refusal);
      this.#strip?.focus();
      this.refresher.refresh();
    })));
  }

  /** @param {string} action @param {HTMLButtonElement} node */
  async #actOn(action, node) {
    const card = await act(this.batchId, action, node);
    if (!card) return;
    this.#strip?.fill(card);
    this.#strip?.focus();
    this.refresher.refresh();
  }

  /** @param {import("../core/types.js").Job} job */
  #takeNews(job) {
    const data = this.data?.cells.find(({ job_id: jobId }) => jobId === job.job_id);
    if (data && this.#cells.get(data.position)?.fill({ ...data, job })) this.#collect();
  }

  /** @param {{files: string[], favourite?: boolean, deleted?: boolean}} change */
  #takeMarks({ files, favourite }) {
    const keys = new Set(files);
    const changed = this.data?.cells.filter(({ position }) => this.#cells.get(position)?.images.some((item) => keys.has(item.file_key))) ?? [];
    if (favourite === undefined) {
      this.#readAt = 0; // what was deleted or restored
      this.refresher.soon();
    }
    for (const data of changed) {
      const cell = this.#cells.get(data.position);
      if (!cell?.job || favourite === undefined) continue;
      const outputs = cell.job.outputs.map((output) => (keys.has(output.file_key) ? { ...output, favourite } : output));
      cell.fill({ ...data, job: { ...cell.job, outputs } });
    }
    if (changed.length) this.#collect();
  }

  /** @param {HTMLButtonElement} node @param {typeof savePng} make */
  async #save(node, make) {
    if (!this.data) return;
    node.disabled = true;
    const name = `dreamina-batch-${new Date(this.data.batch.created_at * 1000).toISOString().slice(0, 10)}-${this.batchId.slice(0, 6)}`;
    await make(name, this.data, batchImages.items).catch(() => tell(words.batch_export_failed));
    node.disabled = false;
  }

  /* --- best of each row */

  #toggleBest() {
    const isOn = this.#best.getAttribute("aria-pressed") !== "true";
    this.#best.setAttribute("aria-pressed", String(isOn));
    this.#markBest();
  }

  #markBest() {
    this.#matrix?.node.classList.toggle("best-only", this.#best.getAttribute("aria-pressed") === "true");
  }

  /* --- keyboard: one Tab stop */

  /** @param {string} id */
  #face(id) {
    const node = this.node.querySelector(`[data-image="${CSS.escape(id)}"]`);
    return node instanceof HTMLElement ? node : null;
  }

  /** @param {string} id */
  #setCurrent(id) {
    this.#current = id;
    if (this.#stop?.isConnected && this.#stop.dataset.image === id) return;
    if (this.#stop) this.#stop.tabIndex = -1;
    this.#stop = this.#face(id);
    if (this.#stop) this.#stop.tabIndex = 0;
  }

  /** @param {string} key @returns {boolean | void} */
  #move(key) {
    const faces = /** @type {HTMLElement[]} */ ([...this.node.querySelectorAll("[data-image]")]).filter((face) => face.offsetParent);
    const boxes = faces.map((face) => face.getBoundingClientRect()).map(({ left, top, width }) => ({ left, top, width }));
    const next = nextCell(key, faces.findIndex((face) => face.dataset.image === this.#current), boxes);
    if (next === null) return;
    faces[next].focus();
    faces[next].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {string} action */
  #act(action) {
    const item = batchImages.at(batchImages.indexOf(this.#current));
    if (item) emit(this.node, "image-action", { action: action === "star" && item.is_favorite ? "unstar" : action, item });
  }

  focus() {
    this.#strip?.node.focus();
  }
}
