/* What can be done with a job or an image, wherever it is shown. */

import { emit } from "./dom.js";
import { facts } from "./facts.js";
import { get, post, url } from "./http.js";
import { jobs } from "./jobs.js";
import { isOffered } from "./offers.js";
import { send } from "./requests.js";
import { watch } from "./stream.js";
import { tell } from "./toast.js";
import { say, words } from "./words.js";

/** @typedef {import("./types.js").ImageItem} ImageItem */
/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Outcome} Outcome */

/** Event: `change`, with `{files, favourite?, deleted?, rating?}`, when the visitor marked files. */
export const marks = new EventTarget();

/** @type {Record<string, {path: string, body?: object, isPaid?: boolean}>} */
const JOB_ACTIONS = {
  "cancel": { path: "cancel" },
  "archive": { path: "put-aside", body: { back: false } },
  "restore": { path: "put-aside", body: { back: true } },
  "retry-download": { path: "fetch-again" },
  "attach": { path: "attach" },
  "try-again": { path: "submit-again", isPaid: true },
  "send-again": { path: "submit-again", body: { may_charge_twice: true }, isPaid: true },
};

/**
 * @param {string} action one of JOB_ACTIONS; the caller has asked before `send-again`, which may pay twice
 * @param {string} jobId
 * @param {object} [body]
 * @returns {Promise<Outcome>} a refusal is shown as a note, too
 */
export async function jobAction(action, jobId, body = {}) {
  const { path, body: fixed, isPaid } = JOB_ACTIONS[action];
  const target = `jobs/${jobId}/${path}`;
  const full = { ...fixed, ...body };
  if (action === "cancel") jobs.setCancelling(jobId, true);
  const outcome = await (isPaid ? send(target, full, () => tell(words.press_unknown)) : post(target, full));
  if (action === "cancel") jobs.setCancelling(jobId, false);
  if (outcome.answer) jobs.update([outcome.answer]);
  else refuse(jobId, outcome.refusal ?? "");
  watch();
  return outcome;
}

/**
 * Show a refusal where the visitor looks: with the job, or above the dialog that covers it.
 * @param {string} jobId
 * @param {string} refusal
 */
function refuse(jobId, refusal) {
  jobs.refuse(jobId, refusal);
  if (!jobs.get(jobId) || document.querySelector("dialog[open]")) tell(refusal);
}

/**
 * Mark files: `favourite`, `deleted`, or `rating`, from 1 to 5, or 0 for none.
 * @param {string[]} files
 * @param {"favourite" | "deleted" | "rating"} name
 * @param {boolean | number} value
 * @returns {Promise<boolean>} whether it was done; a refusal is shown as a note
 */
export async function mark(files, name, value) {
  if (!files.length) return false;
  const { refusal } = await post("library/mark", { files, [name]: value });
  if (refusal) {
    tell(refusal);
    return false;
  }
  if (name !== "deleted") jobs.changeOutputs(files, (output) => ({ ...output, [name]: value }));
  marks.dispatchEvent(new CustomEvent("change", { detail: { files, [name]: value } }));
  return true;
}

/**
 * Delete files, with an undo in the note.
 * @param {string[]} files
 */
export async function remove(files) {
  if (!(await mark(files, "deleted", true))) return false;
  const keys = new Set(files);
  const before = jobs.all().filter((job) => job.outputs.some((output) => keys.has(output.file_key)));
  jobs.changeOutputs(files, () => null);
  tell(say("deleted", { count: files.length }), async () => {
    if (!(await mark(files, "deleted", false))) return;
    jobs.update(before);
    tell(words.undone);
  }, 1000 * facts.undo_s);
  return true;
}

