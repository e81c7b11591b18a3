/* What a batch costs and how long it takes, and the button that starts it. */

import { arm, button, element } from "../core/dom.js";
import { send } from "../core/requests.js";
import { duration, say, usd, words } from "../core/words.js";

/** @typedef {import("../core/types.js").Outcome} Outcome */

/**
 * What `batch/plan` responds.
 * @typedef {object} Plan
 * @property {{prompt: string, settings: string, expected_usd: number | null, drawn: string[]}[]} jobs drawn: what its wildcards stand for
 * @property {{title: string, detail: string}[]} rows
 * @property {{title: string, detail: string}[]} columns
 * @property {[number, number][]} cells the row and the column of each job
 * @property {{key: string, title: string, is_column: boolean}[]} axes
 * @property {number} count
 * @property {number | null} expected_usd
 * @property {number} expected_s
 * @property {boolean} play_money
 * @property {boolean} own_key
 * @property {number | null} jobs_today
 * @property {{message: string}[]} notices
 * @property {string} digest
 */

/**
 * The price of some jobs, and who pays.
 * @param {{expected_usd: number | null, play_money: boolean, own_key: boolean}} planned
 */
export function priceOf({ expected_usd: expectedUsd, play_money: isPlay, own_key: isOwnKey }) {
  const total = expectedUsd === null ? words.batch_price_unknown : say("batch_price", { price: usd(expectedUsd) });
  const cost = isPlay ? say("price_play", { price: total }) : total;
  return [cost, isOwnKey ? words.batch_own_key : ""].filter(Boolean).join(" · ");
}

/** @param {Plan} plan */
export function summaryOf(plan) {
  const time = say("batch_time", { time: duration(plan.expected_s) });
  return [say("batch_jobs", { count: plan.count }), priceOf(plan), time].join(" · ");
}

/**
 * The button of one plan: it starts what it says, and nothing else.
 * @param {object} request what was planned
 * @param {Plan} plan
 * @param {(text: string) => void} report
 * @param {(outcome: Outcome) => void} started
 */
export function startButton(request, plan, report, started) {
  const text = `${say("batch_start", { count: plan.count })} · ${priceOf(plan)}`;
  return arm(button(text, async (node) => {
    node.disabled = true;
    report("");
    const warn = (/** @type {boolean} */ isStored) => !isStored && report(words.batch_not_stored);
    const outcome = await send("batches", { ...request, digest: plan.digest }, () => report(words.batch_unknown), warn);
    node.disabled = false;
    if (outcome.refusal) return report(outcome.refusal);
    report("");
    started(outcome);
  }, { class: "main" }));
}

/**
 * The lines of the text that may not mean what they look like.
 * @param {Plan} plan
 */
export function notices(plan) {
  return element("section", { class: "batch-notices", role: "note" },
    element("h3", {}, words.batch_notices),
    element("ul", {}, ...plan.notices.map(({ message }) => element("li", { dir: "auto" }, message))));
}
