/* A job as the stage, the feed and a slim row show it: its images, its prompt, how far it is, and what can be done. */

import { button, element, emit, icon, putInOrder } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { imagesOf } from "../core/images.js";
import { jobs } from "../core/jobs.js";
import { costOf, duration, say, shorten, words } from "../core/words.js";
import { itemButton, jobItems } from "./job-menu.js";
import { menuButton } from "./menu.js";
import { isSlim, tilesOf, ratioOf } from "./order.js";
import { problemButtons } from "./problem.js";
import { createGap, createSkeleton, createTile, updateGap, updateTile } from "./tile.js";

/** @typedef {import("../core/types.js").Job} Job */
/** @typedef {{name: "stage" | "feed", tag: "article" | "li", buttons: number, isEager: boolean}} Layout */

/** @type {Layout} */
export const ON_STAGE = { name: "stage", tag: "article", buttons: 4, isEager: true };
/** @type {Layout} */
export const IN_FEED = { name: "feed", tag: "li", buttons: 0, isEager: false };

const SIZES = { stage: "(max-width: 700px) 100vw, 70vw", half: "(max-width: 700px) 50vw, 35vw", feed: "auto, (max-width: 700px) 50vw, 260px" };

export class JobView {
  #layout;
  /** @type {Job} */
  job;
  #parts;
  #acts = ""; // what the actions were made for

  /**
   * @param {Job} job
   * @param {Layout} layout
   */
  constructor(job, layout) {
    this.#layout = layout;
    this.job = job;
    this.node = element(layout.tag, { class: "job", "data-job-id": job.job_id, "data-layout": layout.name });
    this.#parts = createParts(this.node, job);
    this.update(job);
  }

  get outputs() {
    return this.#parts.outputs;
  }

  /** @param {Job} job */
  update(job) {
    this.job = job;
    const parts = this.#parts;
    this.node.dataset.state = job.state;
    this.node.classList.toggle("slim", isSlim(job));
    parts.prompt.textContent = job.prompt;
    parts.settings.textContent = [job.model, job.settings].filter(Boolean).join(" · ");
    parts.stateText.textContent = job.state_text;
    parts.message.textContent = job.refusal || job.message;
    parts.message.hidden = !parts.message.textContent;
    parts.facts.textContent = [costOf(job), job.own_key && words.own_key_job].filter(Boolean).join(" · ");
    parts.progress.hidden = !job.active;
    this.#fillFold();
    this.#fillGiven();
    this.#fillOutputs();
    this.#fillActions();
    this.tick();
  }

