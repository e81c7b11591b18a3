/* <dreamina-stage>: the newest job fills the column; above it, what has failed since. */

import { element, emit, showFrame } from "../core/dom.js";
import { imageLists } from "../core/image-lists.js";
import { imagesOfAll } from "../core/images.js";
import { jobs } from "../core/jobs.js";
import { press } from "../core/press.js";
import { words } from "../core/words.js";
import { JobView, ON_STAGE } from "../feed/job-view.js";
import { JobList } from "../feed/job-list.js";
import { arrange, tilesOf, ratioOf } from "../feed/order.js";
import { Roving } from "../feed/roving.js";
import { stageGrid } from "./layout.js";

const GAP = 4;
// Of the window's height: four squares beside the form then cover 40 % of 1440 x 900; a phone has less room.
const [MAX_HEIGHT, MAX_HEIGHT_NARROW] = [0.81, 0.72];
const MIN_PART = 0.7; // of it, below jobs that failed since
const NARROW_PX = 900;

const images = imagesOfAll(jobs);
imageLists.add("create", images);

export class Stage extends HTMLElement {
  #newer = new JobList();
  #home = element("section", { class: "stage", "aria-label": words.newest_job, hidden: true });
  #roving = new Roving(this.#home);
  /** @type {JobView | null} */
  #view = null;
  #show = press.after(() => this.#update());
  #fit = () => this.#layOut();
  #observer = new ResizeObserver(this.#fit);
  #timer = 0;

  connectedCallback() {
    if (!this.#home.isConnected) this.append(this.#newer.node, this.#home);
    this.addEventListener("open-tile", openTile);
    jobs.addEventListener("settled", this.#show);
    window.addEventListener("resize", this.#fit);
    this.#observer.observe(this);
    this.#timer = window.setInterval(() => this.#view?.tick(), 1000);
    this.#update();
  }

  disconnectedCallback() {
    jobs.removeEventListener("settled", this.#show);
    window.removeEventListener("resize", this.#fit);
    this.#observer.disconnect();
    clearInterval(this.#timer);
  }

  #update() {
    const { newer, stage } = arrange(jobs.list());
    this.#newer.show(newer);
    this.#home.hidden = !stage;
    showFrame(this, Boolean(stage) || newer.length > 0);
    if (!stage) {
      this.#view = null;
      this.#home.replaceChildren();
      return;
    }
    if (this.#view?.job.job_id === stage.job_id) this.#view.update(stage);
    else this.#change(new JobView(stage, ON_STAGE));
    this.#layOut();
    this.#roving.refresh();
  }

  /** @param {JobView} view */
  #change(view) {
    const isNews = this.#view !== null && view.job.active;
    this.#view = view;
    this.#home.replaceChildren(view.node);
    // A new job begins: whoever has scrolled to older ones is led to it.
    if (isNews && this.#home.getBoundingClientRect().top < 0) this.#home.scrollIntoView({ block: "start" });
  }

  #layOut() {
    if (!this.#view || !this.clientWidth) return;
    const count = tilesOf(this.#view.job).length;
    const maxHeight = window.innerHeight * (window.innerWidth < NARROW_PX ? MAX_HEIGHT_NARROW : MAX_HEIGHT);
    const height = Math.max(maxHeight - this.#newer.node.offsetHeight, maxHeight * MIN_PART); // the actions stay in sight
    const { columns, rows, lead } = stageGrid(count, ratioOf(this.#view.job), this.clientWidth, height, GAP);
    const { outputs } = this.#view;
    outputs.style.gridTemplate = `${tracks(rows)} / ${tracks(columns)}`;
    outputs.dataset.lead = lead;
    const total = columns.reduce((sum, length) => sum + length, 0);
    outputs.querySelectorAll("img").forEach((image, index) => {
      const isLarge = lead === "wide" && image.closest(".tile") === outputs.firstElementChild;
      image.sizes = `${Math.ceil(isLarge ? total : columns[index % columns.length])}px`; // loads no more than it shows
    });
  }
}

/** @param {number[]} lengths */
function tracks(lengths) {
  return lengths.map((length) => `${Math.floor(length * 100) / 100}px`).join(" ");
}

/** @param {Event} event */
export function openTile(event) {
  if (event.target instanceof Element) emit(event.target, "open-image", { source: images, id: /** @type {CustomEvent} */ (event).detail.id });
}
