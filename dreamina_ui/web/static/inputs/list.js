// @ts-check
/* A list of input images, changed within the model's bounds. No DOM. */

const SCHEME = "dreamina-input:"; // as in dreamina_ui/ledger/job.py

/** The key of an image that the visitor gave; "" for a public URL.
 * @param {string} url */
export function keyOf(url) {
  return url.startsWith(SCHEME) ? url.slice(SCHEME.length) : "";
}

/** The path of the thumbnail of an image that the visitor gave; "" for a public URL.
 * @param {string} url */
export function thumbnailOf(url) {
  return keyOf(url) && `given/images/${keyOf(url)}.webp`;
}

/** The list with more images; in a full one of a single image the new one takes its place.
 * @param {string[]} urls @param {string[]} more @param {number | null} max
 * @returns {{urls: string[], leftOut: number}} how many there was no room for */
export function added(urls, more, max) {
  const all = [...new Set([...urls, ...more])];
  if (max === 1) return { urls: all.slice(-1), leftOut: 0 };
  const room = max ?? all.length;
  return { urls: all.slice(0, room), leftOut: Math.max(0, all.length - room) };
}

/** The list with an image moved by some places.
 * @param {string[]} urls @param {number} index @param {number} step */
export function moved(urls, index, step) {
  const target = Math.min(Math.max(index + step, 0), urls.length - 1);
  const rest = urls.filter((_, at) => at !== index);
  return [...rest.slice(0, target), urls[index], ...rest.slice(target)];
}