/** @type {Record<string, (item: ImageItem) => unknown>} */
const IMAGE_ACTIONS = {
  "star": (item) => mark([item.file_key], "favourite", true),
  "unstar": (item) => mark([item.file_key], "favourite", false),
  "delete": (item) => remove([item.file_key]),
  "restore": (item) => mark([item.file_key], "deleted", false),
  "download": (item) => download(item.download),
  "download-with-settings": (item) => download(item.download_with_settings ?? item.download),
  "open": (item) => window.open(item.original, "_blank", "noopener"),
  "share": (item) => emit(document.body, "share-image", { item }),
  "share-link": (item) => emit(document.body, "share-image", { item, byLink: true }),
  "board": (item) => emit(document.body, "choose-boards", { files: [item.file_key] }),
  ...Object.fromEntries([1, 2, 3, 4, 5].map((rating) => [`rate-${rating}`, (/** @type {ImageItem} */ item) => rate(item, rating)])),
  "edit": editImage,
  "reuse": (item) => withJob(item, (job) => useSettingsOf(job, null)),
  "change-size": (item) => withJob(item, (job) => useSettingsOf(job, "choice")),
  "rerun": (item) => withJob(item, rerun),
  "copy-link": (item) => withJob(item, (job) => emit(document.body, "copy-settings-link", { job })),
  "retry-download": (item) => jobAction("retry-download", item.job_id),
};

/**
 * @param {string} action one of IMAGE_ACTIONS
 * @param {ImageItem} item
 */
export async function imageAction(action, item) {
  if (!isOffered(action, item)) return false;
  return (await IMAGE_ACTIONS[action]?.(item)) !== false;
}

/** @param {string} href */
function download(href) {
  const link = document.createElement("a");
  link.href = href;
  link.download = "";
  link.click();
}

/** The same rating again takes it away. @param {ImageItem} item @param {number} rating */
function rate(item, rating) {
  return mark([item.file_key], "rating", rating === item.rating ? 0 : rating);
}

/**
 * Do something with the job of an image, which the library loads only now.
 * @template T
 * @param {ImageItem} item
 * @param {(job: Job) => T} act
 */
async function withJob(item, act) {
  const job = item.job ?? jobs.get(item.job_id) ?? (await get(`jobs/${item.job_id}`).catch(() => null));
  if (job) return act(job);
  tell(words.library_failed);
  return false;
}

/**
 * Fill in the form with a job's settings; it submits nothing.
 * @param {Job} job
 * @param {"choice" | "prompt" | null} focus the field to change next; null for none
 */
export function useSettingsOf(job, focus) {
  emit(document.body, "use-settings", { model_id: job.model_id, parameters: job.parameters, focus });
}

/**
 * Whether this page can make a job with the same settings.
 * @param {Job} job
 */
export function canReuse(job) {
  return Object.keys(job.parameters).length > 0; // of a model that the server does not know, there are none
}

/**
 * Make another job with the same settings; it costs money.
 * @param {Job} job
 * @param {Record<string, any>} [changed] settings that are not the same, by parameter
 */
export async function rerun(job, changed = {}) {
  const [{ findModel }, { form }] = await Promise.all([import("../form/more-models.js"), import("../form/state.js")]);
  const model = await findModel(job.model_id);
  if (!model) return { refusal: say("settings_other_model", { model: job.model_id }) };
  const fields = [...model.fields, ...form.extrasOf(model)].filter((field) => field.parameter in job.parameters);
  const inputs = Object.fromEntries(fields.map((field) => [field.key, changed[field.parameter] ?? job.parameters[field.parameter]]));
  const outcome = await send("generate", { model_id: job.model_id, inputs }, () => tell(words.press_unknown));
  if (outcome.answer) jobs.update([outcome.answer]);
  else tell(outcome.refusal ?? "");
  watch();
  return outcome;
}

/**
 * Use a generated image as an input.
 * @param {{file_key: string}} item
 */
function editImage(item) {
  emit(document.body, "edit-image", { file: item.file_key });
  return true;
}

/** Whether a generated image can be an input: a model takes images. */
export const canEdit = () => facts.models.some((model) => model.fields.some((field) => field.file_kind === "image"));

/**
 * The whole URL of a file.
 * @param {string} path below `dreamina/`
 */
export const fileUrl = (path) => url(path).href;
