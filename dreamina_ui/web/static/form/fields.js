/* What stands beside Gradio's fields: how long a text is, and what a URL leads to. */

import { element } from "../core/dom.js";
import { post } from "../core/http.js";
import { say, words } from "../core/words.js";
import { keyOf } from "../inputs/list.js";
import { hasWildcards } from "../prompts/fill.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {{thumbnail?: string, refusal?: string}} Check */

const COUNTER_FROM = 600; // characters: a counter says something only when the limit comes near

/**
 * Characters as the service counts them: code points, not UTF-16 code units.
 * @param {Field} field
 */
function showCount(field) {
  const node = document.getElementById(field.id);
  if (!field.max_length || !node) return;
  const known = node.querySelector(".counter");
  const counter = known ?? element("p", { class: "counter", id: `counter-${field.id}` });
  if (!known) {
    node.append(counter);
    node.querySelector("textarea, input")?.setAttribute("aria-describedby", counter.id);
  }
  const count = [...String(form.valueOf(field) ?? "")].length;
  const isTooLong = count > field.max_length;
  const isNear = count >= Math.min(COUNTER_FROM, field.max_length * 0.75);
  counter.textContent = isNear ? say(isTooLong ? "too_long" : "counter", { count, limit: field.max_length }) : "";
  counter.classList.toggle("too-long", isTooLong);
}

/** Show the form of the model, and how long its texts are. */
export function showFields() {
  form.models.forEach((model, index) => {
    document.getElementById(`form-${index}`)?.toggleAttribute("data-chosen", model === form.model);
  });
  document.getElementById("form")?.toggleAttribute("data-live", form.isLive);
  form.model.fields.forEach(showCount);
  showDrawn();
}

/** @type {Promise<typeof import("./drawn.js")> | null} */
let drawing = null;

/** Show what wildcards in the prompt stand for; loaded when somebody types one. */
function showDrawn() {
  const field = form.model.fields.find((known) => known.is_text);
  if (!drawing && !(field && hasWildcards(String(form.valueOf(field) ?? "")))) return;
  drawing ??= import("./drawn.js");
  drawing.then(({ drawn }) => drawn.update()).catch(() => { drawing = null; });
}

/* --- input files: the server checks public URLs while the visitor types; images stand in a strip */

const CHECK_MS = 500;
const AGAIN_MS = 30000; // a refused URL may be fixed meanwhile
const MAX_URLS = 20;

/** @type {Map<string, Check | null>} */
const checks = new Map(); // model, field and URL; null while it is being checked
let checkTimer = 0;

/** @param {any} text */
export function urlsIn(text) {
  return [...new Set(String(text ?? "").split("\n").map((line) => line.trim()).filter(Boolean))];
}

/**
 * @param {Field} field
 * @param {string} fileUrl
 */
function checkKey(field, fileUrl) {
  return JSON.stringify([form.model.model_id, field.key, fileUrl]);
}

function urlFields() {
  return form.fields.filter((field) => field.holds_urls);
}

/** @param {Field} field */
function publicUrls(field) {
  return urlsIn(form.valueOf(field)).filter((typed) => !keyOf(typed)).slice(0, MAX_URLS);
}

/** Show what the fields lead to. */
export function showInputFiles() {
  clearTimeout(checkTimer);
  checkTimer = window.setTimeout(checkNext, CHECK_MS);
  for (const field of urlFields()) {
    const node = document.getElementById(field.id);
    if (!node) continue;
    if (field.file_kind === "image") showStrip(field, node);
    else showRefusals(field, node);
  }
}

/** @param {Field} field @param {HTMLElement} node */
function showRefusals(field, node) {
  const known = node.querySelector(".given");
  const list = known ?? element("ul", { class: "given", "aria-label": words.given, "aria-live": "polite" });
  if (!known) node.append(list);
  const refused = publicUrls(field).filter((typed) => checks.get(checkKey(field, typed))?.refusal);
  list.replaceChildren(...refused.map((typed) => element("li", { class: "refused" }, `${typed}: ${checks.get(checkKey(field, typed))?.refusal}`)));
}

/** @param {Field} field @param {HTMLElement} node */
async function showStrip(field, node) {
  const { ImageStrip } = await import("../inputs/strip.js");
  const known = node.querySelector("dreamina-images");
  const strip = known instanceof ImageStrip ? known : new ImageStrip();
  if (!known) {
    strip.addEventListener("change-images", (event) => setImages(field, /** @type {CustomEvent} */ (event).detail));
    node.classList.add("has-strip"); // it shows what is in Gradio's text field
    node.append(strip);
  }
  if (!form.fields.includes(field)) return; // another model was chosen meanwhile
  const checked = publicUrls(field).flatMap((typed) => {
    const check = checks.get(checkKey(field, typed));
    return check ? [/** @type {const} */ ([typed, check])] : [];
  });
  strip.show(urlsIn(form.valueOf(field)), { label: field.title || node.querySelector("[data-testid=block-info]")?.textContent?.trim() || words.given, max: field.max_items, checks: new Map(checked) });
}

/** @param {Field} field @param {string[]} urls */
function setImages(field, urls) {
  form.fillIn(form.model.model_id, { [field.parameter]: field.value_type === "array" ? urls : urls[0] ?? "" });
}

// One at a time: submitting checks all of them at once.
async function checkNext() {
  for (const field of urlFields()) {
    const fileUrl = publicUrls(field).find((typed) => !checks.has(checkKey(field, typed)));
    if (!fileUrl) continue;
    const key = checkKey(field, fileUrl);
    checks.set(key, null);
    const { answer: shown, refusal } = await post("given/look", { model_id: form.model.model_id, field: field.key, address: fileUrl });
    checks.set(key, shown ? { thumbnail: shown.thumbnail } : { refusal });
    if (refusal) setTimeout(() => checks.delete(key), AGAIN_MS);
    showInputFiles();
    return;
  }
}
