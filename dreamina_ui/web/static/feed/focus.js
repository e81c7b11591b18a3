/* A job that moves from the stage to the feed, or becomes a slim row, gets new elements: the focus follows it. */

import { jobs } from "../core/jobs.js";

export function startFollowingFocus() {
  /** @type {string | undefined} */
  let jobId;
  jobs.addEventListener("change", () => { jobId = focusedJob() ?? jobId; });
  jobs.addEventListener("settled", () => queueMicrotask(() => {
    if (jobId && document.activeElement === document.body) focusJob(jobId);
    jobId = undefined;
  }));
}

/** @returns {string | undefined} */
function focusedJob() {
  const node = document.activeElement?.closest(".job");
  return node instanceof HTMLElement ? node.dataset.jobId : undefined;
}

/** @param {string} jobId */
function focusJob(jobId) {
  const node = document.querySelector(`.job[data-job-id="${CSS.escape(jobId)}"]`);
  if (!(node instanceof HTMLElement)) return;
  const targets = [...node.querySelectorAll(".actions :is(button, a), .tile > .open")];
  const first = targets.find((target) => target instanceof HTMLElement && target.checkVisibility() && !target.matches(":disabled"));
  if (first instanceof HTMLElement) return first.focus();
  node.tabIndex = -1;
  node.focus();
}
