/* The files of one job, for an image that no list has. */

import { imagesOf } from "../core/images.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").ImageSource} ImageSource */
/** @typedef {import("../core/types.js").Job} Job */

class JobSource extends EventTarget {
  /** @param {ImageItem[]} items */
  constructor(items) {
    super();
    this.items = items;
  }

  get length() {
    return this.items.length;
  }

  /** @param {number} index */
  at(index) {
    return this.items[index];
  }

  /** @param {string} id */
  indexOf(id) {
    return this.items.findIndex((item) => item.id === id);
  }
}

/** @param {Job} job @returns {ImageSource} */
export function sourceOfJob(job) {
  return new JobSource(imagesOf(job));
}
