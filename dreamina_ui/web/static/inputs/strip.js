/* <dreamina-images>: the input images of a form, as a strip of thumbnails to which more are added by drop, paste, file,
 * library or URL. Whoever holds the values calls `show`; the strip asks for others by the event `change-images`. */

import { useStyle } from "../core/dialogs.js";
import { button, define, element, emit, icon } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { added, moved, thumbnailOf } from "./list.js";
import { imagesIn, uploads } from "./uploads.js";

/** @typedef {{thumbnail?: string, refusal?: string}} Check of a public URL, as the server found it */
/** @typedef {{label: string, max: number | null, checks?: Map<string, Check>}} StripOptions */

const OWN_FILE = /\/dreamina\/files\/([0-9a-f]{32})\//;
await useStyle(new URL("./inputs.css", import.meta.url));

export class ImageStrip extends HTMLElement {
  /** @type {string[]} */
  urls = [];
  /** @type {StripOptions} */
  #options = { label: "", max: null };
  #index = 0; // of the image that Tab reaches
  #shown = "";
  #list = element("ul", { class: "strip" });
  #notes = element("p", { class: "strip-notes", role: "status" });
  #way = element("p", { class: "strip-way" });
  #count = element("span", { class: "strip-count" });
  #file = element("input", { type: "file", accept: "image/*", multiple: true, hidden: true, "aria-hidden": "true", tabindex: -1 });
  #typed = element("input", { type: "url", placeholder: "https://", "aria-label": words.input_url });
  #urlForm = element("form", { class: "strip-url", hidden: true }, this.#typed, element("button", { type: "submit" }, words.input_add));
  #update = () => this.#render();

