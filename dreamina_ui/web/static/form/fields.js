/* What stands beside Gradio's fields: how long a text is, and what a URL leads to. */

import { element } from "../core/dom.js";
import { post, url } from "../core/http.js";
import { say, words } from "../core/words.js";
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
  form.model.fields.forEach(showCount);
}

/* --- input files by URL: the server checks them while the visitor types */

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
  return form.model.fields.filter((field) => field.holds_urls);
}

/** Show what the URLs of the form lead to. */
export function showInputFiles() {
  clearTimeout(checkTimer);
  checkTimer = window.setTimeout(checkNext, CHECK_MS);
  for (const field of urlFields()) {
    const node = document.getElementById(field.id);
    if (!node) continue;
    let list = /** @type {HTMLElement | null} */ (node.querySelector(".given"));
    if (!list) {
      list = element("ul", { class: "given", "aria-label": words.given, "aria-live": "polite" });
      node.append(list);
    }
    const rows = urlsIn(form.valueOf(field)).slice(0, MAX_URLS)
      .map((fileUrl, index) => ({ fileUrl, index, check: checks.get(checkKey(field, fileUrl)) })).filter(({ check }) => check);
    const now = JSON.stringify(rows);
    if (list.dataset.now === now) continue;
    list.dataset.now = now;
    list.replaceChildren(...rows.map(({ fileUrl, index, check }) => {
      if (check?.thumbnail) return element("li", {}, thumbnail(check.thumbnail, index + 1));
      return element("li", { class: "refused" }, `${fileUrl}: ${check?.refusal}`);
    }));
  }
}

/**
 * @param {string} path
 * @param {number} number
 */
export function thumbnail(path, number) {
  return element("img", { src: url(path), alt: say("input_alt", { number }), loading: "lazy" });
}

// One at a time: submitting checks all of them at once.
async function checkNext() {
  for (const field of urlFields()) {
    const fileUrl = urlsIn(form.valueOf(field)).slice(0, MAX_URLS).find((typed) => !checks.has(checkKey(field, typed)));
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
