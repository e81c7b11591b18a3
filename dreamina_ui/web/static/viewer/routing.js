/* The viewer and the page's URL: the open image survives a reload, and Back closes it. */

import { ImageList } from "../core/image-list.js";
import { imageLists } from "../core/image-lists.js";
import { imagesOf } from "../core/images.js";
import { router } from "../core/router.js";
import { fetchJob } from "./details.js";

/** @typedef {import("../core/types.js").ImageSource} ImageSource */
/** @typedef {import("./viewer.js").Viewer} Viewer */

/** Let the URL and the viewer follow each other. @param {Viewer} viewer */
export function connectRouter(viewer) {
  /** @type {ImageSource | null} of one job alone, until the tab's list has its images */
  let alone = null;

  const open = async () => {
    const { image, tab } = router.state;
    if (!image) return viewer.close();
    if (viewer.shownId === image && viewer.dialog.open) return;
    const list = imageLists.of(tab);
    if (viewer.open(list, image)) return;
    const job = await fetchJob(image.split("/")[0]);
    if (!job || router.state.image !== image || (viewer.dialog.open && viewer.shownId === image)) return;
    alone = new ImageList(imagesOf(job));
    viewer.open(alone, image);
  };

  const joinList = () => {
    const list = imageLists.of(router.state.tab);
    if (!router.state.image) return;
    const isWaiting = !viewer.dialog.open || viewer.cursor.source === alone;
    if (isWaiting && list.indexOf(router.state.image) >= 0) viewer.open(list, router.state.image);
  };

  document.addEventListener("viewer-move", (event) => router.showImage(/** @type {CustomEvent} */ (event).detail.id));
  document.addEventListener("viewer-close", (event) => {
    const { id } = /** @type {CustomEvent} */ (event).detail;
    router.closeImage();
    const list = imageLists.of(router.state.tab);
    if (id && list.indexOf(id) >= 0) list.dispatchEvent(new CustomEvent("leave", { detail: id }));
  });
  router.addEventListener("change", open);
  imageLists.addEventListener("change", joinList);
  open();
}
