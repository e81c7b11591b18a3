/* <dreamina-form-problem> above Generate: why a request was refused. <dreamina-form-notes> below it: price and quota. */

import { element, showFrame } from "../core/dom.js";
import { say } from "../core/words.js";
import { submission } from "./generate.js";
import { terms } from "./price.js";
import { form } from "./state.js";

export class FormProblem extends HTMLElement {
  #text = element("p", { id: "press-problem", class: "problem", role: "alert" });
  #wait = element("p", { class: "counter", id: "retry-after" });
  #timer = 0;
  #show = () => this.#render();

  connectedCallback() {
    if (!this.#text.isConnected) this.append(this.#text, this.#wait);
    submission.addEventListener("change", this.#show);
    this.#render();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    submission.removeEventListener("change", this.#show);
  }

  #render() {
    if (this.#text.textContent !== submission.problem) this.#text.textContent = submission.problem;
    clearInterval(this.#timer);
    this.#countDown();
    if (submission.retryAt > Date.now()) this.#timer = window.setInterval(() => this.#countDown(), 1000);
    const isBusy = submission.running > 0;
    document.getElementById("generate")?.setAttribute("aria-busy", String(isBusy));
  }

  #countDown() {
    const seconds = Math.ceil((submission.retryAt - Date.now()) / 1000);
    this.#wait.textContent = submission.problem && seconds > 0 ? say("try_again_in", { seconds }) : "";
    showFrame(this, Boolean(submission.problem));
    if (seconds <= 0) clearInterval(this.#timer);
  }
}

export class FormNotes extends HTMLElement {
  #price = element("span", { id: "price" });
  #quota = element("span", { id: "left-today" });
  #line = element("p", { class: "counter terms" }, this.#price, this.#quota);
  #show = () => this.#render();

  connectedCallback() {
    if (!this.#line.isConnected) this.append(this.#line);
    terms.addEventListener("change", this.#show);
    form.addEventListener("change", this.#show);
    this.#render();
  }

  disconnectedCallback() {
    terms.removeEventListener("change", this.#show);
    form.removeEventListener("change", this.#show);
  }

  #render() {
    const { text, title } = terms.quotaText();
    const isStopped = Boolean(terms.quota?.stopped);
    this.#price.textContent = isStopped ? "" : terms.priceText();
    this.#quota.textContent = text;
    this.#quota.title = title;
    this.#quota.classList.toggle("stopped", isStopped);
    form.setOff(terms.isOff);
  }
}
