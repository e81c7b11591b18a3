/* The viewer's top line: where one is, and what one can do with the image. */

import { button, element, icon } from "../core/dom.js";
import { language } from "../core/facts.js";
import { isOffered } from "../core/offers.js";
import { number, say, words } from "../core/words.js";

/** @typedef {import("../core/types.js").ImageItem} ImageItem */
/** @typedef {"star" | "restore" | "compare" | "beside" | "download" | "board" | "share" | "info" | "close"} Tool */

export class Bar {
  /** @type {string | undefined} what was shown last */
  alt;

  /** @param {(tool: Tool) => void} onTool */
  constructor(onTool) {
    this.onTool = onTool;
    this.shown = element("span", { "aria-hidden": "true" });
    this.spoken = element("span", { class: "sr-only" });
    this.heading = element("h2", { class: "position", tabindex: "-1" }, this.shown, this.spoken);
    this.live = element("p", { class: "sr-only", role: "status" });
    this.tools = {
      star: this._tool("star", "star", words.favourite),
      restore: this._tool("restore", "reuse", words.bring_back),
      compare: this._tool("compare", "compare", words.compare),
      beside: this._tool("beside", "beside", words.compare_beside),
      download: this._tool("download", "download", words.download),
      board: this._tool("board", "board", words.board_put),
      share: this._tool("share", "share", words.key_share),
      info: this._tool("info", "info", words.viewer_info),
      close: this._tool("close", "close", words.close),
    };
    this.node = element("div", { class: "bar" }, this.heading, this.live, element("div", { class: "tools" }, ...Object.values(this.tools)));
  }

  /** @param {Tool} tool @param {string} image @param {string} text */
  _tool(tool, image, text) {
    const node = button("", () => this.onTool(tool), { class: `tool tool-${tool}`, "aria-label": text, title: text });
    node.append(icon(image));
    return node;
  }

  /** Where one is: `3 / 24 · 100 %`.
   * @param {number} index @param {number} count @param {number} scale screen pixels per pixel of the image; 0 where there is none @param {string} alt */
  showPosition(index, count, scale, alt) {
    const percent = scale.toLocaleString(language, { style: "percent" });
    const parts = [`${number(index + 1)} / ${number(count)}`, ...(scale ? [`· ${percent}`] : [])];
    this.shown.replaceChildren(...parts.flatMap((part) => [element("span", {}, part), " "]));
    const spoken = say("viewer_position", { index: index + 1, count, percent });
    this.spoken.textContent = spoken;
    if (this.alt !== alt) {
      this.live.textContent = this.alt === undefined ? "" : `${alt}. ${number(index + 1)} / ${number(count)}`;
      this.alt = alt;
    }
  }

  /** @param {number} scale */
  showComparison(scale) {
    const percent = scale.toLocaleString(language, { style: "percent" });
    this.shown.textContent = `${words.compare_title} · ${percent}`;
    this.spoken.textContent = this.shown.textContent;
  }

  /** @param {ImageItem | null} item null in a comparison @param {{canCompare: boolean, isBeside: boolean, hasPair: boolean, hasInfo: boolean}} state */
  showTools(item, { canCompare, isBeside, hasPair, hasInfo }) {
    const { tools } = this;
    const isStored = Boolean(item?.original);
    for (const tool of /** @type {Tool[]} */ (["star", "restore", "board", "download", "share"])) {
      tools[tool].hidden = !item || !isStored || !isOffered(tool, item);
    }
    tools.star.setAttribute("aria-pressed", String(Boolean(item?.is_favorite)));
    tools.star.setAttribute("aria-label", item?.is_favorite ? words.unfavourite : words.favourite);
    tools.compare.hidden = item !== null && !(canCompare && item.kind === "image");
    tools.compare.setAttribute("aria-pressed", String(item === null));
    tools.beside.hidden = !hasPair;
    tools.beside.setAttribute("aria-pressed", String(isBeside));
    tools.info.hidden = item === null;
    tools.info.setAttribute("aria-expanded", String(hasInfo));
  }
}
