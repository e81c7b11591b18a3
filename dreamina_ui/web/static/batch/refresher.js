/* Asks the server again and again while something changes, and never shows an older response after a newer one. */

const CHANGED_MS = 300; // many jobs may change at once

export class Refresher {
  #load;
  #show;
  #timer = 0;
  #isRefreshing = false;
  #refreshesAgain = false;
  #isRunning = false;

  /**
   * @param {() => Promise<any>} load
   * @param {(response: any) => number} show returns after how many ms to ask again; 0 for never
   */
  constructor(load, show) {
    this.#load = load;
    this.#show = show;
  }

  start() {
    this.#isRunning = true;
    return this.refresh();
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  /** Something changed on the server. */
  soon() {
    if (!this.#isRunning) return;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.refresh(), CHANGED_MS);
  }

  /** @returns {Promise<void>} */
  async refresh() {
    if (!this.#isRunning) return;
    if (this.#isRefreshing) {
      this.#refreshesAgain = true;
      return;
    }
    this.#isRefreshing = true;
    clearTimeout(this.#timer);
    let pauseMs = 0;
    try {
      const response = await this.#load();
      // Otherwise it may be older than the response to a click.
      if (!this.#refreshesAgain && this.#isRunning) pauseMs = this.#show(response);
    } catch { /* the connection notice says that the server cannot be reached */ }
    this.#isRefreshing = false;
    if (this.#refreshesAgain) {
      this.#refreshesAgain = false;
      return this.refresh();
    }
    if (pauseMs && this.#isRunning && !document.hidden) this.#timer = window.setTimeout(() => this.refresh(), pauseMs);
  }
}
