/* Settings out of an image that somebody gives by button, paste or drop; it is read in the browser and never sent. */

import { canEdit } from "../core/actions.js";
import { button, element, emit } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { post } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { readSettings, sha256 } from "./metadata.js";
import { chooseUse } from "./drop-choice.js";
import { useSettings } from "./settings.js";

/** @typedef {import("../core/types.js").Field} Field */

const OWN_FILE = /\/dreamina\/files\/([0-9a-f]{32})\//;

/** @param {File} file */
async function take(file) {
  const settings = await readSettings(file);
  const inputs = settings?.inputs;
  const reuse = settings && inputs && typeof inputs === "object" && !Array.isArray(inputs) ? () => fill(settings.model_id, inputs) : null;
  const digest = await sha256(file);
  return takeKnown(digest && { sha256: digest }, reuse);
}

/**
 * Use an image that may be one of ours: then it can be edited, too, where the service can fetch it.
 * @param {{file?: string, sha256?: string} | null | ""} query
 * @param {(() => unknown) | null} reuse for settings that were in the file itself
 */
async function takeKnown(query, reuse = null) {
  const isNeeded = query && (!reuse || canEdit());
  const { answer: job } = isNeeded ? await post("library/find", query) : {};
  const fillIn = reuse ?? (job && (() => useSettings({ model_id: job.model_id, parameters: job.parameters })));
  if (!fillIn) return tell(canEdit() ? words.drop_foreign : words.settings_unknown);
  /** @type {import("../core/types.js").Output[]} */
  const outputs = job?.outputs ?? [];
  const output = query && outputs.find((item) => item.file_key === query.file || item.sha256 === query.sha256);
  if (!canEdit() || !output || output.kind !== "image") return fillIn();
  return chooseUse(fillIn, () => emit(document.body, "image-action", { action: "edit", item: output }));
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
    if (file) take(file);
  });
  return element("span", {}, button(words.settings_from_picture, () => input.click(), { class: "from-picture" }), input);
}

/** Take images that are pasted or dropped anywhere. */
export function startTaking() {
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    take(file);
  });
  document.addEventListener("dragover", (event) => {
    const types = event.dataTransfer?.types ?? [];
    if (types.includes("Files") || types.includes("text/uri-list")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const own = OWN_FILE.exec(event.dataTransfer?.getData("text/uri-list") ?? "");
    const file = event.dataTransfer?.files[0];
    if (!own && !file) return;
    event.preventDefault();
    if (own) takeKnown({ file: own[1] });
    else if (file) take(file);
  });
}
