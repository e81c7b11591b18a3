/* What stands for a result without an image: a video, another file, a job that has no files. */

import { element, iconAnd } from "../core/dom.js";
import { url } from "../core/http.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */

/** @param {ImageItem} item @returns {HTMLElement} */
export function tileOf(item) {
  if (item.kind === "video" && item.original) {
    return element("video", { src: item.original, controls: true, preload: "metadata", "aria-label": item.alt });
  }
  const tile = element("div", { class: "file-tile" }, element("p", { class: "file-title", dir: "auto" }, item.alt));
  if (item.thumbnail !== item.original) tile.prepend(element("img", { src: item.preview, alt: "" }));
  if (item.facts) tile.append(element("p", {}, item.facts));
  if (item.original) {
    tile.append(element("a", { class: "button", href: url(item.original, { download: "1" }), download: true }, ...iconAnd("download", words.download)));
  }
  return tile;
}
