/* A job's facts that lists of images do not carry. */

import { get } from "../core/http.js";
import { jobs } from "../core/jobs.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").Job} Job */

const MAX_RETAINED = 200;
/** @type {Map<string, Job>} */
const known = new Map();

/** What is known of an image's job at once; null if nothing.
 * @param {ImageItem} item @returns {Job | null} */
export function knownJob(item) {
  const details = known.get(item.job_id);
  const card = jobs.get(item.job_id) ?? (item.job?.outputs ? item.job : undefined);
  if (details && (!card || details.version >= card.version)) return details;
  return card ?? null;
}

/** Ask the server for an image's job.
 * @param {string} jobId @returns {Promise<Job | null>} null if it cannot be had */
export async function fetchJob(jobId) {
  try {
    const job = await get(`jobs/${jobId}`);
    if (known.size > MAX_RETAINED) known.clear();
    known.set(jobId, job);
    return job;
  } catch {
    return null;
  }
}
