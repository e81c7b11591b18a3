/* Images that somebody gives by button, paste or drop anywhere: settings out of one, which are read in the browser, or
 * inputs, which are uploaded. */

import { button, element, emit } from "../core/dom.js";
import { post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { readSettings, sha256 } from "./metadata.js";
import { chooseUse } from "./drop-choice.js";
import { fitting } from "./fitting.js";
import { findModel } from "./more-models.js";
import { editImages, takesImages, useSettings } from "./settings.js";

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
 * What does not fit the form is left out, and named.
 * @param {any} modelId
 * @param {Record<string, any>} inputs by schema key
 */
async function fill(modelId, inputs) {
  const id = typeof modelId === "string" ? modelId : "";
  const model = await findModel(id);
  const { parameters, leftOut } = fitting(model?.fields ?? [], inputs);
  const left = leftOut.length ? say("settings_left_out", { fields: leftOut.join(", ") }) : "";
  if (model && !Object.keys(parameters).length) return tell(left || words.settings_unknown);
  return useSettings({ model_id: id, parameters, message: [words.settings_taken, left].filter(Boolean).join(" ") });
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
