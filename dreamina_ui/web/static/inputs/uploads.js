/* Images on their way to the server: files that were dropped, pasted or chosen, and images of the library. */

import { isOurs, outcomeOf, post, request } from "../core/http.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/types.js").Outcome} Outcome */

/** Events: `change`. How many images are on their way, and what was changed about those that came. */
class Uploads extends EventTarget {
  pending = 0;
  /** @type {Map<string, string>} */
  notes = new Map(); // by URL
  /** @type {Promise<{by_link: boolean} | null> | null} */
  #way = null;

  /**
   * Send files; those that are refused are named in a note.
   * @param {File[]} files
   * @returns {Promise<string[]>} what stands for each in the inputs of a job
   */
  files(files) {
    return this.#take(files.map((file) => () => upload(file)));
  }

  /**
   * Take images out of the library.
   * @param {string[]} keys of their files
   */
  library(keys) {
    return this.#take(keys.map((file) => () => post("given/images/from-library", { file })));
  }

  /** How the service gets images; null where nobody knows. */
  way() {
    this.#way ??= request("given/images").then((response) => (response.ok ? response.json() : null)).catch(() => null);
    return this.#way;
  }

  /**
   * One after the other: the server makes each anew.
   * @param {(() => Promise<Outcome>)[]} steps
   */
  async #take(steps) {
    const urls = [];
    this.#count(steps.length);
    for (const step of steps) {
      const { answer: image, refusal } = await step();
      if (image?.note) this.notes.set(image.url, image.note);
      if (image) urls.push(image.url);
      else tell(refusal ?? words.request_failed);
      this.#count(-1);
    }
    return urls;
  }

  /** @param {number} step */
  #count(step) {
    this.pending += step;
    this.dispatchEvent(new Event("change"));
  }
}

export const uploads = new Uploads();

/**
 * @param {File} file
 * @returns {Promise<Outcome>}
 */
async function upload(file) {
  try {
    const headers = { "Content-Type": file.type.startsWith("image/") ? file.type : "application/octet-stream" };
    const response = await request("given/images", { method: "POST", headers, body: file });
    if (response.status === 413 || !isOurs(response)) return { refusal: response.status === 413 ? words.input_too_large : words.request_failed };
    return outcomeOf(response, await response.json());
  } catch {
    return { refusal: words.request_failed };
  }
}

/**
 * The images among some files.
 * @param {Iterable<File> | null | undefined} files
 */
export function imagesIn(files) {
  return [...(files ?? [])].filter((file) => file.type.startsWith("image/"));
}
