/* A list of images that the viewer walks through. No DOM. */

/** @typedef {import("./types.js").ImageItem} ImageItem */

/**
 * Events: `change`, when there are other images than before; `leave`, when the viewer is closed at one, with its id.
 * @template {ImageItem} [Item=ImageItem]
 */
export class ImageList extends EventTarget {
  /** In order; `show` replaces them. @type {Item[]} */
  items = [];

  /** @param {Item[]} items */
  constructor(items = []) {
    super();
    this.items = items;
  }

  get length() {
    return this.items.length;
  }

  /** @param {number} index @returns {Item | undefined} */
  at(index) {
    return this.items[index];
  }

  /** @param {string} id */
  indexOf(id) {
    return this.items.findIndex((item) => item.id === id);
  }

  /** @param {Item[]} items */
  show(items) {
    this.items = items;
    this.dispatchEvent(new Event("change"));
  }
}
