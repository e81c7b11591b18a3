/* <dreamina-feed>: the jobs before the newest one, as justified rows under headings of days. */

import { element, putInOrder } from "../core/dom.js";
import { language } from "../core/facts.js";
import { jobs } from "../core/jobs.js";
import { press } from "../core/press.js";
import { words } from "../core/words.js";
import { openTile } from "../stage/stage.js";
import { JobList } from "./job-list.js";
import { arrange, byDay, dayLabel } from "./order.js";
import { Roving } from "./roving.js";

export class Feed extends HTMLElement {
  #empty = element("p", { class: "empty", hidden: true }, words.no_jobs);
  #days = element("div", { class: "feed", role: "region", "aria-label": words.older_jobs });
  #roving = new Roving(this.#days);
  /** @type {Map<string, {node: HTMLElement, heading: HTMLElement, list: JobList}>} */
  #sections = new Map();
  #show = press.after(() => this.#update());
  #timer = 0;

  connectedCallback() {
    if (!this.#days.isConnected) this.append(this.#empty, this.#days);
    this.addEventListener("open-tile", openTile);
    jobs.addEventListener("settled", this.#show);
    this.#timer = window.setInterval(() => this.#sections.forEach(({ list }) => list.tick()), 1000);
    this.#update();
  }

  disconnectedCallback() {
    jobs.removeEventListener("settled", this.#show);
    clearInterval(this.#timer);
  }

  #update() {
    if (!jobs.isLoaded) return;
    const list = jobs.list();
    this.#empty.hidden = list.length > 0;
    const days = byDay(arrange(list).older);
    this.#days.hidden = !days.length;
    const before = this.#sections;
    this.#sections = new Map(days.map(({ day }) => [day, before.get(day) ?? createSection()]));
    const now = Date.now() / 1000;
    for (const { day, at, jobs: older } of days) {
      const section = this.#sections.get(day);
      if (!section) continue;
      section.heading.textContent = dayLabel(at, now, language);
      section.list.show(older);
    }
    putInOrder(this.#days, [...this.#sections.values()].map(({ node }) => node));
    this.#roving.refresh();
  }
}

function createSection() {
  const [heading, list] = [element("h2", { class: "day" }), new JobList()];
  return { node: element("section", {}, heading, list.node), heading, list };
}
