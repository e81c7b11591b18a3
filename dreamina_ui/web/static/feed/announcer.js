/* Says each change of a job's state to screen readers: not the jobs that were there before, nor each queue position. */

import { element } from "../core/dom.js";
import { jobs } from "../core/jobs.js";
import { shorten } from "../core/words.js";

/** @typedef {import("../core/types.js").Job} Job */

export function startAnnouncing() {
  const live = element("div", { class: "sr-only", role: "status", "aria-live": "polite", id: "job-status" });
  document.body.append(live); // outside of the tabs: screen readers skip hidden content
  jobs.addEventListener("change", (event) => {
    const { job, before } = /** @type {CustomEvent<{job: Job, before: Job | null}>} */ (event).detail;
    const isNews = before ? before.state + before.message !== job.state + job.message : jobs.isLoaded;
    if (isNews) live.textContent = [shorten(job.prompt), job.state_text, job.message].filter(Boolean).join(". ");
  });
}
