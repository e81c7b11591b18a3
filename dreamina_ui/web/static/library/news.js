/* What happens while the library is open: images of jobs that end, and, for an owner, those of others. */

import { router } from "../core/router.js";

/** @typedef {import("../core/types.js").Job} Job */
/** @typedef {import("./images.js").LibraryImages} LibraryImages */

const PAUSE_MS = 200; // several jobs may change at once
const OTHERS_MS = 15000; // no stream brings what others make

export class News {
  #timer = 0;

  /**
   * @param {LibraryImages} images
   * @param {() => string} view which part of the library is shown
   * @param {() => boolean} isShown whether anybody looks
   */
  constructor(images, view, isShown) {
    this.images = images;
    this.view = view;
    this.isShown = isShown;
    window.setInterval(() => {
      const mayHaveOthers = images.seesOthers && router.state.query.whose !== "mine";
      if (isShown() && mayHaveOthers && document.visibilityState === "visible") images.refresh(1).catch(() => {}); // a page of the usual length
    }, OTHERS_MS);
  }

  /**
   * A job that is shown changed, or another one has brought something.
   * @param {{job: Job, before: Job | null}} change
   */
  takeJob({ job, before }) {
    if (!this.isShown()) return;
    const { items } = this.images;
    const shown = items.filter(({ job_id: id }) => id === job.job_id);
    const isElsewhere = shown.length > 0 && this.view() !== "trash" && job.put_aside !== (this.view() === "archived");
    const isShownOtherwise = shown.some(({ state }) => state !== job.state) || isElsewhere;
    const hasChanged = before ? before.state !== job.state || before.put_aside !== job.put_aside : this.#isNew(job);
    if (isElsewhere) this.images.leaveOutJob(job.job_id);
    if (!isShownOtherwise && !hasChanged) return;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#refresh(), PAUSE_MS);
  }

  /** @param {Job} job */
  #isNew(job) {
    return job.created_at > Math.max(0, ...this.images.items.map(({ created_at: at }) => at));
  }

  #refresh() {
    this.images.refresh().catch(() => {}); // the next news asks again
  }
}
