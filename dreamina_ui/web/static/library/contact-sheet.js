/* Many images in one picture, with their prompts. */

import { load, save } from "../batch/exports.js";
import { breakLines } from "../batch/sheet.js";
import { element } from "../core/dom.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { MAX_ON_SHEET, contactLayout } from "./sheet-layout.js";

/** @typedef {import("./images.js").LibraryItem} LibraryItem */

const FONT = "13px system-ui, sans-serif";
const LINES = 2;

/** @param {LibraryItem[]} items */
export async function saveContactSheet(items) {
  const images = items.filter(({ kind, file_key: key }) => kind === "image" && key);
  const shown = images.slice(0, MAX_ON_SHEET);
  if (!shown.length) return tell(words.library_empty);
  if (shown.length < images.length) tell(say("library_sheet_many", { count: shown.length }));
  try {
    const blob = await draw(shown);
    save(blob, `dreamina-${new Date().toISOString().slice(0, 10)}.png`);
  } catch {
    tell(words.library_failed);
  }
}

/** @param {LibraryItem[]} items @returns {Promise<Blob>} */
async function draw(items) {
  const layout = contactLayout(items.length);
  const canvas = element("canvas", { width: layout.width, height: layout.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, layout.width, layout.height);
  context.fillStyle = "#191f1d";
  context.font = FONT;
  context.textBaseline = "top";
  const fits = (/** @type {string} */ line) => context.measureText(line).width <= layout.side;
  for (const [index, item] of items.entries()) {
    const { left, top } = layout.cell(index);
    const bitmap = await createImageBitmap(await load(item));
    const scale = Math.min(layout.side / bitmap.width, layout.side / bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    context.drawImage(bitmap, left + (layout.side - width) / 2, top + (layout.side - height) / 2, width, height);
    bitmap.close();
    const label = `${index + 1}. ${item.prompt}`;
    breakLines(label, fits, LINES).forEach((line, number) => {
      context.fillText(line, left, top + layout.side + 4 + number * layout.line);
    });
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The picture is too large.");
  return blob;
}
