/* One image of the library. */

import { element } from "../core/dom.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */
/**
 * @typedef {object} Tile
 * @property {HTMLLIElement} node
 * @property {HTMLButtonElement} face
 * @property {HTMLImageElement | null} image
 * @property {HTMLElement | null} star
 * @property {HTMLElement | null} rated
 * @property {LibraryItem} item
 * @property {import("./layout.js").Box | null} box where it stands
 * @property {number} index
 * @property {string} source
 */

const THUMBNAIL_PX = 560; // how large a thumbnail of 400 px may be shown
// Copied for each image, which takes a fifth of the time that building one takes.
const PATTERN = element("li", {}, element("button", { type: "button", class: "tile", tabindex: "-1" }));
const IMAGE = element("img", { alt: "", draggable: "false", decoding: "async" });

/** @param {LibraryItem} item @param {number} total how many images there are @returns {Tile} */
export function tileOf(item, total) {
  const node = /** @type {HTMLLIElement} */ (PATTERN.cloneNode(true));
  const face = /** @type {HTMLButtonElement} */ (node.firstChild);
  face.setAttribute("aria-label", item.alt);
  if (item.file_key) node.setAttribute("data-file-key", item.file_key);
  node.setAttribute("data-state", item.state);
  node.setAttribute("aria-setsize", String(total));
  const image = item.file_key && item.kind !== "video" && item.thumbnail !== item.original ? /** @type {HTMLImageElement} */ (IMAGE.cloneNode()) : null;
  if (image) {
    face.append(image);
  } else if (item.file_key && item.kind === "video") {
    face.append(element("video", { src: item.original, preload: "metadata", muted: true, tabindex: -1 }));
  } else {
    face.append(
      element("span", { class: "tile-state" }, item.file_key ? item.facts : item.state_text),
      element("span", { class: "tile-prompt", dir: "auto" }, item.prompt),
    );
  }
  if (item.visitor !== null) node.append(element("span", { class: "whose" }, item.visitor));
  return { node, face, image, star: null, rated: null, item, box: null, index: -1, source: "" };
}

/**
 * Put a tile where it belongs, and show what may change: the star, and the copy that is sharp at this size.
 * @param {Tile} tile
 * @param {number} index
 * @param {import("./layout.js").Box} box
 */
export function positionTile(tile, index, box) {
  const { node, item, image } = tile;
  const { left, top, width, height } = box;
  const isThere = tile.box && tile.box.left === left && tile.box.top === top && tile.box.width === width && tile.box.height === height;
  if (!isThere) node.style.cssText = `left: ${left}px; top: ${top}px; width: ${width}px; height: ${height}px`;
  tile.box = box;
  if (tile.index !== index) node.setAttribute("aria-posinset", String(index + 1));
  tile.index = index;
  tile.star = mark(tile, tile.star, "star", item.is_favorite ? "★" : "");
  tile.rated = mark(tile, tile.rated, "rated", item.rating ? `${item.rating} / 5` : "");
  const source = Math.max(width, height) * window.devicePixelRatio > THUMBNAIL_PX ? item.preview : item.thumbnail;
  if (image && tile.source !== source) image.src = source;
  tile.source = source;
}

/**
 * A mark on a tile; most have none, and then no element, as the style of each element costs time.
 * @param {Tile} tile
 * @param {HTMLElement | null} shown
 * @param {string} name
 * @param {string} text "" for none
 */
function mark({ node }, shown, name, text) {
  if (!text) {
    shown?.remove();
    return null;
  }
  const made = shown ?? element("span", { class: name, "aria-hidden": "true" });
  if (made.textContent !== text) made.textContent = text;
  if (!shown) node.append(made);
  return made;
}
