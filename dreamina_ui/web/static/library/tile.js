/* One cell of the library's grid. */

import { button, element } from "../core/dom.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */

/** @param {LibraryItem} item @returns {{node: HTMLLIElement, face: HTMLButtonElement}} */
export function tileOf(item) {
  const face = button("", () => {}, { class: "tile", "aria-label": item.alt, tabindex: "-1" });
  if (item.file_key && item.kind !== "video" && item.thumbnail !== item.original) {
    face.append(element("img", { src: item.thumbnail, alt: "", loading: "lazy", draggable: "false", width: item.width, height: item.height }));
  } else if (item.file_key && item.kind === "video") {
    face.append(element("video", { src: item.original, preload: "metadata", muted: true, tabindex: -1 }));
  } else {
    face.append(
      element("span", { class: "tile-state" }, item.file_key ? item.facts : item.state_text),
      element("span", { class: "tile-prompt", dir: "auto" }, item.prompt),
    );
  }
  const node = element("li", { "data-file-key": item.file_key || null, "data-state": item.state }, face,
    element("span", { class: "star", "aria-hidden": "true", hidden: !item.is_favorite }, "★"));
  return { node, face };
}
