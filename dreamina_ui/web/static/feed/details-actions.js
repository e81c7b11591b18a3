/* The actions of a job where all of its details are shown. */

import { element, emit, button } from "../core/dom.js";
import { words } from "../core/words.js";
import { problemButtons } from "./problem.js";

/** @typedef {import("../core/types.js").Job} Job */

/**
 * What helps with a job that brought nothing, and the archive.
 * @param {Job} job
 */
export function restActions(job) {
  const box = element("div", { class: "rest-actions" });
  const [action, text] = job.put_aside ? ["restore", words.bring_back] : ["archive", words.put_aside];
  const archive = button(text, () => emit(box, "job-action", { action, job_id: job.job_id }));
  box.append(...problemButtons(box, job), ...(job.can_archive ? [archive] : []));
  return box;
}
