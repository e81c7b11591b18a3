// @ts-check
/* Which actions make sense for an image. No DOM. */

/** @typedef {import("./types.js").ImageItem} ImageItem */

const IN_TRASH = new Set(["restore", "download", "open", "info", "reuse", "change-size", "rerun", "copy-link"]);

/** Whether "Share" sends the image itself to another program: where people use fingers, and programs take files. */
export function sendsFiles() {
  return "canShare" in navigator && matchMedia("(pointer: coarse)").matches;
}

/**
 * Whether an action makes sense for an image: one in the trash can be looked at and restored, and no more.
 * @param {string} action
 * @param {Pick<ImageItem, "is_deleted">} item
 */
export function isOffered(action, item) {
  return item.is_deleted ? IN_TRASH.has(action) : action !== "restore";
}
