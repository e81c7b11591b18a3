/* The library: everything that was made, by days. */

import { costsPanel } from "../costs/costs.js";
import { marks } from "../core/actions.js";
import { boards } from "../core/boards.js";
import { button, element, emit } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { get, identity, url } from "../core/http.js";
import { imageLists } from "../core/image-lists.js";
import { jobs } from "../core/jobs.js";
import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { imageButton } from "../form/settings-from-image.js";
import { addRequest } from "./add-request.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { LibraryImages } from "./images.js";
import { News } from "./news.js";
import { Selection } from "./selection.js";
import { sizeSlider } from "./size-slider.js";

const libraryImages = new LibraryImages();
imageLists.add("library", libraryImages);
let wantsSearch = false; // its key was pressed before Gradio showed the tab

for (const store of [jobs, marks]) store.addEventListener("change", () => libraryImages.dropPrepared());

/** Request the first images: somebody is about to open the library. */
export function prepareLibrary() {
  libraryImages.prepare({ language });
}

/** Lead to the library's search, as soon as it is in sight. */
export function focusLibrarySearch() {
  wantsSearch = true;
  const node = document.querySelector("dreamina-library");
  if (node instanceof Library) node.focusSearch();
}

export class Library extends HTMLElement {
  images = libraryImages;
  #grid = new Grid(this.images);
  #filters = new Filters();
  #selection = new Selection(this.#grid.chosen);
  #usage = element("p", { class: "usage", role: "status" });
  #usageText = "";
  #empty = element("p", { class: "empty", hidden: true });
  #trash = element("p", { class: "trash-note", hidden: true }, say("library_trash_about", { count: Math.round(facts.undo_s / 60) }));
  #more = button(words.library_more, () => this.#loadMore(), { class: "more", hidden: true });
  #select = button(words.library_select, () => this.#grid.chosen.setActive(!this.#grid.chosen.isActive), { class: "select" });
  #toggle = button(words.library_filters, () => this.#showFilters(this.#toggle.getAttribute("aria-expanded") !== "true"), { class: "filter-toggle", "aria-expanded": "false" });
  #all = element("a", { class: "button zip", download: true }, words.library_zip_all);
  #sheet = button(words.library_sheet, () => this.#saveSheet());
  #nearEnd = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && this.#loadMore(), { rootMargin: "1500px" });
  #news = new News(this.images, () => this.#filters.rail.view, () => this.isShown);
  #seen = new ResizeObserver(() => this.focusSearch());
  #shownQuery = "";
  #loadedQuery = "";
  #shownView = "";

