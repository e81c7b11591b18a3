/* Dragging images of the library with the mouse, onto whatever accepts them. */

/** @typedef {import("./images.js").LibraryItem} LibraryItem */

const TYPE = "application/x-dreamina-files";

/**
 * @param {HTMLElement} node of the images
 * @param {(event: Event) => LibraryItem | undefined} itemAt
 * @param {import("./chosen.js").Chosen} chosen all of them go along when one of them is dragged
 */
export function startDragging(node, itemAt, chosen) {
  // Not always: a finger that stays, which chooses, would drag.
  node.addEventListener("pointerdown", (event) => {
    const tile = event.target instanceof Element ? event.target.closest("li") : null;
    if (tile) tile.draggable = event.pointerType === "mouse" && Boolean(itemAt(event)?.file_key);
  });
  node.addEventListener("dragstart", (event) => {
    const item = itemAt(event);
    if (!item?.file_key || item.is_deleted || !event.dataTransfer) return event.preventDefault();
    const files = chosen.items.has(item.file_key) ? [...chosen.items.keys()] : [item.file_key];
    event.dataTransfer.setData(TYPE, files.join(","));
    event.dataTransfer.effectAllowed = "copy";
  });
}

/**
 * @param {HTMLElement} node
 * @param {(files: string[]) => unknown} take
 */
export function acceptFiles(node, take) {
  const isOurs = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes(TYPE);
  node.addEventListener("dragover", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    node.toggleAttribute("data-over", true);
  });
  node.addEventListener("dragleave", () => node.removeAttribute("data-over"));
  node.addEventListener("drop", (event) => {
    node.removeAttribute("data-over");
    if (!isOurs(event)) return;
    event.preventDefault();
    event.stopPropagation();
    take(event.dataTransfer?.getData(TYPE).split(",").filter(Boolean) ?? []);
  });
}