  #fillFold() {
    const { fold, detail, request } = this.#parts;
    const isShown = this.job.active ? this.job.message : this.job.state !== "done";
    detail.textContent = this.job.detail;
    request.textContent = this.job.request_id ? say("request_id", this.job) : "";
    fold.hidden = !isShown || !(this.job.detail || this.job.request_id);
  }

  #fillGiven() {
    const { given } = this.#parts;
    const now = this.job.given.join();
    if (given.dataset.now === now) return;
    given.dataset.now = now;
    given.hidden = !this.job.given.length;
    given.replaceChildren(...this.job.given.map((path, index) => {
      const image = element("img", { src: url(path, { visitor: identity() }).href, alt: say("input_alt", { number: index + 1 }), loading: "lazy" });
      image.addEventListener("error", () => image.parentElement?.remove()); // it is gone, or another visitor's
      return element("li", {}, image);
    }));
  }

  #fillOutputs() {
    const { outputs } = this.#parts;
    const items = new Map(imagesOf(this.job).map((item) => [item.index, item]));
    const shown = tilesOf(this.job);
    const sizes = this.#layout.name === "feed" ? SIZES.feed : shown.length > 1 ? SIZES.half : SIZES.stage;
    outputs.style.setProperty("--ratio", String(ratioOf(this.job)));
    this.node.style.setProperty("--ratios", String(ratioOf(this.job) * Math.max(1, shown.length)));
    this.node.style.setProperty("--count", String(shown.length));
    const old = new Map([...outputs.children].map((node) => [keyOf(/** @type {HTMLElement} */ (node)), node]));
    const nodes = shown.map(({ index, output }) => {
      const item = items.get(index);
      const known = old.get(item ? `${index} ${item.file_key}` : `${index} ${output?.state ?? "skeleton"}`);
      if (known && item) updateTile(/** @type {HTMLElement} */ (known), item);
      if (known && !item && output) updateGap(/** @type {HTMLElement} */ (known), output);
      if (known) return known;
      if (item) return createTile(item, { sizes, isEager: this.#layout.isEager });
      return output ? createGap(output) : createSkeleton(index);
    });
    putInOrder(outputs, nodes);
  }

  // The buttons stay as they are while nothing about them changes: a click or the focus must not be lost.
  #fillActions() {
    const { job } = this;
    const { cancel, actions } = this.#parts;
    cancel.hidden = !job.can_cancel;
    cancel.disabled = job.cancelling;
    cancel.textContent = job.cancelling ? words.cancelling : words.cancel;
    const state = [job.state, job.active, job.action, job.is_unclear, job.outputs.map((output) => output.file_key)].join();
    if (state === this.#acts) return;
    this.#acts = state;
    const image = () => this.currentImage();
    const items = job.active ? [] : jobItems(this.node, job, image());
    const visible = isSlim(job) ? items.filter(({ name }) => name === "archive") : items.slice(0, this.#layout.buttons);
    const rest = () => jobItems(this.node, this.job, image()).filter(({ name }) => !visible.some((item) => item.name === name));
    const menu = items.length > visible.length ? [menuButton(words.more_actions, rest)] : [];
    actions.replaceChildren(cancel, ...problemButtons(this.node, job), ...visible.map(itemButton), ...menu);
  }

  /** The image that an action for one image is meant for. */
  currentImage() {
    const items = imagesOf(this.job);
    const focused = document.activeElement?.closest(".tile");
    const index = focused && this.node.contains(focused) ? Number(/** @type {HTMLElement} */ (focused).dataset.index) : -1;
    return items.find((item) => item.index === index) ?? items[0];
  }

  /** A second has passed. */
  tick() {
    const { job } = this;
    const { elapsed, left, progress } = this.#parts;
    const seconds = jobs.elapsed(job);
    const isTimed = job.active || job.state === "done";
    elapsed.textContent = isTimed ? ` · ${duration(seconds, seconds < 10 && !job.active ? 1 : 0)}` : "";
    if (!job.active) return;
    const part = jobs.progress(job);
    if (part === null) progress.removeAttribute("value");
    else progress.value = part;
    progress.style.setProperty("--done", String(part ?? 0));
    const rest = part === null ? 0 : (1 - part) * (job.expected_s ?? 0);
    left.textContent = job.state === "running" && rest >= 1 ? ` · ${say("time_left", { time: duration(rest) })}` : "";
  }
}

/** @param {HTMLElement} tile */
function keyOf(tile) {
  return `${tile.dataset.index} ${tile.dataset.file ?? tile.dataset.state}`;
}

/**
 * @param {HTMLElement} node
 * @param {Job} job
 */
function createParts(node, job) {
  const outputs = element("div", { class: "outputs" });
  const prompt = element("p", { class: "prompt", dir: "auto" });
  const [stateText, elapsed, left] = ["state-text", "elapsed", "left"].map((name) => element("span", { class: name }));
  const settings = element("span", { class: "settings" });
  const facts = element("span", { class: "facts" });
  const state = element("p", { class: "state" }, stateText, elapsed, left);
  const progress = element("progress", { max: 1, "aria-label": say("progress", { prompt: shorten(job.prompt) }) });
  const message = element("p", { class: "message" });
  const detail = element("p", { class: "detail", lang: "en" });
  const request = element("p", { class: "request" });
  const fold = element("details", { class: "fold" }, element("summary", {}, words.fold_details), detail, request);
  const given = element("ul", { class: "given", "aria-label": words.given, hidden: true });
  const cancel = button(words.cancel, () => emit(node, "job-action", { action: "cancel", job_id: job.job_id }), { class: "cancel" });
  const actions = element("div", { class: "actions" });
  const meta = element("div", { class: "meta" }, state, settings, facts);
  const title = element("div", { class: "title" }, prompt, expander(prompt));
  node.append(outputs, element("div", { class: "about" }, title, progress, meta, message, given, fold), actions);
  return { outputs, prompt, stateText, elapsed, left, settings, facts, progress, message, detail, request, fold, given, cancel, actions };
}

/**
 * A prompt is one line; a button shows the rest where there is more.
 * @param {HTMLElement} prompt
 */
function expander(prompt) {
  const toggle = button("", () => {
    const isOpen = prompt.toggleAttribute("data-open");
    toggle.setAttribute("aria-expanded", String(isOpen));
    toggle.setAttribute("aria-label", isOpen ? words.hide_prompt : words.show_prompt);
    toggle.title = isOpen ? words.hide_prompt : words.show_prompt;
  }, { class: "expand", "aria-expanded": "false", "aria-label": words.show_prompt, title: words.show_prompt, hidden: true });
  toggle.append(icon("down"));
  new ResizeObserver(() => {
    if (!prompt.hasAttribute("data-open")) toggle.hidden = prompt.scrollWidth <= prompt.clientWidth + 1;
  }).observe(prompt);
  return toggle;
}
