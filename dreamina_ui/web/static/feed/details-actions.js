/* The actions of a job where the library shows all of its details. */

import { element, emit, button } from "../core/dom.js";
import { jobs } from "../core/jobs.js";
import { words } from "../core/words.js";
import { jobItems } from "./job-menu.js";
import { problemButtons } from "./problem.js";

/** @typedef {import("../core/types.js").Job} Job */

/**
 * What helps with a job that brought nothing, and the archive; `done` is called when the job has changed.
 * @param {Job} job
 * @param {() => void} done
 */
export function restActions(job, done) {
  const box = element("div", { class: "rest-actions" });
  const [action, text] = job.put_aside ? ["restore", words.bring_back] : ["archive", words.put_aside];
  const isOver = ["submit_unclear", "failed", "cancelled"].includes(job.state);
  const archive = button(text, () => emit(box, "job-action", { action, job_id: job.job_id }));
  box.append(...problemButtons(box, job), ...(isOver ? [archive] : []));
  box.addEventListener("job-action", () => jobs.addEventListener("settled", done, { once: true }));
  return box;
}

/**
 * Buttons that fill in the form with a job's settings, or copy a link that does.
 * @param {Job} job
 * @param {() => void} leave called before the form is shown
 */
export function reuseButtons(job, leave) {
  return jobItems(document.body, job, undefined)
    .filter(({ name }) => ["reuse", "change-size", "copy-link"].includes(name))
    .map(({ text, act, help, name }) => button(text, () => { if (name !== "copy-link") leave(); act(); }, { title: help }));
}
