/* Which of the library's images are chosen. What a filter hides stays chosen. */

import { emit } from "../core/dom.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */
/** @typedef {import("./images.js").LibraryImages} LibraryImages */

const MAX_CHOSEN = 5000; // as many as the server takes at once

/** Event: `change`. */
export class Chosen extends EventTarget {
  isActive = false;
  /** @type {Map<string, LibraryItem>} by file key */
  items = new Map();
  anchor = ""; // the ID of the image where a range begins

  /** @param {LibraryImages} images */
  constructor(images) {
    super();
    this.images = images;
  }

  /** @param {boolean} isActive */
  setActive(isActive) {
    this.isActive = isActive;
    this.anchor = "";
    if (!isActive) this.items.clear();
    emit(this, "change");
  }

  /** @param {LibraryItem | undefined} item */
  toggle(item) {
    if (!item?.file_key) return;
    if (!this.items.delete(item.file_key)) this.items.set(item.file_key, item);
    this.#chose(item.id);
  }

  /** Choose everything between two images. @param {string} from @param {string} to */
  addRange(from, to) {
    const [first, last] = [this.images.indexOf(from), this.images.indexOf(to)].sort((a, b) => a - b);
    this.#add(this.images.items.slice(Math.max(0, first), last + 1));
    this.#chose(from);
  }

  /** Choose all that match, also those that are not loaded yet. Rejects without a connection. */
  async addAll() {
    this.#add(this.images.items);
    this.#chose("");
    while (this.isActive && this.images.hasMore && this.images.length < MAX_CHOSEN) {
      const before = this.images.length;
      await this.images.more();
      if (this.images.length === before) break; // others were asked for meanwhile
      this.#add(this.images.items.slice(before));
      this.#chose("");
    }
  }

  /** @param {LibraryItem[]} items */
  #add(items) {
    for (const item of items) if (item.file_key && this.items.size < MAX_CHOSEN) this.items.set(item.file_key, item);
  }

  /** @param {string} anchor */
  #chose(anchor) {
    this.isActive = true;
    this.anchor = anchor;
    emit(this, "change");
  }
}
