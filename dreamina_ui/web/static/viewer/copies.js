/* Loads the copies of an image. */

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {"thumbnail" | "preview" | "screen" | "original"} CopyName */

/** The copies from small to large, and the length of their longer side at most.
 * @type {{name: CopyName, px: number}[]} */
export const COPIES = [
  { name: "thumbnail", px: 400 },
  { name: "preview", px: 1280 },
  { name: "screen", px: 2560 },
  { name: "original", px: Infinity },
];
const MAX_RETAINED = 3; // originals: each may take 20 MB

/** @type {Map<string, string>} URL of an original -> URL of its content in this browser; the newest last */
const originals = new Map();

/** Load and decode an image, so that it appears at once; when it is not wanted any more, it takes no more of the line.
 * @param {string} src @param {AbortSignal} [signal] @returns {Promise<HTMLImageElement>} */
export async function loadImage(src, signal) {
  const image = new Image();
  image.alt = "";
  image.draggable = false;
  image.src = src;
  signal?.addEventListener("abort", () => image.complete || image.removeAttribute("src"), { once: true });
  await image.decode();
  return image;
}

/** Load an original and say how far it has come.
 * @param {string} url @param {AbortSignal} signal @param {(part: number) => void} onProgress 0 to 1
 * @returns {Promise<HTMLImageElement>} */
export async function loadOriginal(url, signal, onProgress) {
  const known = originals.get(url);
  if (known) return loadImage(known);
  onProgress(0);
  const response = await fetch(url, { signal });
  if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
  const total = Number(response.headers.get("Content-Length")) || 0;
  let received = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      received += chunk.byteLength;
      if (total) onProgress(Math.min(1, received / total));
      controller.enqueue(chunk);
    },
  });
  const type = response.headers.get("Content-Type") ?? "";
  const content = await new Response(response.body.pipeThrough(counter), { headers: { "Content-Type": type } }).blob();
  const local = URL.createObjectURL(content);
  retain(url, local);
  return loadImage(local);
}

/** @param {string} url @param {string} local */
function retain(url, local) {
  originals.set(url, local);
  for (const [oldest, content] of originals) {
    if (originals.size <= MAX_RETAINED) return;
    URL.revokeObjectURL(content);
    originals.delete(oldest);
  }
}
