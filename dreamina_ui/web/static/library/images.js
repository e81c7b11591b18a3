/* The library's entries, page by page, as the grid and the viewer show them. */

import { root } from "../core/facts.js";
import { get, url } from "../core/http.js";
import { ImageList } from "../core/image-list.js";
import { say } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */

/**
 * What the server sends of an entry; a job without files has no `file_key`.
 * @typedef {object} Entry
 * @property {string} job_id
 * @property {string} state
 * @property {string} prompt
 * @property {string} [state_text]
 * @property {string} [file_key]
 * @property {number} [index]
 * @property {"image" | "video" | "file"} [kind]
 * @property {string} [thumbnail]
 * @property {string} [preview]
 * @property {string} [large]
 * @property {string} [original]
 * @property {string} [alt]
 * @property {string} [facts]
 * @property {boolean} [favourite]
 * @property {number} [rating]
 * @property {boolean} [deleted] whether it is in the trash
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} created_at s since 1970
 * @property {string} [visitor] the beginning of a visitor's ID, if the image is another one's
 * @property {string} [visitor_name] what the owner calls them
 */
/** @typedef {ImageItem & {state: string, prompt: string, state_text: string, created_at: number, visitor: string | null}} LibraryItem `visitor`: whose image it is, for people */

const FIRST = 24; // images in the first page, which is small to be there at once
const MORE = 60; // images in each other page
const PREPARED_MS = 5000; // how long the first page may wait for somebody to open the library
const MAX_REFRESHED = 240; // as many as the server sends at once

/** @param {Entry} entry @returns {LibraryItem} */
export function itemOf(entry) {
  const at = (/** @type {string | undefined} */ path) => (path ? `${root.href}${path}` : ""); // ten times faster than `new URL`
  const original = at(entry.original);
  return {
    id: `${entry.job_id}/${entry.index ?? 0}`,
    job_id: entry.job_id,
    index: entry.index ?? 0,
    file_key: entry.file_key ?? "",
    kind: entry.kind ?? "file",
    width: entry.width ?? 0,
    height: entry.height ?? 0,
    original,
    screen: at(entry.large) || null,
    preview: at(entry.preview) || original,
    thumbnail: at(entry.thumbnail) || original,
    download: original && `${original}${original.includes("?") ? "&" : "?"}download=1`,
    download_with_settings: null,
    alt: entry.alt ?? `${entry.state_text}: ${entry.prompt}`,
    facts: entry.facts ?? "",
    is_favorite: Boolean(entry.favourite),
    rating: entry.rating ?? 0,
    is_deleted: Boolean(entry.deleted),
    job: null,
    state: entry.state,
    prompt: entry.prompt,
    state_text: entry.state_text ?? "",
    created_at: entry.created_at,
    visitor: entry.visitor === undefined ? null : entry.visitor_name || say("library_visitor", { name: entry.visitor || "–" }),
  };
}

/** Those that are loaded. Event: `count`, when it is known how many there are. @extends {ImageList<LibraryItem>} */
export class LibraryImages extends ImageList {
  /** @type {string | null} */
  #next = null; // the next page's cursor
  #number = 0; // of the newest request; older responses are dropped
  #counting = 0; // the number of the newest count; older responses are dropped
  #isLoading = false;
  /** @type {{href: string, at: number, page: Promise<any>} | null} */
  #prepared = null;
  /** @type {Record<string, any>} */
  #query = {};
  isLoaded = false;
  count = 0; // how many entries match, on all pages
  seesOthers = false; // whether there may be images of other visitors

  get hasMore() {
    return this.#next !== null;
  }

