/* One image of the library. */

import { button, element } from "../core/dom.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */

const THUMBNAIL_PX = 560; // how large a thumbnail of 400 px may be shown

/** @param {LibraryItem} item @returns {{node: HTMLLIElement, face: HTMLButtonElement}} */
export function tileOf(item) {
  const face = button("", () => {}, { class: "tile", "aria-label": item.alt, tabindex: "-1" });
  if (item.file_key && item.kind !== "video" && item.thumbnail !== item.original) {
    face.append(element("img", { alt: "", draggable: "false", decoding: "async", width: item.width, height: item.height }));
  } else if (item.file_key && item.kind === "video") {
    face.append(element("video", { src: item.original, preload: "metadata", muted: true, tabindex: -1 }));
  } else {
    face.append(
      element("span", { class: "tile-state" }, item.file_key ? item.facts : item.state_text),
      element("span", { class: "tile-prompt", dir: "auto" }, item.prompt),
    );
  }
  const node = element("li", { "data-file-key": item.file_key || null, "data-state": item.state }, face,
    element("span", { class: "star", "aria-hidden": "true", hidden: !item.is_favorite }, "★"),
    element("span", { class: "rated", "aria-hidden": "true", hidden: true }));
  if (item.visitor !== null) node.append(element("span", { class: "whose" }, item.visitor));
  return { node, face };
}

/**
 * Show what may change: the star, and the copy that is sharp at this size.
 * @param {{node: HTMLLIElement, face: HTMLButtonElement, item: LibraryItem}} tile
 * @param {number} size the longer side, in CSS pixels
 */
export function faceOf({ node, face, item }, size) {
  const star = node.querySelector(".star");
  if (star instanceof HTMLElement) star.hidden = !item.is_favorite;
  const rated = node.querySelector(".rated");
  if (rated instanceof HTMLElement) {
    rated.hidden = !item.rating;
    rated.textContent = `${item.rating} / 5`;
  }
  const image = face.querySelector("img");
  const source = size * window.devicePixelRatio > THUMBNAIL_PX ? item.preview : item.thumbnail;
  if (image && image.src !== source) image.src = source;
}
