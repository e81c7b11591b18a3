/* A list of jobs that changes in place: a job that stays keeps its elements, and so its focus and its scroll. */

import { element, putInOrder } from "../core/dom.js";
import { IN_FEED, JobView } from "./job-view.js";

/** @typedef {import("../core/types.js").Job} Job */

export class JobList {
  node = element("ol", { class: "job-list" });
  /** @type {Map<string, JobView>} */
  #views = new Map();

  /** @param {Job[]} list in order */
  show(list) {
    const before = this.#views;
    this.#views = new Map(list.map((job) => [job.job_id, before.get(job.job_id) ?? new JobView(job, IN_FEED)]));
    for (const job of list) {
      const view = this.#views.get(job.job_id);
      if (view && view.job !== job) view.update(job);
    }
    putInOrder(this.node, [...this.#views.values()].map(({ node }) => node));
    this.node.hidden = !list.length;
  }

  /** A second has passed. */
  tick() {
    for (const view of this.#views.values()) if (view.job.active) view.tick();
  }
}
