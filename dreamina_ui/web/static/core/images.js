/* Stored outputs as items that the feed, the stage and the viewer show. */

import { url } from "./http.js";

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
    job,
  }));
}

/** @param {string | undefined} path */
function absolute(path) {
  return url(path ?? "").href;
}

/** All images on Create, in the order in which they are shown. */
export class JobImages extends EventTarget {
  /** @type {ImageItem[]} */
  #items = [];

  /** @param {JobStore} jobs */
  constructor(jobs) {
    super();
    jobs.addEventListener("settled", () => {
      this.#items = jobs.list().flatMap(imagesOf);
      this.dispatchEvent(new Event("change"));
    });
  }

  get length() {
    return this.#items.length;
  }

  /** @param {number} index */
  at(index) {
    return this.#items[index];
  }

  /** @param {string} id */
  indexOf(id) {
    return this.#items.findIndex((item) => item.id === id);
  }
}