  connectedCallback() {
    if (!this.firstChild) this.#build();
    uploads.addEventListener("change", this.#update);
    this.#showWay();
  }

  disconnectedCallback() {
    uploads.removeEventListener("change", this.#update);
  }

  /**
   * @param {string[]} urls
   * @param {StripOptions} options
   */
  show(urls, options) {
    this.urls = urls;
    this.#options = options;
    this.setAttribute("aria-label", options.label);
    this.#render();
  }

  /** Add files. @param {File[]} files */
  async addFiles(files) {
    this.add(await uploads.files(files));
  }

  /** Add images of the library. @param {string[]} keys of their files */
  async addLibrary(keys) {
    this.add(await uploads.library(keys));
  }

  /** @param {string[]} more URLs */
  add(more) {
    const { urls, leftOut } = added(this.urls, more, this.#options.max);
    if (leftOut) tell(say("input_full", { limit: this.#options.max }));
    if (urls.join() !== this.urls.join()) this.#change(urls);
  }

  #build() {
    this.setAttribute("role", "group");
    const showUrl = button(words.input_by_url, () => {
      this.#urlForm.hidden = !this.#urlForm.hidden;
      showUrl.setAttribute("aria-expanded", String(!this.#urlForm.hidden));
      if (!this.#urlForm.hidden) this.#typed.focus();
    }, { "aria-expanded": "false" });
    this.append(this.#list,
      element("div", { class: "strip-tools" },
        button(words.input_choose, () => this.#file.click(), { class: "strip-choose" }),
        button(words.input_from_library, () => this.#pick(), { class: "strip-library" }), showUrl, this.#count, this.#file),
      this.#urlForm, this.#notes, this.#way);
    this.#file.addEventListener("change", () => {
      const files = [...(this.#file.files ?? [])];
      this.#file.value = "";
      this.addFiles(files);
    });
    this.#urlForm.addEventListener("submit", (event) => {
      event.preventDefault();
      const fileUrl = this.#typed.value.trim();
      if (fileUrl) this.add([fileUrl]);
      this.#typed.value = "";
    });
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    this.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.toggleAttribute("data-over", true);
    });
    this.addEventListener("dragleave", () => this.toggleAttribute("data-over", false));
    this.addEventListener("drop", (event) => this.#onDrop(event));
  }

  /** @param {DragEvent} event */
  #onDrop(event) {
    event.preventDefault();
    event.stopPropagation(); // elsewhere a drop may mean something else
    this.toggleAttribute("data-over", false);
    const from = event.dataTransfer?.getData("application/x-dreamina-position");
    const target = event.target instanceof Element ? event.target.closest("li[data-index]") : null;
    if (from && target instanceof HTMLElement) return this.#move(Number(from), Number(target.dataset.index) - Number(from));
    const files = imagesIn(event.dataTransfer?.files);
    if (files.length) return this.addFiles(files);
    const dropped = event.dataTransfer?.getData("text/uri-list").split("\n")[0].trim() ?? "";
    const own = OWN_FILE.exec(dropped);
    if (own) this.addLibrary([own[1]]);
    else if (dropped.startsWith("https://")) this.add([dropped]);
  }

  async #showWay() {
    const way = await uploads.way();
    this.#way.textContent = [words.input_hint, way && (way.by_link ? words.input_way_link : words.input_way_data)].filter(Boolean).join(" ");
  }

  async #pick() {
    const { pickImages } = await import("./picker.js");
    const keys = await pickImages(this.#options.max === 1 ? 1 : (this.#options.max ?? 100) - this.urls.length);
    if (keys.length) this.addLibrary(keys);
  }

  /** @param {string[]} urls */
  #change(urls) {
    emit(this, "change-images", urls);
  }

  /** @param {number} index @param {number} step */
  #move(index, step) {
    this.#index = Math.min(Math.max(index + step, 0), this.urls.length - 1);
    this.#change(moved(this.urls, index, step));
    this.#focusAfter = true;
  }

  /** @param {number} index */
  #remove(index) {
    const before = this.urls;
    this.#index = Math.min(index, this.urls.length - 2);
    this.#focusAfter = true;
    this.#change(before.filter((_, at) => at !== index));
    tell(words.input_removed, () => this.#change(before));
  }

  #focusAfter = false; // whether the tile that Tab reaches gets the focus when it is there

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const tile = event.target instanceof Element ? event.target.closest("li[data-index]") : null;
    if (!(tile instanceof HTMLElement)) return;
    const index = Number(tile.dataset.index);
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key] ?? 0;
    const ends = /** @type {Record<string, number>} */ ({ Home: 0, End: this.urls.length - 1 });
    if (step && (event.altKey || event.shiftKey || event.ctrlKey || event.metaKey)) this.#move(index, step);
    else if (step) this.#focus(index + step);
    else if (event.key in ends) this.#focus(ends[event.key]);
    else if (event.key === "Delete" || event.key === "Backspace") this.#remove(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} index */
  #focus(index) {
    this.#index = Math.min(Math.max(index, 0), this.urls.length - 1);
    this.#list.querySelectorAll("li[data-index]").forEach((node, at) => node.setAttribute("tabindex", at === this.#index ? "0" : "-1"));
    const node = this.#list.children[this.#index];
    if (node instanceof HTMLElement) node.focus();
  }

  #render() {
    const { label, max, checks } = this.#options;
    const checked = this.urls.map((fileUrl) => checks?.get(fileUrl) ?? {});
    const now = JSON.stringify([this.urls, checked, uploads.pending, label, max, [...uploads.notes]]);
    if (now === this.#shown) return;
    this.#shown = now;
    this.#index = Math.max(0, Math.min(this.#index, this.urls.length - 1));
    const hadFocus = this.#list.contains(document.activeElement) || this.#focusAfter;
    this.#focusAfter = false;
    const waiting = Array.from({ length: uploads.pending }, () => element("li", { class: "pending", "aria-label": words.input_uploading }));
    this.#list.replaceChildren(...this.urls.map((fileUrl, index) => this.#tile(fileUrl, index, checked[index])), ...waiting);
    this.#count.textContent = max && max > 1 ? say("input_count", { count: this.urls.length, limit: max }) : "";
    const refusals = this.urls.map((fileUrl, index) => checked[index].refusal && `${fileUrl}: ${checked[index].refusal}`);
    const notes = this.urls.map((fileUrl, index) => uploads.notes.has(fileUrl) && `${say("input_alt", { number: index + 1 })}: ${uploads.notes.get(fileUrl)}`);
    const busy = uploads.pending ? [words.input_uploading] : [];
    this.#notes.replaceChildren(...[...busy, ...notes].filter(Boolean).map((text) => element("span", {}, String(text))),
      ...refusals.filter(Boolean).map((text) => element("span", { class: "refused" }, String(text))));
    if (hadFocus && this.urls.length) this.#focus(this.#index);
    else if (hadFocus) /** @type {HTMLElement | null} */ (this.querySelector(".strip-choose"))?.focus();
  }

  /** @param {string} fileUrl @param {number} index @param {Check} check */
  #tile(fileUrl, index, check) {
    const number = index + 1;
    const path = thumbnailOf(fileUrl) || check.thumbnail;
    const name = say("input_alt", { number });
    const tile = element("li", { "data-index": index, tabindex: index === this.#index ? 0 : -1, draggable: "true",
      "aria-label": `${name}. ${words.input_keys}`, "aria-roledescription": words.input_image, title: check.refusal ?? (path ? name : fileUrl) });
    if (path) {
      const image = element("img", { src: url(path, { visitor: identity() }), alt: name, draggable: "false" });
      image.addEventListener("error", () => {
        image.replaceWith(element("span", { class: "missing" }, words.input_missing));
        tile.classList.add("refused-tile");
      });
      tile.append(image);
    } else {
      tile.append(element("span", { class: "missing" }, check.refusal ? "!" : "…", element("small", {}, hostOf(fileUrl))));
      tile.classList.toggle("refused-tile", Boolean(check.refusal));
    }
    const last = this.urls.length - 1;
    tile.append(element("div", { class: "strip-actions" },
      ...(index > 0 ? [tool("previous", `${words.input_earlier}: ${number}`, () => this.#move(index, -1))] : []),
      ...(index < last ? [tool("next", `${words.input_later}: ${number}`, () => this.#move(index, 1))] : []),
      tool("close", `${words.input_remove}: ${number}`, () => this.#remove(index))));
    tile.addEventListener("dragstart", (event) => event.dataTransfer?.setData("application/x-dreamina-position", String(index)));
    return tile;
  }
}

/** @param {string} image @param {string} text @param {() => void} act */
function tool(image, text, act) {
  const node = button("", act, { "aria-label": text, title: text, tabindex: -1, class: `tool-${image}` });
  node.append(icon(image));
  return node;
}

/** @param {string} fileUrl */
function hostOf(fileUrl) {
  try {
    return new URL(fileUrl).hostname;
  } catch {
    return fileUrl;
  }
}

define("dreamina-images", ImageStrip);
