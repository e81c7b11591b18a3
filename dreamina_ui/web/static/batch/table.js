/* The table of a batch's jobs, which is shown before anything is sent. */

import { arm, button, element, openDialog } from "../core/dom.js";
import { send } from "../core/requests.js";
import { say, usd, words } from "../core/words.js";

/** @typedef {import("../core/types.js").Outcome} Outcome */

/**
 * What `batch/plan` responds.
 * @typedef {object} Plan
 * @property {{prompt: string, settings: string, expected_usd: number | null}[]} jobs
 * @property {number} count
 * @property {number | null} expected_usd
 * @property {boolean} play_money
 * @property {boolean} own_key
 * @property {number | null} jobs_today
 * @property {{message: string}[]} notices
 * @property {string} digest
 */

/**
 * @param {object} request what was planned
 * @param {Plan} plan
 * @param {(outcome: Outcome) => void} started called when the server has answered
 * @param {() => void} closed
 */
export function openTable(request, plan, started, closed) {
  const dialog = element("dialog", { class: "batch-table", "aria-labelledby": "batch-title" });
  const heading = element("h2", { id: "batch-title" }, titleOf(plan));
  const problem = element("p", { class: "problem", role: "alert" });
  const start = arm(button(say("batch_start", { count: plan.count }), async (node) => {
    node.disabled = true;
    problem.textContent = "";
    const report = (/** @type {string} */ text) => { problem.textContent = text; };
    const warn = (/** @type {boolean} */ isStored) => !isStored && report(words.batch_not_stored);
    const outcome = await send("batches", { ...request, digest: plan.digest }, () => report(words.batch_unknown), warn);
    node.disabled = false;
    if (outcome.refusal && dialog.isConnected) return report(outcome.refusal);
    dialog.close();
    started(outcome);
  }, { class: "main" }));
  const isTooMuch = plan.jobs_today !== null && plan.jobs_today < plan.count;
  dialog.append(
    heading,
    ...(isTooMuch ? [element("p", {}, say("batch_left", { count: plan.jobs_today }))] : []),
    ...(plan.notices.length ? [notices(plan)] : []),
    element("div", { class: "batch-rows", tabindex: 0, role: "region", "aria-labelledby": "batch-title" }, jobTable(plan)),
    problem,
    element("div", { class: "batch-actions" }, start, button(words.close, () => dialog.close())),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  openDialog(dialog, heading);
}

/** @param {Plan} plan */
function titleOf(plan) {
  const total = plan.expected_usd === null ? words.batch_price_unknown : say("batch_price", { price: usd(plan.expected_usd) });
  const cost = plan.play_money ? say("price_play", { price: total }) : total;
  return [say("batch_jobs", { count: plan.count }), cost, plan.own_key ? words.batch_own_key : ""].filter(Boolean).join(" · ");
}

/**
 * The lines of the text that may not mean what they look like.
 * @param {Plan} plan
 */
function notices(plan) {
  return element("section", { class: "batch-notices", role: "note" },
    element("h3", {}, words.batch_notices),
    element("ul", {}, ...plan.notices.map(({ message }) => element("li", { dir: "auto" }, message))));
}

/** @param {Plan} plan */
function jobTable(plan) {
  const rows = plan.jobs.map((job, index) => element("tr", {},
    element("td", {}, String(index + 1)),
    element("td", {}, element("span", { class: "prompt", dir: "auto" }, job.prompt), element("span", { class: "settings" }, job.settings)),
    element("td", {}, job.expected_usd === null ? words.unknown : usd(job.expected_usd))));
  const heads = ["#", words.batch_column_job, words.batch_column_price].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}
