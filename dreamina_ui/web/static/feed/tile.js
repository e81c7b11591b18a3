/* One stored file of a job: an image that opens in the viewer, with its actions at hover and focus; a video with its
 * controls; any other file as a plain tile that downloads it. */

import { canEdit } from "../core/actions.js";
import { button, element, emit, iconAnd } from "../core/dom.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").Output} Output */

/** @type {WeakMap<HTMLElement, ImageItem>} */
const items = new WeakMap();

/**
 * The item that a tile shows.
 * @param {HTMLElement} tile
 */
export function itemOf(tile) {
  return items.get(tile);
}

/**
 * @param {ImageItem} item
 * @param {{sizes: string, isEager: boolean}} loading how wide the image is shown, as `sizes` of an `img`
 */
export function createTile(item, loading) {
  const tile = element("figure", { class: "tile", "data-index": item.index, "data-state": "kept", "data-kind": item.kind, "data-file": item.file_key });
  items.set(tile, item);
  tile.append(content(item, loading, tile), actions(tile, item));
  updateTile(tile, item);
  return tile;
}

/**
 * @param {HTMLElement} tile
 * @param {ImageItem} item the same file, as it is now
 */
export function updateTile(tile, item) {
  items.set(tile, item);
  const star = tile.querySelector(".star");
  if (!star) return;
  star.setAttribute("aria-pressed", String(item.is_favorite));
  star.setAttribute("title", item.is_favorite ? words.unfavourite : words.favourite);
  tile.toggleAttribute("data-favorite", item.is_favorite);
}

/**
 * @param {ImageItem} item
 * @param {{sizes: string, isEager: boolean}} loading
 * @param {HTMLElement} tile
 */
function content(item, { sizes, isEager }, tile) {
  if (item.kind === "video") {
    return element("video", { class: "open", src: item.original, controls: true, preload: "metadata", "aria-label": item.alt });
  }
  if (item.kind === "file") {
    const text = element("span", { class: "file-facts" }, item.facts);
    const picture = item.thumbnail === item.original ? [] : [element("img", { src: item.preview, alt: "", loading: "lazy" })];
    return element("a", { class: "open file-tile", href: item.download, download: true, "aria-label": `${words.download}: ${item.alt}. ${item.facts}` }, ...picture, text);
  }
  const screen = item.screen && item.screen !== item.preview ? `, ${item.screen} 2560w` : "";
  const image = element("img", {
    loading: isEager ? "eager" : "lazy", // first: sizes may be "auto" only in a lazy image
    sizes,
    srcset: `${item.thumbnail} 400w, ${item.preview} 1280w${screen}`,
    src: item.preview,
    alt: item.alt,
    width: item.width,
    height: item.height,
    decoding: "async",
  });
  const link = element("a", { class: "open", href: item.original }, image);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // the original in a tab or window
    event.preventDefault();
    emit(tile, "open-tile", { id: item.id });
  });
  return link;
}

/**
 * @param {HTMLElement} tile
 * @param {ImageItem} item
 */
function actions(tile, item) {
  const number = item.index + 1;
  const act = (/** @type {string} */ action) => emit(tile, "image-action", { action, item: items.get(tile) });
  const toggle = (/** @type {HTMLElement} */ node) => act(node.ariaPressed === "true" ? "unstar" : "star");
  const star = button("", toggle, { class: "star", "aria-label": `${words.favourite}: ${number}`, tabindex: -1 });
  star.append(...iconAnd("star", words.favourite));
  const save = element("a", { class: "save", href: item.download, download: true, "aria-label": `${words.download}: ${number}`, title: words.download, tabindex: -1 }, ...iconAnd("download", words.download));
  const box = element("div", { class: "tile-actions" }, star, save);
  if (item.kind === "image" && canEdit()) {
    const edit = button("", () => act("edit"), { class: "use-as-input", "aria-label": `${words.use_as_input}: ${number}`, title: words.use_as_input, tabindex: -1 });
    edit.append(...iconAnd("edit", words.use_as_input));
    box.append(edit);
  }
  return box;
}

/**
 * A skeleton for an image that may still come.
 * @param {number} index
 */
export function createSkeleton(index) {
  return element("figure", { class: "tile skeleton", "data-index": index, "data-state": "skeleton", "aria-hidden": "true" });
}

/**
 * What stands where a file could not be stored, or is still arriving.
 * @param {Output} output
 */
export function createGap(output) {
  const gap = element("figure", { class: "tile gap", "data-index": output.index, "data-state": output.state }, element("figcaption", {}));
  updateGap(gap, output);
  return gap;
}

/**
 * Show as much of an image as has arrived.
 * @param {HTMLElement} gap
 * @param {Output} output the same one, as it is now
 */
export function updateGap(gap, output) {
  const caption = /** @type {HTMLElement} */ (gap.querySelector("figcaption"));
  caption.textContent = [output.alt, output.facts].filter(Boolean).join(": ");
  if (!output.early_preview) return;
  const known = gap.querySelector("img");
  const image = known ?? element("img", { class: "early", alt: "" });
  image.src = output.early_preview;
  if (!known) gap.prepend(image);
}
