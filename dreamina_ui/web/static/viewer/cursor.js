/* Where somebody is in a source of images, and where a step leads; apart from the DOM. */

import { otherJob, preloadOrder } from "./preload.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").ImageSource} ImageSource */

const MORE_AHEAD = 4; // images before the end at which a source is asked for more

export class Cursor {
  /** @type {ImageSource | null} */
  source = null;
  index = 0;
  /** @type {1 | -1} of the last step */
  direction = 1;

  get item() {
    return this.source?.at(this.index);
  }

  get length() {
    return this.source?.length ?? 0;
  }

  /** @param {number} index */
  moveTo(index) {
    this.index = index;
    if (index + MORE_AHEAD >= this.length) this.source?.more?.().catch(() => {}); // asked again at the next step
  }

  /** The position of the next or previous image; null at the ends. @param {1 | -1} direction */
  next(direction) {
    this.direction = direction;
    const index = this.index + direction;
    return index >= 0 && index < this.length ? index : null;
  }

  /** The position of another job's first image; null at the ends. @param {1 | -1} direction */
  nextJob(direction) {
    this.direction = 1;
    if (this.source?.inColumn) return this.source.inColumn(this.index, direction);
    const jobIds = Array.from({ length: this.length }, (_, position) => this.source?.at(position)?.job_id ?? "");
    const index = otherJob(jobIds, this.index, direction);
    if (index === null) this.source?.more?.().catch(() => {});
    return index;
  }

  /** The positions to load next, the likeliest first. */
  get order() {
    return preloadOrder(this.index, this.length, this.direction);
  }

  /** The images near this one, and this one. @param {number} distance @returns {ImageItem[]} */
  around(distance) {
    const positions = Array.from({ length: 2 * distance + 1 }, (_, position) => this.index - distance + position);
    return positions.flatMap((position) => (position < 0 ? [] : this.source?.at(position) ?? []));
  }
}
