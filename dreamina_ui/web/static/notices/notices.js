/* Notices for a visitor who looks elsewhere: the tab's title, and notifications for those who enabled them, with the
 * switch <dreamina-notices>. */

import { element, showFrame } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { jobs } from "../core/jobs.js";
import { local, parse } from "../core/storage.js";
import { tell } from "../core/toast.js";
import { shorten, words } from "../core/words.js";

/** @typedef {import("../core/types.js").Job} Job */

const TITLE = "Dreamina UI";
const WANTED = "notify";
const NOTIFIED = "notified";
const ENDS = ["done", "failed", "submit_unclear"];
const MAX_NOTIFIED = 200;
const VISIBLE_FIRST_MS = 300;

/** @type {Job | null} */
let ended = null; // the newest job that ended while the tab was hidden

/** Follow the jobs from now on. */
export function startNotices() {
  jobs.addEventListener("change", (event) => {
    const { job, before } = /** @type {CustomEvent} */ (event).detail;
    if (before?.active && !job.active && ENDS.includes(job.state)) {
      if (document.hidden) ended = job;
      notify(job);
    }
  });
  jobs.addEventListener("settled", showTitle);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    ended = null;
    showTitle();
  });
}

function showTitle() {
  const count = jobs.all().filter((job) => job.active).length;
  const mark = ended?.state === "done" ? "✓" : "!";
  const name = ended ? `${mark} ${ended.state_text} - ${shorten(ended.prompt)}` : TITLE;
  document.title = count ? `(${count}) ${name}` : name;
}

/**
 * One notification per job however many tabs are open, and none for a job that ended in view.
 * @param {Job} job
 */
async function notify(job) {
  if (!isWanted()) return;
  const isSeen = !document.hidden;
  if (!isSeen) await new Promise((wait) => setTimeout(wait, VISIBLE_FIRST_MS)); // a visible tab goes first
  await navigator.locks.request(`dreamina.${facts.installation}.${NOTIFIED}`, () => {
    const reported = parse(local.get(NOTIFIED)) ?? [];
    if (reported.includes(job.job_id)) return;
    local.set(NOTIFIED, JSON.stringify([job.job_id, ...reported].slice(0, MAX_NOTIFIED)));
    if (!isSeen && document.hidden) showNotification(job);
  });
}

/** @param {Job} job */
function showNotification(job) {
  try {
    const shown = new Notification(job.state_text, { body: shorten(job.prompt), tag: job.job_id });
    shown.addEventListener("click", () => { window.focus(); shown.close(); });
  } catch { // browsers on phones offer them to service workers only
    local.set(WANTED, null);
    tell(words.notify_refused);
  }
}

function isWanted() {
  try {
    return local.get(WANTED) === "1" && Notification.permission === "granted";
  } catch {
    return false;
  }
}

export class Notices extends HTMLElement {
  connectedCallback() {
    // A page without https, or in a frame of another site, may lack these APIs.
    if (this.childElementCount || !("Notification" in window) || !navigator.locks) return;
    const box = element("input", { type: "checkbox" });
    box.checked = isWanted();
    box.addEventListener("change", () => ask(box).catch(() => { box.checked = false; }));
    this.append(element("label", { class: "notify" }, box, element("span", {}, words.notify)));
    showFrame(this, true);
  }
}

/** @param {HTMLInputElement} box */
async function ask(box) {
  if (box.checked && (await Notification.requestPermission()) !== "granted") {
    box.checked = false;
    return tell(words.notify_refused);
  }
  local.set(WANTED, box.checked ? "1" : "0");
}
