/* A batch as a file: a picture with labels, a page that needs no server, or the originals. */

import { element } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { language } from "../core/facts.js";
import { breakLines, sheetLayout } from "./sheet.js";

/** @typedef {import("./images.js").BatchImage} BatchImage */
/** @typedef {import("./matrix.js").Labels} Labels */
/** @typedef {import("./matrix.js").Label} Label */

const FONT = "16px system-ui, sans-serif";
const LINE_PX = 20;
const PADDING = 8;
const MAX_LINES = 12;
const STYLE = "body{font:16px system-ui,sans-serif;margin:1rem}table{border-collapse:separate;border-spacing:0}"
  + "th,td{padding:.5rem;border-bottom:1px solid #ccc;vertical-align:top;text-align:start;background:#fff}"
  + "thead th{position:sticky;top:0;z-index:1}tbody th{position:sticky;left:0;max-width:16rem;overflow-wrap:anywhere}"
  + "small{display:block;font-weight:400;color:#555}img{width:200px;height:200px;object-fit:contain;margin:2px}";

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** @param {BatchImage[]} images */
const onlyImages = (images) => images.filter(({ kind }) => kind === "image");

/** @param {{thumbnail: string}} item @returns {Promise<Blob>} rejects if it cannot be loaded */
export async function load(item) {
  const response = await fetch(item.thumbnail);
  if (!response.ok) throw new Error(String(response.status));
  return response.blob();
}

/** @param {Blob} blob @returns {Promise<string>} */
function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", reject);
    reader.readAsDataURL(blob);
  });
}

/** Save the originals as one ZIP. @param {BatchImage[]} images */
export function saveZip(images) {
  const form = element("form", { method: "post", action: url("library/zip", { visitor: identity() }).href, hidden: true },
    element("input", { name: "files", value: images.map(({ file_key: key }) => key).join(",") }));
  document.body.append(form);
  form.submit();
  form.remove();
}

/** Save a page with all labels and small images. Rejects if an image cannot be loaded.
 * @param {string} name @param {Labels} labels @param {BatchImage[]} images */
export async function saveHtml(name, { rows, columns }, images) {
  const cells = rows.map(() => columns.map(() => element("td")));
  for (const item of onlyImages(images)) {
    cells[item.row][item.column].append(element("img", { src: await dataUrl(await load(item)), alt: item.alt }));
  }
  const head = (/** @type {Label} */ { title, detail }) => [title, ...(detail ? [element("small", {}, detail)] : [])];
  const page = element("html", { lang: language },
    element("head", {}, element("meta", { charset: "utf-8" }), element("title", {}, name), element("style", {}, STYLE)),
    element("body", {}, element("table", {},
      element("thead", {}, element("tr", {}, element("th"), ...columns.map((label) => element("th", {}, ...head(label))))),
      element("tbody", {}, ...rows.map((label, row) => element("tr", {}, element("th", { dir: "auto" }, ...head(label)), ...cells[row]))))));
  save(new Blob([`<!doctype html>${new window.XMLSerializer().serializeToString(page)}`], { type: "text/html" }), `${name}.html`);
}

/** Save one picture with all labels and images. Rejects if an image cannot be loaded.
 * @param {string} name @param {Labels} labels @param {BatchImage[]} images */
export async function savePng(name, { rows, columns }, images) {
  const canvas = element("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.font = FONT;
  const fits = (/** @type {number} */ width) => (/** @type {string} */ line) => context.measureText(line).width <= width;
  const linesOf = (/** @type {Label} */ { title, detail }, /** @type {number} */ width) => (
    [title, detail].filter(Boolean).flatMap((text) => breakLines(text, fits(width - 2 * PADDING), MAX_LINES)));
  /** @type {Map<string, number>} */
  const counts = new Map();
  const spots = onlyImages(images).map((item) => {
    const key = `${item.row}/${item.column}`;
    const index = counts.get(key) ?? 0;
    counts.set(key, index + 1);
    return { row: item.row, column: item.column, index, item };
  });
  const measured = sheetLayout(rows.length, columns.length, spots, 0);
  const heads = columns.map((label) => linesOf(label, measured.cell(0, 0).width));
  const sides = rows.map((label) => linesOf(label, measured.labelWidth));
  const heightOf = (/** @type {string[][]} */ texts) => Math.max(1, ...texts.map((lines) => lines.length)) * LINE_PX + 2 * PADDING;
  const layout = sheetLayout(rows.length, columns.length, spots, heightOf(heads), heightOf(sides));
  canvas.width = Math.round(layout.width * layout.scale);
  canvas.height = Math.round(layout.height * layout.scale);
  context.scale(layout.scale, layout.scale);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, layout.width, layout.height);
  context.fillStyle = "#191f1d";
  context.font = FONT;
  context.textBaseline = "top";
  const write = (/** @type {string[]} */ lines, /** @type {number} */ left, /** @type {number} */ top) => {
    lines.forEach((line, index) => context.fillText(line, left + PADDING, top + PADDING + index * LINE_PX));
  };
  heads.forEach((lines, column) => write(lines, layout.cell(0, column).left, 0));
  sides.forEach((lines, row) => write(lines, 0, layout.cell(row, 0).top));
  for (const spot of spots) {
    const bitmap = await createImageBitmap(await load(spot.item));
    const box = layout.image(spot);
    const scale = Math.min(box.width / bitmap.width, box.height / bitmap.height);
    context.drawImage(bitmap, box.left, box.top, bitmap.width * scale, bitmap.height * scale);
    bitmap.close();
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The picture is too large.");
  save(blob, `${name}.png`);
}
