/* What can be done with a whole job. */

import { canReuse, rerun, useSettingsOf } from "../core/actions.js";
import { button, emit, iconAnd } from "../core/dom.js";
import { sendsFiles } from "../core/offers.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { facts } from "../core/facts.js";
import { nextChoice } from "../prompts/fill.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {import("../core/types.js").Job} Job */
/** @typedef {import("./menu.js").MenuItem & {name: string, icon: string}} JobItem */

/**
 * The actions of a job, the most frequent first.
 * @param {HTMLElement} node of the job: it emits what is asked for
 * @param {Job} job
 * @param {ImageItem | undefined} image the one to share
 * @returns {JobItem[]}
 */
export function jobItems(node, job, image) {
  const share = { name: "share", icon: "share", text: words.share, act: () => emit(node, "image-action", { action: "share", item: image }) };
  const byLink = { name: "share-link", icon: "link", text: words.share_link_create, act: () => emit(node, "image-action", { action: "share-link", item: image }) };
  const copy = { name: "copy-prompt", icon: "copy", text: words.copy_prompt, act: () => copyPrompt(job.prompt) };
  const archive = { name: "archive", icon: "close", text: words.put_aside, act: () => emit(node, "job-action", { action: "archive", job_id: job.job_id }) };
  return [
    ...(canReuse(job) ? settingsItems(node, job) : []),
    ...(image && image.kind !== "file" ? [share, ...(sendsFiles() ? [byLink] : [])] : []),
    ...(canReuse(job) ? [linkItem(node, job)] : []),
    ...(canReuse(job) ? varyItems(node, job) : []),
    ...(job.prompt ? [copy] : []),
    ...(job.can_archive ? [archive] : []),
  ];
}

/**
 * @param {HTMLElement} node
 * @param {Job} job
 * @returns {JobItem[]}
 */
function settingsItems(node, job) {
  const hasChoice = facts.models.find((model) => model.model_id === job.model_id)?.fields.some((field) => field.choices.length);
  const again = { name: "rerun", icon: "rerun", text: words.rerun, help: words.rerun_help, isPaid: true, act: () => rerun(job) };
  const reuse = { name: "reuse", icon: "reuse", text: words.again, help: words.settings_only, act: () => useSettingsOf(job, null) };
  const size = { name: "change-size", icon: "size", text: words.another_size, help: words.settings_only, act: () => useSettingsOf(job, "choice") };
  const isDone = job.state === "done";
  return [...(isDone ? [again] : []), reuse, ...(hasChoice ? [size] : [])];
}

/**
 * The same prompt in the next size, or several times.
 * @param {HTMLElement} node
 * @param {Job} job
 * @returns {JobItem[]}
 */
function varyItems(node, job) {
  const field = facts.models.find((model) => model.model_id === job.model_id)?.fields.find(({ choices }) => choices.length > 1);
  const next = field && nextChoice(field.choices, job.parameters[field.parameter]);
  const more = { name: "vary-repeat", icon: "copy", text: words.vary_repeat, help: words.vary_help, act: () => emit(node, "vary-in-batch", { job }) };
  if (!field || next === undefined) return [more];
  const size = field.labels[field.choices.indexOf(next)];
  const inNextSize = { name: "vary-size", icon: "size", text: say("vary_size", { size }), help: words.vary_help, isPaid: true, act: () => rerun(job, { [field.parameter]: next }) };
  return [inNextSize, more];
}

/**
 * @param {HTMLElement} node
 * @param {Job} job
 * @returns {JobItem}
 */
function linkItem(node, job) {
  return { name: "copy-link", icon: "link", text: words.copy_link, help: words.copy_link_help, act: () => emit(node, "copy-settings-link", { job }) };
}

/** @param {string} prompt */
async function copyPrompt(prompt) {
  try {
    await navigator.clipboard.writeText(prompt);
    tell(words.prompt_copied);
  } catch {
    tell(prompt); // browsers give pages without https no clipboard
  }
}

/**
 * @param {JobItem} item
 */
export function itemButton({ name, icon, text, act, help, isPaid }) {
  const node = button("", act, { class: `quiet ${name}`, title: help, "data-paid": isPaid });
  node.append(...iconAnd(icon, text));
  return node;
}
