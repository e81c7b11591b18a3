/* Reads the settings back from an image in the browser, as dreamina_ui/media/embedded_metadata.py writes them: change both together.
   A few slices of the file are read, never all of it. Anybody can write anything into a file: check what comes back. */
const XMP_ID = "http://ns.adobe.com/xap/1.0/\0";
const KEYWORD = "dreamina\0";
const XMP_KEYWORD = "XML:com.adobe.xmp\0";
const NAMESPACE = "urn:dreamina-ui:1.0:";
const MAX_BYTES = 0xffff;
const MAX_TEXT_BYTES = 1 << 18;
const MAX_PARTS = 1024;
const MAX_CHUNKS = 20000;

/**
 * The settings in a PNG, JPEG or WebP file; null if there are none, or if the file is damaged.
 * @param {Blob} blob
 * @returns {Promise<Record<string, any> | null>}
 */
export async function readSettings(blob) {
  try {
    const settings = JSON.parse(await findJson(blob));
    return settings && typeof settings === "object" && !Array.isArray(settings) ? settings : null;
  } catch {
    return null;
  }
}

/**
 * SHA-256 of the whole file in hex; null where the browser has no crypto.subtle: it needs https or localhost.
 * @param {Blob} blob
 */
export async function sha256(blob) {
  try {
    const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}

/** @param {Blob} blob */
async function findJson(blob) {
  const head = latin(await slice(blob, 0, 12));
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return findInPng(blob);
  if (head.startsWith("\xff\xd8\xff")) return findInJpeg(blob);
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return findInWebp(blob);
  return "";
}

/** @param {Blob} blob */
async function findInPng(blob) {
  /** @type {[number, number] | null} */
  let xmp = null;
  for (let at = 8, others = 0, count = 0; count < MAX_CHUNKS && others < MAX_PARTS; count += 1) {
    const head = await view(blob, at, 8);
    const kind = latin(head, 4);
    if (kind === "IEND") break;
    const start = at + 8;
    const stop = start + head.getUint32(0);
    if (kind !== "IDAT") others += 1;
    const keyword = ["tEXt", "zTXt", "iTXt"].includes(kind) ? latin(await slice(blob, start, Math.min(start + XMP_KEYWORD.length, stop))) : "";
    if (keyword.startsWith(KEYWORD)) return pngText(kind, await content(blob, start + KEYWORD.length, stop));
    if (keyword === XMP_KEYWORD && kind === "iTXt") xmp ??= [start + XMP_KEYWORD.length, stop];
    at = stop + 4;
  }
  // A JPEG or WebP copy that another program saved as PNG.
  return xmp ? jsonIn(await pngText("iTXt", await content(blob, xmp[0], xmp[1]))) : "";
}

// The text of a chunk, behind its keyword: programs that rewrite a PNG pack it, or choose another kind of chunk.
/** @param {string} kind @param {Uint8Array<ArrayBuffer>} bytes */
async function pngText(kind, bytes) {
  if (kind === "tEXt") return latin(bytes);
  if (kind === "zTXt") return bytes[0] === 0 ? latin(await unpacked(bytes.subarray(1))) : "";
  // A flag and a method of compression; then the language and the translated keyword, each ended by a NUL.
  const language = bytes.indexOf(0, 2);
  const keyword = language < 0 ? -1 : bytes.indexOf(0, language + 1);
  if (keyword < 0 || bytes[0] > 1 || bytes[1] !== 0) return "";
  const text = bytes.subarray(keyword + 1);
  return utf8(bytes[0] ? await unpacked(text) : text);
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function unpacked(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const pieces = [];
  let size = 0;
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    pieces.push(step.value);
    size += step.value.length;
    if (size > MAX_TEXT_BYTES) {
      await reader.cancel();
      throw new RangeError("too long");
    }
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** @param {Blob} blob */
async function findInJpeg(blob) {
  for (let at = 2, count = 0; count < MAX_PARTS; count += 1) {
    const head = await view(blob, at, 4);
    const [mark, kind, length] = [head.getUint8(0), head.getUint8(1), head.getUint16(2)];
    if (mark !== 0xff || (kind >= 0xd0 && kind <= 0xda) || kind < 0xc0) break;
    if (kind === 0xff) {
      at += 1;
      continue;
    }
    if (length < 2) break;
    const [start, stop] = [at + 4, at + 2 + length];
    const isXmp = kind === 0xe1 && latin(await slice(blob, start, Math.min(start + XMP_ID.length, stop))) === XMP_ID;
    if (isXmp) return jsonIn(utf8(await content(blob, start + XMP_ID.length, stop)));
    at = stop;
  }
  return "";
}

/** @param {Blob} blob */
async function findInWebp(blob) {
  const end = 8 + (await view(blob, 4, 4)).getUint32(0, true);
  for (let at = 12, count = 0; at < end && count < MAX_PARTS; count += 1) {
    const head = await view(blob, at, 8);
    const length = head.getUint32(4, true);
    const start = at + 8;
    if (latin(head).startsWith("XMP ")) return jsonIn(utf8(await content(blob, start, start + length)));
    at = start + length + (length % 2);
  }
  return "";
}

/**
 * The settings in XMP, the last ones, as an element or (as other programs rewrite it) as an attribute.
 * @param {string} packet
 */
function jsonIn(packet) {
  const text = packet.replace(/\0+$/, "");
  if (text.includes("<!DOCTYPE")) return "";
  const parsed = new DOMParser().parseFromString(text, "application/xml"); // this runs no script and loads nothing
  const nodes = [...parsed.getElementsByTagName("*")];
  if (nodes.some((node) => node.localName === "parsererror")) return "";
  const texts = nodes.map((node) =>
    node.namespaceURI === NAMESPACE && node.localName === "settings"
      ? node.textContent
      : node.getAttributeNS(NAMESPACE, "settings"));
  return texts.filter(Boolean).pop() || "";
}

/** @param {Blob} blob @param {number} start @param {number} stop */
async function slice(blob, start, stop) {
  return new Uint8Array(await blob.slice(start, stop).arrayBuffer());
}

// A view of less than `length` bytes throws when it is read: the file is truncated.
/** @param {Blob} blob @param {number} start @param {number} length */
async function view(blob, start, length) {
  return new DataView((await slice(blob, start, start + length)).buffer);
}

/** @param {Blob} blob @param {number} start @param {number} stop */
async function content(blob, start, stop) {
  if (stop - start > MAX_BYTES || stop > blob.size) throw new RangeError("cut off or too long");
  return slice(blob, start, stop);
}

/** @param {Uint8Array | DataView} bytes @param {number} [from] */
function latin(bytes, from = 0) {
  const all = bytes instanceof DataView ? new Uint8Array(bytes.buffer) : bytes;
  return Array.from(all.subarray(from), (code) => String.fromCharCode(code)).join("");
}

/** @param {Uint8Array} bytes */
function utf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

