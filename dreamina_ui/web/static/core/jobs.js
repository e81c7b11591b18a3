/* The visitor's newest jobs, as the server last described them. */

/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Output} Output */

/**
 * Events: `change`, with `{job, before}` as its detail, for each job that changed; `settled` after each update.
 */
export class JobStore extends EventTarget {
  /** @type {Map<string, {job: Job, at: number}>} */
  #entries = new Map();
  /** @type {Set<string>} the ids of jobs whose cancellation was asked for, and not answered yet */
  #cancelling = new Set();
  #now;
  isLoaded = false;

  /** @param {() => number} [now] a clock in ms */
  constructor(now = () => performance.now()) {
    super();
    this.#now = now;
  }

  /** @param {string} jobId */
  get(jobId) {
    return this.#entries.get(jobId)?.job;
  }

  /** All of them, newest first. */
  all() {
    return [...this.#entries.values()].map(({ job }) => job).sort((a, b) => b.created_at - a.created_at);
  }

  /** Those that are not archived, newest first. */
  list() {
    return this.all().filter((job) => !job.put_aside);
  }

  anyActive() {
    return [...this.#entries.values()].some(({ job }) => job.active);
  }

  /**
   * Take what the server says; older versions of a job are ignored.
   * @param {Job[]} jobs
   */
  update(jobs) {
    for (const job of jobs) {
      const before = this.#entries.get(job.job_id)?.job ?? null;
      if (before && before.version > job.version) continue;
      const isKnown = before?.version === job.version;
      this.#put(isKnown ? { ...job, refusal: before.refusal } : job, this.#now());
    }
    this.isLoaded = true;
    this.dispatchEvent(new Event("settled"));
  }

  /**
   * @param {Job} job
   * @param {number} at when the server described it
   */
  #put(job, at) {
    const before = this.#entries.get(job.job_id)?.job ?? null;
    const shown = this.#cancelling.has(job.job_id) ? { ...job, cancelling: true } : job;
    this.#entries.set(job.job_id, { job: shown, at });
    this.dispatchEvent(new CustomEvent("change", { detail: { job: shown, before } }));
  }

  /**
   * Show that a job is being cancelled, whatever the server says of it before it has answered.
   * @param {string} jobId
   * @param {boolean} isAsked false once it has answered
   */
  setCancelling(jobId, isAsked) {
    if (isAsked) this.#cancelling.add(jobId);
    else this.#cancelling.delete(jobId);
    const entry = this.#entries.get(jobId);
    if (!entry) return;
    this.#put({ ...entry.job, cancelling: isAsked }, entry.at);
    this.dispatchEvent(new Event("settled"));
  }

  /**
   * Show with a job why the server did not do what was asked for, until the job changes.
   * @param {string} jobId
   * @param {string} refusal
   */
  refuse(jobId, refusal) {
    const entry = this.#entries.get(jobId);
    if (!entry) return;
    this.#put({ ...entry.job, refusal }, entry.at);
    this.dispatchEvent(new Event("settled"));
  }

  /**
   * Change outputs that the visitor marked, until the server describes them anew.
   * @param {string[]} fileKeys
   * @param {(output: Output) => Output | null} change returns null to leave one out
   */
  changeOutputs(fileKeys, change) {
    const keys = new Set(fileKeys);
    for (const { job, at } of [...this.#entries.values()]) {
      if (!job.outputs.some((output) => keys.has(output.file_key))) continue;
      const outputs = job.outputs.map((output) => (keys.has(output.file_key) ? change(output) : output));
      this.#put({ ...job, outputs: outputs.filter((output) => output !== null) }, at);
    }
    this.dispatchEvent(new Event("settled"));
  }

  /**
   * How long a job has taken, in seconds; it advances between two messages of the server.
   * @param {Job} job
   */
  elapsed(job) {
    return job.elapsed_s + this.#since(job);
  }

  /**
   * How much of a job is done, from 0 to 1; null if nobody knows.
   * @param {Job} job
   */
  progress(job) {
    if (job.state === "saving") return 0.98;
    if (job.state !== "running") return null;
    return Math.min(0.97, ((job.run_s ?? 0) + this.#since(job)) / Math.max(job.expected_s ?? 0, 0.1));
  }

  /** @param {Job} job */
  #since(job) {
    const entry = this.#entries.get(job.job_id);
    return job.active && entry ? (this.#now() - entry.at) / 1000 : 0;
  }
}

export const jobs = new JobStore();
