/* Generate: send the form, and say beside the button what came of it. */

import { jobs } from "../core/jobs.js";
import { send } from "../core/requests.js";
import { watch } from "../core/stream.js";
import { words } from "../core/words.js";
import { hasWildcards } from "../prompts/fill.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Outcome} Outcome */

/** Events: `change`. What the notes beside Generate show. */
class Submission extends EventTarget {
  problem = "";
  /** @type {number} */
  retryAt = 0; // ms, when the service takes requests again; 0 if nothing was said about it
  running = 0;

  /**
   * @param {string} text "" for none
   * @param {number} [retryAfterS]
   */
  tell(text, retryAfterS = 0) {
    this.problem = text;
    this.retryAt = retryAfterS > 0 ? Date.now() + retryAfterS * 1000 : 0;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} step */
  count(step) {
    this.running += step;
    this.dispatchEvent(new Event("change"));
  }
}

export const submission = new Submission();

/**
 * Generate was clicked with these values. A refusal is shown beside the button until the next click.
 * @param {{model_id: string, values: Record<string, any>}} current
 */
export async function generateWith({ model_id, values }) {
  submission.tell("");
  submission.count(1);
  try {
    const field = form.model.fields.find((known) => known.is_text);
    const text = String((field && values[field.key]) ?? "");
    const isDrawn = hasWildcards(text);
    const { answer: drawing, refusal } = isDrawn ? await draw(text) : { answer: { text }, refusal: "" };
    if (!drawing) return submission.tell(refusal ?? words.request_failed);
    const inputs = field && isDrawn ? { ...values, [field.key]: drawing.text } : values;
    const outcome = await send("generate", { model_id, inputs }, tellUnknown);
    submitted(outcome);
    if (isDrawn && outcome.answer) (await import("./drawn.js")).drawn.renew();
  } finally {
    submission.count(-1);
  }
}

/**
 * What a prompt with wildcards is sent as: what stands below it.
 * @param {string} text
 * @returns {Promise<Outcome>}
 */
async function draw(text) {
  try {
    const { drawn } = await import("./drawn.js");
    return await drawn.of(text);
  } catch {
    return { refusal: words.request_failed };
  }
}

export function tellUnknown() {
  submission.tell(words.press_unknown);
}

/** @param {Outcome} outcome */
export function submitted({ answer: job, refusal, retryAfterS }) {
  submission.tell(refusal ?? "", retryAfterS);
  if (job) jobs.update([job]);
  watch();
}
