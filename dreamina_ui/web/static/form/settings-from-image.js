/* Images that somebody gives by button, paste or drop anywhere: settings out of one, which are read in the browser, or
 * inputs, which are uploaded. */

import { button, element, emit } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { readSettings, sha256 } from "./metadata.js";
import { chooseUse } from "./drop-choice.js";
import { editImages, takesImages, useSettings } from "./settings.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {import("../core/types.js").Output} Output */

const OWN_FILE = /\/dreamina\/files\/([0-9a-f]{32})\//;

/**
 * Take images: settings out of one that was made here, or all of them as inputs.
 * @param {File[]} files
 */
async function take(files) {
  if (files.length > 1) return edit(files);
  return choose(await settingsIn(files[0]), () => edit(files));
}

/** @param {File} file */
async function takeSettings(file) {
  return choose(await settingsIn(file), null);
}

/**
 * What fills in the form with the settings of an image; null if it has none and is not known here.
 * @param {File} file
 */
async function settingsIn(file) {
  const settings = await readSettings(file);
  const inputs = settings?.inputs;
  const reuse = settings && inputs && typeof inputs === "object" && !Array.isArray(inputs) ? () => fill(settings.model_id, inputs) : null;
  const digest = reuse ? null : await sha256(file);
  const { answer: job } = digest ? await post("library/find", { sha256: digest }) : {};
  return reuse ?? reuseOf(job);
}

/** @param {string} key of a file of the library */
async function takeOwn(key) {
  const { answer: job } = await post("library/find", { file: key });
  const output = job?.outputs.find((/** @type {Output} */ item) => item.file_key === key);
  return choose(reuseOf(job), output?.kind === "image" ? () => emit(document.body, "image-action", { action: "edit", item: output }) : null);
}

/** @param {import("../core/types.js").Job | undefined} job */
function reuseOf(job) {
  return job ? () => useSettings({ model_id: job.model_id, parameters: job.parameters }) : null;
}

/**
 * @param {(() => unknown) | null} reuse
 * @param {(() => unknown) | null} use as an input
 */
function choose(reuse, use) {
  const canUse = use && takesImages();
  if (reuse && canUse) return chooseUse(reuse, use);
  if (reuse) return reuse();
  return canUse ? use() : tell(words.settings_unknown);
}

/** @param {File[]} files */
async function edit(files) {
  if (!takesImages()) return tell(words.settings_unknown);
  const { uploads } = await import("../inputs/uploads.js");
  return editImages(uploads.files(files));
}

/**
 * Anybody can write anything into a file: what does not fit the form is left out, and named.
 * @param {any} modelId
 * @param {Record<string, any>} inputs by schema key
 */
function fill(modelId, inputs) {
  const fields = facts.models.find((model) => model.model_id === modelId)?.fields ?? [];
  const given = fields.filter((field) => Object.hasOwn(inputs, field.key) && inputs[field.key] !== null);
  const taken = given.filter((field) => suits(field, inputs[field.key]));
  const leftOut = given.filter((field) => !taken.includes(field)).map((field) => field.key).join(", ");
  const message = leftOut ? `${words.settings_taken} ${say("settings_left_out", { fields: leftOut })}` : words.settings_taken;
  const parameters = Object.fromEntries(taken.map((field) => [field.parameter, inputs[field.key]]));
  return useSettings({ model_id: typeof modelId === "string" ? modelId : "", parameters, message });
}

/**
 * @param {Field} field
 * @param {any} value
 */
function suits(field, value) {
  if (field.choices.length) return field.choices.includes(value);
  if (field.value_type === "any") return true;
  if (field.value_type === "array") return Array.isArray(value) && value.every((item) => typeof item === "string");
  const type = field.value_type === "integer" ? "number" : field.value_type;
  if (typeof value !== type) return false;
  if (typeof value === "number") {
    const isWhole = field.value_type !== "integer" || Number.isInteger(value);
    return Number.isFinite(value) && isWhole && value >= (field.minimum ?? -Infinity) && value <= (field.maximum ?? Infinity);
  }
  return typeof value !== "string" || ([...value].length <= (field.max_length ?? Infinity) && value.isWellFormed());
}

/** A button that asks for an image. */
export function imageButton() {
  const input = element("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true, "aria-hidden": "true", tabindex: -1 });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    input.value = "";
    if (file) takeSettings(file);
  });
  return element("span", {}, button(words.settings_from_picture, () => input.click(), { class: "from-picture" }), input);
}

/** @param {Iterable<File> | null | undefined} files */
function imagesAmong(files) {
  return [...(files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** Take images that are pasted or dropped anywhere. */
export function startTaking() {
  document.addEventListener("paste", (event) => {
    const files = imagesAmong(event.clipboardData?.files);
    if (!files.length || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    take(files);
  });
  document.addEventListener("dragover", (event) => {
    const types = event.dataTransfer?.types ?? [];
    if (types.includes("Files") || types.includes("text/uri-list")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const own = OWN_FILE.exec(event.dataTransfer?.getData("text/uri-list") ?? "");
    const files = imagesAmong(event.dataTransfer?.files);
    if (!own && !event.dataTransfer?.files.length) return;
    event.preventDefault();
    if (own) takeOwn(own[1]);
    else if (files.length) take(files);
    else tell(words.settings_unknown);
  });
}
