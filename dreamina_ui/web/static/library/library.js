/* <dreamina-library>: everything that was created, in a grid with filters, and actions on many images at once. */

import { marks } from "../core/actions.js";
import { button, element, emit } from "../core/dom.js";
import { get, identity, url } from "../core/http.js";
import { jobs } from "../core/jobs.js";
import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { costsPanel } from "../costs/costs.js";
import { imageButton } from "../form/settings-from-image.js";
import { addRequest } from "./add-request.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { LibraryImages } from "./images.js";
import { Selection } from "./selection.js";

const NEWS_MS = 200; // several jobs may change at once

/** What the library shows, for the viewer. */
export const libraryImages = new LibraryImages();

export class Library extends HTMLElement {
  images = libraryImages;
  #grid = new Grid(this.images);
  #filters = new Filters();
  #selection = new Selection(this.#grid);
  #usage = element("p", { class: "usage", role: "status" });
  #usageText = "";
  #empty = element("p", { class: "empty", hidden: true }, words.library_empty);
  #more = button(words.library_more, () => this.#loadMore());
  #select = button(words.library_select, () => this.#grid.setSelecting(!this.#grid.isSelecting));
  #all = element("a", { class: "button", download: true }, words.library_zip_all);
  #nearEnd = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && this.#loadMore(), { rootMargin: "100px" });
  #shownQuery = "";
  #newsTimer = 0;

  connectedCallback() {
    if (!this.firstChild) this.#build();
    router.addEventListener("change", this.#follow);
    this.#follow();
  }

  disconnectedCallback() {
    router.removeEventListener("change", this.#follow);
  }

  #build() {
    this.append(
      this.#filters.node,
      element("div", { class: "tools" }, this.#usage, this.#select, this.#all, addRequest(() => this.reload())),
      costsPanel(), this.#selection.node, this.#empty, this.#grid.node, this.#more,
      element("p", { class: "hint" }, imageButton(), " ", words.drop_here),
    );
    this.#more.hidden = true;
    this.#filters.addEventListener("change", () => {
      router.go({ query: this.#filters.urlQuery }, { replace: true });
      if (this.#shownQuery !== this.#queryText) this.reload();
    });
    this.images.addEventListener("change", () => this.#show());
    this.#grid.addEventListener("open", (event) => {
      emit(this, "open-image", { source: this.images, id: /** @type {CustomEvent} */ (event).detail });
    });
    this.#grid.addEventListener("choice", () => {
      this.#select.textContent = this.#grid.isSelecting ? words.library_done : words.library_select;
    });
    jobs.addEventListener("change", (event) => this.#takeNews(/** @type {CustomEvent} */ (event).detail));
    marks.addEventListener("change", (event) => this.#takeMarks(/** @type {CustomEvent} */ (event).detail));
  }

  get #queryText() {
    return JSON.stringify(this.#filters.urlQuery);
  }

  // The URL leads to the library, or to other filters than before.
  #follow = () => {
    const { tab, query } = router.state;
    if (tab !== "library") {
      this.#shownQuery = "";
      return;
    }
    // Another tab was in between: its URL has no filters, but they are still set.
    const isBack = !this.#shownQuery && this.#filters.areSet && !Object.keys(query).length;
    if (isBack) router.go({ query: this.#filters.urlQuery }, { replace: true });
    else this.#filters.urlQuery = query;
    if (this.#shownQuery !== this.#queryText) this.reload();
  };

  /** Load the library anew. @returns {Promise<void>} */
  async reload() {
    this.#shownQuery = this.#queryText;
    const query = this.#filters.query;
    this.#all.href = url("library/zip", { ...query, visitor: identity() }).href;
    this.#loadUsage();
    await this.images.load(query).catch(() => tell(words.library_failed));
  }

  async #loadMore() {
    if (!this.images.hasMore) return;
    this.#more.disabled = true;
    await this.images.more().catch(() => tell(words.library_failed));
    this.#more.disabled = false;
  }

  #show() {
    this.#more.hidden = !this.images.hasMore;
    this.#empty.hidden = this.images.length > 0;
    this.#showUsage();
    // It reports changes only: restarted, it also reports a button that is still in view.
    this.#nearEnd.disconnect();
    this.#nearEnd.observe(this.#more);
  }

  async #loadUsage() {
    const usage = await get("library/usage").catch(() => null);
    if (!usage) return; // loading the entries reports the failure
    const parts = [say("library_usage", usage)];
    if (usage.removed_by_limit) parts.push(say("library_removed", { count: usage.removed_by_limit }));
    this.#usageText = parts.join(" · ");
    this.#showUsage();
  }

  // The count is that of what is shown.
  #showUsage() {
    this.#usage.textContent = this.#filters.areSet ? say("library_count", { count: this.images.count }) : this.#usageText;
  }

  // A job that is shown changed, or another one has brought something.
  /** @param {{job: import("../core/types.js").Job, before: import("../core/types.js").Job | null}} change */
  #takeNews({ job, before }) {
    if (!this.images.isLoaded || router.state.tab !== "library") return;
    const items = Array.from({ length: this.images.length }, (_, index) => this.images.at(index));
    const shown = items.find((item) => item?.job_id === job.job_id);
    const isShownOtherwise = shown && (shown.state !== job.state || job.put_aside !== this.#filters.archived.input.checked);
    const hasChanged = before && (before.state !== job.state || before.put_aside !== job.put_aside);
    if (!isShownOtherwise && !hasChanged) return;
    clearTimeout(this.#newsTimer);
    this.#newsTimer = window.setTimeout(() => this.images.refresh().catch(() => {}), NEWS_MS); // the next news asks again
  }

  /** @param {{files: string[], favourite?: boolean, deleted?: boolean}} change */
  #takeMarks({ files, favourite, deleted }) {
    if (!this.images.isLoaded) return;
    if (favourite !== undefined) this.images.markFavorites(files, favourite);
    else if (deleted) this.images.leaveOut(files);
    else this.images.refresh().catch(() => tell(words.library_failed));
    if (deleted !== undefined) this.#loadUsage();
  }

  /** Where the keyboard goes when the viewer is closed. @param {string} id @returns {boolean} whether the image is shown */
  focusImage(id) {
    return this.#grid.focus(id);
  }

  focusSearch() {
    this.#filters.search.input.focus();
  }
}
