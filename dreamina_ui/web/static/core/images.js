/* Stored outputs as items that the feed, the stage and the viewer show. */

import { url } from "./http.js";
import { ImageList } from "./image-list.js";

/** @typedef {import("./types.js").ImageItem} ImageItem */
/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./jobs.js").JobStore} JobStore */

/**
 * A job's stored files, in order.
 * @param {Job} job
 * @returns {ImageItem[]}
 */
export function imagesOf(job) {
  return job.outputs.filter((output) => output.state === "kept" && output.original).map((output) => ({
    id: `${job.job_id}/${output.index}`,
    job_id: job.job_id,
    index: output.index,
    file_key: output.file_key,
    kind: output.kind,
    width: output.width ?? 0,
    height: output.height ?? 0,
    original: absolute(output.original),
    screen: output.large ? absolute(output.large) : null,
    preview: absolute(output.preview ?? output.original),
    thumbnail: absolute(output.thumbnail ?? output.original),
    download: url(output.original ?? "", { download: 1 }).href,
    download_with_settings: output.with_settings ? absolute(output.with_settings) : null,
    alt: output.alt,
    facts: output.facts,
    is_favorite: output.favourite,
    rating: output.rating,
    job,
  }));
}

/** @param {string | undefined} path */
function absolute(path) {
  return url(path ?? "").href;
}

/**
 * The images of all jobs, in the order in which Create shows them.
 * @param {JobStore} jobs
 * @returns {ImageList<ImageItem>}
 */
export function imagesOfAll(jobs) {
  const list = new ImageList();
  jobs.addEventListener("settled", () => list.show(jobs.list().flatMap(imagesOf)));
  return list;
}
