/* What can be done with several chosen images. */

import { mark, remove } from "../core/actions.js";
import { button, element, emit } from "../core/dom.js";
import { identity, url } from "../core/http.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";

/** @typedef {import("./grid.js").Grid} Grid */

const MAX_COMPARED = 4;

export class Selection {
  /** @param {Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.count = element("span", { role: "status" });
    this.node = element("div", { class: "selection", role: "toolbar", "aria-label": words.library_select, hidden: true },
      this.count,
      button(words.library_zip, () => this.#download()),
      button(words.compare, () => this.#compare()),
      button(words.favourite, () => mark(this.#keys, "favourite", true)),
      button(words.delete, () => this.#delete()),
    );
    grid.addEventListener("choice", () => this.#show());
  }

  get #keys() {
    return [...this.grid.chosen.keys()];
  }

  #show() {
    this.node.hidden = !this.grid.isSelecting;
    this.count.textContent = say("library_selected", { count: this.grid.chosen.size });
  }

  #download() {
    if (!this.grid.chosen.size) return;
    const action = url("library/zip", { visitor: identity() }).href;
    const form = element("form", { method: "post", action, hidden: true }, element("input", { name: "files", value: this.#keys.join(",") }));
    document.body.append(form);
    form.submit();
    form.remove();
  }

  #compare() {
    const items = [...this.grid.chosen.values()];
    const areImages = items.every(({ kind }) => kind === "image");
    if (!areImages || items.length < 2 || items.length > MAX_COMPARED) return tell(words.compare_few);
    emit(this.node, "compare-images", { source: this.grid.images, items });
  }

  async #delete() {
    const keys = this.#keys;
    if (!(await remove(keys))) return;
    keys.forEach((key) => this.grid.chosen.delete(key));
    this.#show();
  }
}
