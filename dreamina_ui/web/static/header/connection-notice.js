/* <dreamina-connection>: at the top of the window, that the server is away, or that the visitor is signed out. */

import { connection } from "../core/connection.js";
import { element } from "../core/dom.js";
import { url } from "../core/http.js";
import { words } from "../core/words.js";

export class ConnectionNotice extends HTMLElement {
  #offline = element("div", { id: "connection", role: "status", hidden: true }, words.offline);
  #signedOut = element("div", { id: "signed-out", role: "alert" });
  #show = () => this.#render();

  connectedCallback() {
    if (!this.#offline.isConnected) this.append(this.#offline);
    connection.addEventListener("change", this.#show);
    this.#render();
  }

  disconnectedCallback() {
    connection.removeEventListener("change", this.#show);
  }

  #render() {
    this.#offline.hidden = !connection.isOffline;
    document.body.toggleAttribute("data-notice", connection.isOffline || connection.isSignedOut);
    if (connection.isSignedOut === this.#signedOut.isConnected) return;
    if (!connection.isSignedOut) return this.#signedOut.remove();
    this.#signedOut.replaceChildren(`${words.signed_out} `, element("a", { href: url("sign-in") }, words.sign_in_again));
    this.append(this.#signedOut);
  }
}
