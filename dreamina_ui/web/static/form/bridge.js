/* <dreamina-form-bridge>: invisible; Gradio's component gives it functions that start listeners of Gradio. */

import { router } from "../core/router.js";
import { form } from "./state.js";

/** @typedef {import("./state.js").Bridge} Bridge */

export class FormBridge extends HTMLElement {
  /** @type {Bridge | undefined} */
  #gradio;

  // Gradio may set the property before this class is known.
  connectedCallback() {
    const given = Object.getOwnPropertyDescriptor(this, "gradio")?.value;
    if (given) {
      delete (/** @type {any} */ (this)).gradio;
      this.gradio = given;
    }
  }

  get gradio() {
    return this.#gradio;
  }

  set gradio(bridge) {
    this.#gradio = bridge;
    if (!bridge) return;
    form.connect(bridge);
    const show = () => form.showTab();
    router.addEventListener("change", show);
    if (router.state.tab !== "create") show();
  }
}
