/* What can be done with a whole job. */

import { canReuse, rerun, useSettingsOf } from "../core/actions.js";
import { button, emit, iconAnd } from "../core/dom.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";
import { facts } from "../core/facts.js";

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
  const copy = { name: "copy-prompt", icon: "copy", text: words.copy_prompt, act: () => copyPrompt(job.prompt) };
  const archive = { name: "archive", icon: "close", text: words.put_aside, act: () => emit(node, "job-action", { action: "archive", job_id: job.job_id }) };
  return [
    ...(canReuse(job) ? settingsItems(node, job) : []),
    ...(image && image.kind !== "file" ? [share] : []),
    ...(canReuse(job) ? [linkItem(node, job)] : []),
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