  connectedCallback() {
    if (!this.firstChild) this.#build();
    router.addEventListener("change", this.#follow);
    this.#follow();
    this.#seen.observe(this);
  }

  disconnectedCallback() {
    router.removeEventListener("change", this.#follow);
    this.#seen.disconnect();
  }

  get isShown() {
    return this.images.isLoaded && router.state.tab === "library";
  }

  #build() {
    const { sort, whose } = this.#filters.choices;
    this.append(
      this.#filters.rail.node, this.#toggle, this.#select, this.#filters.node,
      element("div", { class: "tools" }, this.#usage, whose.label, sort.label, sizeSlider((pixels) => this.#grid.setRowHeight(pixels)), this.#all,
        this.#sheet),
      element("div", { class: "folds" }, costsPanel(), addRequest(() => this.reload()),
        button(words.shares, () => emit(this, "list-shares"), { class: "quiet" }),
        button(words.history, () => emit(this, "show-history"), { class: "quiet" })),
      element("div", { class: "content" }, this.#selection.node, this.#trash, this.#empty, this.#grid.node, this.#more,
        element("p", { class: "hint" }, imageButton(), " ", element("span", { class: "with-mouse" }, words.drop_here))),
    );
    this.#filters.addEventListener("change", () => {
      router.go({ query: this.#filters.urlQuery }, { replace: true });
      if (this.#shownQuery !== this.#queryText) this.reload();
    });
    this.images.addEventListener("change", () => this.#show());
    this.images.addEventListener("count", () => this.#showUsage());
    this.images.addEventListener("leave", (event) => this.#grid.focus(/** @type {CustomEvent} */ (event).detail));
    this.#grid.addEventListener("open", (event) => {
      emit(this, "open-image", { source: this.images, id: /** @type {CustomEvent} */ (event).detail });
    });
    this.#grid.chosen.addEventListener("change", () => {
      const { isActive } = this.#grid.chosen;
      this.#select.textContent = isActive ? words.library_done : words.library_select;
      this.toggleAttribute("data-selecting", isActive);
    });
    jobs.addEventListener("change", (event) => this.#news.takeJob(/** @type {CustomEvent} */ (event).detail));
    boards.addEventListener("change", () => this.#filters.rail.board && this.isShown && this.images.refresh().catch(() => {}));
    marks.addEventListener("change", (event) => this.#takeMarks(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {boolean} areShown on a phone, where there is no room for them otherwise */
  #showFilters(areShown) {
    this.#toggle.setAttribute("aria-expanded", String(areShown));
    this.toggleAttribute("data-filters", areShown);
  }

  get #queryText() {
    return JSON.stringify(this.#filters.urlQuery);
  }

  // The URL leads to the library, or to other filters than before.
  #follow = () => {
    const { tab, query } = router.state;
    if (tab !== "library") {
      wantsSearch = false;
      this.#shownQuery = "";
      return;
    }
    // Another tab was in between: its URL has no filters, but they are still set.
    const set = this.#filters.urlQuery;
    const isBack = !this.#shownQuery && Object.keys(set).length && !Object.keys(query).length;
    if (isBack) router.go({ query: set }, { replace: true });
    else this.#filters.urlQuery = query;
    if (this.#shownQuery !== this.#queryText) this.reload();
  };

  /** Load what the filters ask for; what is loaded already stays where it is. @returns {Promise<void>} */
  async reload() {
    this.#shownQuery = this.#queryText;
    const { query } = this.#filters;
    const { view } = this.#filters.rail;
    const isTrash = view === "trash";
    if (!boards.isLoaded) boards.load();
    if (isTrash !== (this.#shownView === "trash")) this.#grid.chosen.setActive(false); // deleted images and others do not mix
    this.#shownView = view;
    this.#selection.setPart(isTrash, this.#filters.rail.board);
    this.#trash.hidden = !isTrash;
    this.#all.href = url("library/zip", { ...query, visitor: identity() }).href;
    const isLoaded = this.images.isLoaded && this.#loadedQuery === this.#shownQuery;
    this.#loadedQuery = this.#shownQuery;
    await (isLoaded ? this.images.refresh() : this.images.load(query)).catch(() => tell(words.library_failed));
    this.#loadUsage(); // later, as images are what people wait for
  }

  async #saveSheet() {
    const { saveContactSheet } = await import("./contact-sheet.js");
    saveContactSheet(this.images.items);
  }

  async #loadMore() {
    if (!this.images.hasMore) return;
    this.#more.disabled = true;
    await this.images.more().catch(() => tell(words.library_failed));
    this.#more.disabled = false;
  }

  #show() {
    this.#more.hidden = !this.images.hasMore;
    const isEmpty = this.images.length === 0;
    this.#empty.hidden = !isEmpty;
    this.#empty.textContent = this.#filters.areSet ? words.library_empty : this.#filters.showAll ? words.library_none : words.library_nothing_here;
    this.#all.hidden = isEmpty || this.#shownView === "trash";
    this.#sheet.hidden = this.#select.hidden = isEmpty;
    this.#filters.choices.whose.label.hidden = !this.images.seesOthers;
    this.#toggle.toggleAttribute("data-set", this.#filters.areSet);
    this.#showUsage();
    // It reports changes only: restarted, it also reports a button that is still in view.
    this.#nearEnd.disconnect();
    this.#nearEnd.observe(this.#more);
  }

  async #loadUsage() {
    const usage = await get("library/usage", { whose: this.#filters.query.whose }).catch(() => null);
    if (!usage) return; // loading the entries reports the failure
    const parts = [say("library_usage", usage)];
    if (usage.removed_by_limit) parts.push(say("library_removed", { count: usage.removed_by_limit }));
    this.#usageText = parts.join(" · ");
    this.#showUsage();
  }

  // The count is that of what is shown.
  #showUsage() {
    this.#usage.textContent = this.#filters.showAll ? this.#usageText : say("library_count", { count: this.images.count });
  }

  /** @param {{files: string[], favourite?: boolean, deleted?: boolean, rating?: number}} change */
  #takeMarks({ files, favourite, deleted, rating }) {
    if (!this.images.isLoaded) return;
    const isTrash = this.#shownView === "trash";
    if (rating !== undefined) this.images.rate(files, rating);
    else if (favourite !== undefined) this.images.markFavorites(files, favourite);
    else if (deleted !== isTrash) this.images.leaveOut(files);
    else this.images.refresh().catch(() => tell(words.library_failed));
    if (deleted !== undefined) this.#loadUsage();
  }

  focusSearch() {
    if (!wantsSearch || !this.checkVisibility()) return;
    wantsSearch = false;
    this.#showFilters(true);
    this.#filters.search.focus();
  }
}
