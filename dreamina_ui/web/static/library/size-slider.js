/* How large the library's images are; each browser remembers it. */

import { element } from "../core/dom.js";
import { local } from "../core/storage.js";
import { words } from "../core/words.js";

const NAME = "library-row";
const [SMALLEST, LARGEST] = [90, 420];
const DEFAULTS = { phone: 150, desk: 200 };

/** @param {(pixels: number) => unknown} onSize @returns {HTMLElement} */
export function sizeSlider(onSize) {
  const usual = window.innerWidth < 700 ? DEFAULTS.phone : DEFAULTS.desk;
  const stored = Number(local.get(NAME));
  const value = stored >= SMALLEST && stored <= LARGEST ? stored : usual;
  const input = element("input", { type: "range", min: SMALLEST, max: LARGEST, step: 10, value, "aria-label": words.library_image_size, title: words.library_image_size });
  input.addEventListener("input", () => onSize(Number(input.value)));
  input.addEventListener("change", () => local.set(NAME, input.value));
  onSize(value);
  return element("label", { class: "size-slider" }, input);
}
