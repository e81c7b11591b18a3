/* The row of small images in the viewer: those of one job, or the choice of what to compare. */

import { element } from "../core/dom.js";
import { words } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */

export class Strip {
  /** @param {(item: ImageItem) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.list = element("ul", {});
    this.node = element("nav", { class: "strip", "aria-label": words.viewer_siblings, hidden: true }, this.list);
    this.key = "";
  }

  /** @param {ImageItem[]} items @param {string[]} chosen the ids of what is shown @param {boolean} isChoice whether each is switched on and off */
  show(items, chosen, isChoice = false) {
    this.node.hidden = items.length < 2;
    const key = JSON.stringify([isChoice, items.map(({ id }) => id)]);
    if (key !== this.key) {
      this.key = key;
      this.list.replaceChildren(...items.map((item) => element("li", {}, this._button(item))));
    }
    [...this.list.querySelectorAll("button")].forEach((node, index) => {
      const isShown = chosen.includes(items[index].id);
      node.classList.toggle("shown", isShown);
      if (isChoice) node.setAttribute("aria-pressed", String(isShown));
      else if (isShown) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
      if (isShown && !isChoice && !this.node.hidden) node.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  /** @param {ImageItem} item */
  _button(item) {
    const node = element("button", { type: "button", "aria-label": item.alt, title: item.alt });
    if (item.kind === "image" && item.thumbnail) node.append(element("img", { src: item.thumbnail, alt: "" }));
    else node.append(element("span", {}, item.kind === "video" ? "▶" : "…"));
    node.addEventListener("click", () => this.onChoose(item));
    return node;
  }
}
