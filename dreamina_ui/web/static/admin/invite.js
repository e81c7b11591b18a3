/* The URL of the page for others, as a text and as a QR code. */

import { button, element } from "../core/dom.js";
import { get, url } from "../core/http.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";
import { section } from "./parts.js";

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

export class Invite {
  #url = url("../").href;
  #field = element("input", { readonly: true, value: this.#url, "aria-label": words.owner_invite, dir: "ltr" });
  #code = element("div", { class: "qr-code", role: "img", "aria-label": words.owner_invite_qr });
  #isAsked = false;
  node = section(words.owner_invite, { class: "invite wide" },
    element("div", {},
      element("p", { class: "soft" }, LOOPBACK.test(location.hostname) ? words.owner_invite_local : words.owner_invite_help),
      element("div", { class: "link-row" }, this.#field, button(words.owner_invite_copy, () => this.#copy()))),
    this.#code);

  /** The code does not change. */
  show() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    get("owner/invitation", { url: this.#url }).then(({ svg }) => {
      const image = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
      if (image) this.#code.replaceChildren(image);
    }).catch(() => { this.#isAsked = false; });
  }

  async #copy() {
    this.#field.select();
    try {
      await navigator.clipboard.writeText(this.#url);
    } catch {
      document.execCommand("copy"); // a page without TLS has no clipboard
    }
    tell(words.owner_invite_copied);
  }
}
