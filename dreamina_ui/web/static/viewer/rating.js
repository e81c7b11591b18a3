/* A rating from 1 to 5, as buttons. */

import { button, element } from "../core/dom.js";
import { say, words } from "../core/words.js";

/**
 * @param {{rating: number}} item
 * @param {(action: string) => void} onAction
 */
export function ratingPart({ rating }, onAction) {
  const stars = [1, 2, 3, 4, 5].map((count) => button(count <= rating ? "★" : "☆", () => onAction(`rate-${count}`), {
    "aria-label": say("rating_of", { count }), "aria-pressed": String(count === rating), title: say("rating_of", { count }),
  }));
  return element("div", { class: "rating", role: "group", "aria-label": words.rating }, ...stars);
}
