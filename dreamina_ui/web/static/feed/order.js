/* Which job stands where on Create. Pure: no DOM. */

/** @typedef {import("../core/types.js").Job} Job */

/**
 * Whether there is nothing to look at: the job is over, or waits for a person, and brought no file.
 * @param {Job} job
 */
export function isSlim(job) {
  return !job.active && !job.outputs.some((output) => output.state === "kept");
}

/**
 * The newest job with images goes to the stage; what failed since then stands above it.
 * @param {Job[]} jobs newest first
 * @returns {{newer: Job[], stage: Job | null, older: Job[]}}
 */
export function arrange(jobs) {
  const index = jobs.findIndex((job) => !isSlim(job));
  if (index < 0) return { newer: [], stage: null, older: jobs };
  return { newer: jobs.slice(0, index), stage: jobs[index], older: jobs.slice(index + 1) };
}

/**
 * Jobs by the day of the reader's calendar on which they were made.
 * @param {Job[]} jobs newest first
 * @returns {{day: string, at: number, jobs: Job[]}[]} `day` such as `2026-11-29`; `at` in s since 1970
 */
export function byDay(jobs) {
  /** @type {{day: string, at: number, jobs: Job[]}[]} */
  const days = [];
  for (const job of jobs) {
    const day = dayOf(job.created_at);
    const last = days.at(-1);
    if (last?.day === day) last.jobs.push(job);
    else days.push({ day, at: job.created_at, jobs: [job] });
  }
  return days;
}

/**
 * A day of the reader's calendar, such as `2026-11-29`.
 * @param {number} seconds since 1970
 */
export function dayOf(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/**
 * A heading for a day, such as `Today`, `Yesterday` or `Friday, November 27`.
 * @param {number} seconds since 1970
 * @param {number} now the same
 * @param {string} language
 */
export function dayLabel(seconds, now, language) {
  const [date, today] = [new Date(seconds * 1000), new Date(now * 1000)];
  const days = Math.round((startOf(today) - startOf(date)) / 86400000);
  if (days === 0 || days === 1) {
    const text = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-days, "day");
    return text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
  }
  const isThisYear = date.getFullYear() === today.getFullYear();
  const year = isThisYear ? undefined : /** @type {const} */ ("numeric");
  return date.toLocaleDateString(language, { weekday: "long", day: "numeric", month: "long", year });
}

/** @param {Date} date */
function startOf(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/**
 * What is shown of a job's files: stored ones, what could not be stored or is arriving, and a skeleton for each that may still come.
 * @param {Job} job
 * @returns {({index: number, output: import("../core/types.js").Output | null})[]} `output` is null for a skeleton
 */
export function tilesOf(job) {
  const outputs = job.outputs.map((output) => ({ index: output.index, output: isExpected(job, output) ? null : output }));
  const isListed = job.state === "saving" && outputs.length > 0; // then the service has named all of them
  const count = job.active && !isListed ? job.expected?.files ?? 1 : 0;
  const known = new Set(outputs.map(({ index }) => index));
  for (let index = 0; outputs.length < count; index += 1) if (!known.has(index)) outputs.push({ index, output: null });
  return outputs.sort((a, b) => a.index - b.index);
}

/**
 * @param {Job} job
 * @param {import("../core/types.js").Output} output
 */
function isExpected(job, output) {
  return job.active && output.state === "pending" && !output.early_preview;
}

/**
 * Width divided by height of a job's images; square if nobody knows.
 * @param {Job} job
 */
export function ratioOf(job) {
  const { width, height } = job.outputs.find((output) => output.width && output.height) ?? job.expected ?? {};
  return width && height ? width / height : 1;
}
