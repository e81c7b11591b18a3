/* The images that each tab shows, for the viewer; a tab's module adds its list when it is loaded. No DOM. */

import { ImageList } from "./image-list.js";

/** @typedef {import("./types.js").ImageSource} ImageSource */

const NONE = new ImageList();

/** Event: `change`, when a tab has other images than before. */
class ImageLists extends EventTarget {
  /** @type {Map<string, ImageSource>} */
  #lists = new Map();

  /** @param {string} tab @param {ImageSource} list */
  add(tab, list) {
    this.#lists.set(tab, list);
    list.addEventListener("change", () => this.dispatchEvent(new Event("change")));
  }

  /** @param {string} tab @returns {ImageSource} empty before the tab is loaded, and for tabs without a list */
  of(tab) {
    return this.#lists.get(tab) ?? NONE;
  }
}

export const imageLists = new ImageLists();
