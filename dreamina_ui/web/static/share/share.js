/* Sharing an image or a board by a link that can be revoked: dialogs. */

import { boards } from "../core/boards.js";
import { showDialog, useStyle } from "../core/dialogs.js";
import { button, element } from "../core/dom.js";
import { get, post, url } from "../core/http.js";
import { sendsFiles } from "../core/offers.js";
import { tell } from "../core/toast.js";
import { moment, say, words } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {{share_id: string, url: string, shows_prompt: boolean, created_at: number, file: string | null, board: string | null, name: string, thumbnail: string | null}} Share */
/** @typedef {{file: string} | {board: string}} Target */

await useStyle(new URL("../boards/boards.css", import.meta.url));
const LOOPBACK = /^(localhost|127\.|\[::1\])/;

/**
 * On a phone, send the image itself to another program at once; elsewhere, and if that fails, offer a link.
 * @param {ImageItem} item
 * @param {boolean} [byLink] whether a link is wanted
 */
export async function shareImage(item, byLink = false) {
  if (sendsFiles() && !byLink && (await sendFile(item))) return null;
  return open(words.share_image, { file: item.file_key }, item);
}

/** @param {{board_id: string, name: string}} board */
export function shareBoard(board) {
  return open(say("share_board", { name: board.name }), { board: board.board_id }, null);
}

/** @param {string} title @param {Target} target @param {ImageItem | null} item */
async function open(title, target, item) {
  const { answer: known, refusal } = await post("shares", { ...target, prompt: null });
  if (refusal) return tell(refusal);
  const content = element("div");
  const box = element("input", { type: "checkbox", checked: Boolean(known.shows_prompt) });
  const show = (/** @type {Share | null} */ share) => {
    content.replaceChildren(...(share ? linkParts(share, () => show(null)) : [create]));
    const [first] = content.querySelectorAll("button");
    first?.focus();
  };
  const put = async () => {
    const made = await post("shares", { ...target, prompt: box.checked });
    if (made.refusal) return tell(made.refusal);
    show(made.answer);
    if ("board" in target) boards.load();
  };
  const create = button(words.share_create, put, { class: "main" });
  box.addEventListener("change", () => content.contains(create) || put());
  const isLocal = LOOPBACK.test(location.hostname);
  const dialog = showDialog(title, "share",
    element("p", {}, words.share_about), ...(isLocal ? [element("p", { class: "share-local" }, words.share_local)] : []),
    element("label", {}, box, element("span", {}, words.share_prompt)), content, ...(item ? fileParts(item) : []));
  show(known.share_id ? known : null);
  return dialog;
}

/** @param {Share} share @param {() => void} onRevoked */
function linkParts(share, onRevoked) {
  const input = element("input", { type: "text", readonly: true, value: share.url, "aria-label": words.share_link });
  input.addEventListener("focus", () => input.select());
  const revokeIt = async () => {
    if (!(await revoke([share]))) return;
    if (share.board) boards.load();
    onRevoked();
  };
  const buttons = [
    button(words.share_copy, () => copy(share.url, input), { class: "main" }),
    element("a", { class: "button", href: share.url, target: "_blank", rel: "noopener" }, words.share_open),
    button(words.share_revoke, revokeIt, { class: "danger" }),
  ];
  if (navigator.share) buttons.splice(1, 0, button(words.share_send, () => navigator.share({ url: share.url }).catch(() => {})));
  return [element("div", { class: "row" }, input), element("div", { class: "row" }, ...buttons)];
}

/** @param {string} link @param {HTMLInputElement} input */
async function copy(link, input) {
  try {
    await navigator.clipboard.writeText(link);
    tell(words.share_copied);
  } catch {
    input.select(); // browsers give pages without https no clipboard
  }
}

/** @param {Share[]} shares */
async function revoke(shares) {
  const { answer: count, refusal } = await post("shares/revoke", { shares: shares.map(({ share_id: id }) => id) });
  tell(refusal ?? words.share_revoked);
  return Boolean(count);
}

/** @param {ImageItem} item */
function fileParts(item) {
  if (!("canShare" in navigator)) return [];
  return [element("hr"), button(words.share_file, () => sendFile(item))];
}

/** @param {ImageItem} item @returns {Promise<boolean>} whether the browser asked where to; it does so only soon after a tap */
async function sendFile(item) {
  const response = await fetch(item.original).catch(() => null);
  if (!response?.ok) {
    tell(words.library_failed);
    return false;
  }
  const blob = await response.blob();
  const name = decodeURIComponent(new URL(item.original).pathname.split("/").pop() ?? "image");
  const files = [new File([blob], name, { type: blob.type })];
  if (!navigator.canShare({ files })) return false;
  return navigator.share({ files }).then(() => true, (error) => error.name === "AbortError"); // the visitor changed their mind
}

/** All links, to be revoked. */
export async function listShares() {
  const content = await get("shares").catch(() => null);
  if (!content) return tell(words.library_failed);
  const list = element("ul");
  const none = element("p", {}, words.share_none);
  /** @type {Share[]} */
  let shares = content.shares;
  const end = async (/** @type {Share[]} */ some) => {
    if (!(await revoke(some))) return;
    shares = shares.filter((share) => !some.includes(share));
    show();
    boards.load();
  };
  const all = button(words.share_revoke_all, () => end(shares), { class: "danger" });
  const show = () => {
    list.replaceChildren(...shares.map((share) => element("li", { class: "share-row" },
      element("img", { alt: "", src: share.thumbnail ? url(share.thumbnail).href : null, loading: "lazy" }),
      element("span", { dir: "auto" }, share.name || moment(share.created_at)),
      element("a", { class: "button", href: share.url, target: "_blank", rel: "noopener" }, words.share_open),
      button(words.share_revoke, () => end([share]), { class: "danger" }))));
    none.hidden = shares.length > 0;
    all.hidden = shares.length < 2;
  };
  show();
  return showDialog(words.shares, "shares", list, none, element("div", { class: "row" }, all));
}
