/* The one button that helps with a job's problem, and what an unclear job needs. */

import { useSettingsOf } from "../core/actions.js";
import { arm, button, element, emit } from "../core/dom.js";
import { say, words } from "../core/words.js";

/** @typedef {import("../core/types.js").Job} Job */

const FUNDS_URL = "https://www.runcomfy.com/profile/billing";

/**
 * @param {HTMLElement} node of the job: it emits what is asked for
 * @param {Job} job
 * @returns {HTMLElement[]} the first is the one that helps most
 */
export function problemButtons(node, job) {
  const ask = (/** @type {string} */ action, body = {}) => emit(node, "job-action", { action, job_id: job.job_id, body });
  if (job.is_unclear) return unclearButtons(job, ask);
  const again = button(words.try_again, () => ask("try-again"), { class: "try-again", "data-paid": true });
  /** @type {Record<string, () => HTMLElement[]>} */
  const byAction = {
    try_again: () => [countdown(again, job.retry_in_s)],
    add_funds: () => [element("a", { class: "add-funds", href: FUNDS_URL, target: "_blank", rel: "noopener" }, words.add_funds), again],
    use_own_key: () => [button(words.use_own_key, () => emit(node, "open-api-key"), { class: "use-own-key" })],
    edit_prompt: () => [button(words.edit_prompt, () => useSettingsOf(job, "prompt"), { class: "edit-prompt" })],
    retry_download: () => [button(words.fetch_again, () => ask("retry-download"), { class: "fetch-again" })],
  };
  return byAction[job.action]?.() ?? [];
}

/**
 * Count the seconds that the service asked for, then enable the button.
 * @param {HTMLButtonElement} node
 * @param {number} seconds
 */
function countdown(node, seconds) {
  const until = performance.now() + seconds * 1000;
  const text = node.textContent ?? "";
  const show = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    node.disabled = left > 0;
    node.textContent = left > 0 ? say("try_again_in", { seconds: left }) : text;
    if (left > 0) setTimeout(show, 1000);
  };
  show();
  return node;
}

/**
 * The job may be running and billed: find it by its id, or send it again after a question.
 * @param {Job} job
 * @param {(action: string, body?: object) => void} ask
 */
function unclearButtons(job, ask) {
  const input = element("input", { type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false" });
  const find = button(words.attach, () => input.value.trim() && ask("attach", { request_id: input.value.trim() }), { class: "attach" });
  const label = element("label", { class: "attach-label" }, words.attach_label, input);
  const again = button(words.submit_again, () => {
    const yes = arm(button(words.submit_again_sure, () => ask("send-again"), { class: "sure-yes" }));
    const no = button(words.keep_waiting, () => { sure.replaceWith(again); again.focus(); });
    const sure = element("div", { class: "sure", role: "alertdialog", "aria-label": words.submit_again_sure }, yes, no);
    again.replaceWith(sure);
    no.focus();
  }, { class: "send-again" });
  return [label, find, again];
}