  /** Request the first page already. @param {Record<string, any>} query */
  prepare(query) {
    if (this.isLoaded || (this.#prepared && performance.now() - this.#prepared.at < PREPARED_MS)) return;
    const page = get("library", query).catch(() => null);
    this.#prepared = { href: url("library", query).href, at: performance.now(), page };
  }

  /** Something changed since. */
  dropPrepared() {
    this.#prepared = null;
  }

  /** @param {Record<string, any>} query @returns {Promise<any>} null if it was not prepared */
  async #takePrepared(query) {
    const prepared = this.#prepared;
    this.#prepared = null;
    const isWanted = prepared?.href === url("library", query).href && performance.now() - prepared.at < PREPARED_MS;
    return isWanted ? prepared.page : null;
  }

  /** Begin anew. Rejects without a connection; then everything stays as it was.
   * @param {Record<string, any>} query */
  async load(query) {
    this.#query = query;
    const page = await this.#fetch({});
    if (!page) return;
    this.count = 0;
    this.seesOthers = page.sees_others;
    this.isLoaded = true;
    this.#next = page.next;
    this.show(page.entries.map(itemOf));
    this.#countAll();
  }

  // It takes longer than a page, as it reads all that match, so images do not wait for it.
  async #countAll() {
    this.#counting += 1;
    const number = this.#counting;
    const response = await get("library/count", this.#query).catch(() => null);
    if (!response || number !== this.#counting || response.count === this.count) return;
    this.count = response.count;
    this.dispatchEvent(new Event("count"));
  }

  /** Load the next page, if there is one. Rejects without a connection. */
  async more() {
    if (!this.hasMore || this.#isLoading) return;
    const page = await this.#fetch({ after: this.#next, limit: MORE });
    if (!page) return;
    const known = new Set(this.items.map(({ id }) => id));
    const others = page.entries.map(itemOf).filter((/** @type {LibraryItem} */ item) => !known.has(item.id));
    this.#next = page.next;
    this.show([...this.items, ...others]);
  }

  /** Load the beginning anew; what stands behind it stays. Rejects without a connection.
   * @param {number} [count] how many images */
  async refresh(count = this.length) {
    const page = await this.#fetch({ limit: Math.min(Math.max(count, FIRST), MAX_REFRESHED) });
    if (!page) return; // a newer request was sent meanwhile
    const head = page.entries.map(itemOf);
    const known = new Set(head.map((/** @type {LibraryItem} */ item) => item.id));
    const last = page.next ? this.items.findLastIndex(({ id }) => known.has(id)) : this.length;
    const tail = last < 0 ? [] : this.items.slice(last + 1).filter(({ id }) => !known.has(id));
    if (!tail.length) this.#next = page.next;
    this.show([...head, ...tail]);
    this.#countAll();
  }

  /** @param {Record<string, any>} more @returns {Promise<any>} null if a newer request was sent meanwhile */
  async #fetch(more) {
    this.#number += 1;
    const number = this.#number;
    this.#isLoading = true;
    try {
      const query = { ...this.#query, ...more };
      const page = (await this.#takePrepared(query)) ?? (await get("library", query));
      return number === this.#number ? page : null;
    } finally {
      if (number === this.#number) this.#isLoading = false;
    }
  }

  /** @param {string[]} files @param {boolean} isFavorite */
  markFavorites(files, isFavorite) {
    const keys = new Set(files);
    this.show(this.items.map((item) => (keys.has(item.file_key) ? { ...item, is_favorite: isFavorite } : item)));
  }

  /** @param {string[]} files @param {number} rating */
  rate(files, rating) {
    const keys = new Set(files);
    this.show(this.items.map((item) => (keys.has(item.file_key) ? { ...item, rating } : item)));
  }

  /** @param {string[]} files */
  leaveOut(files) {
    const keys = new Set(files);
    this.#leaveOut((item) => keys.has(item.file_key));
  }

  /** @param {string} jobId */
  leaveOutJob(jobId) {
    this.#leaveOut((item) => item.job_id === jobId);
  }

  /** @param {(item: LibraryItem) => boolean} isOut */
  #leaveOut(isOut) {
    const rest = this.items.filter((item) => !isOut(item));
    this.count -= this.length - rest.length;
    this.show(rest);
    this.#countAll();
  }
}
