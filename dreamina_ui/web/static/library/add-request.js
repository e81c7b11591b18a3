/* Adds a request that was made elsewhere to the library. */

import { button, element } from "../core/dom.js";
import { post } from "../core/http.js";
import { jobs } from "../core/jobs.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";

/** @param {() => unknown} onAdded */
export function addRequest(onAdded) {
  const input = element("input", { type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false" });
  const add = async () => {
    if (!input.value.trim()) return;
    const outcome = await post("attach", { request_id: input.value.trim() });
    if (outcome.refusal) return tell(outcome.refusal);
    const job = outcome.answer;
    input.value = "";
    jobs.update([job]);
    watch();
    tell(`${job.request_id}: ${job.state_text}`);
    onAdded();
  };
  return element("details", { class: "add-request" }, element("summary", {}, words.add_request),
    element("label", {}, words.attach_label, input), button(words.attach, add));
}
