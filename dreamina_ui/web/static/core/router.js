/* The page's URL is its state: tab, filters and open image survive a reload, and Back closes what was opened. */

import { readRoute, writeRoute } from "./route.js";

/** @typedef {import("./route.js").Route} Route */

const MAX_BACK_MS = 1000; // in case that Back leads nowhere

/** Event: `change`, when the route is another one, whoever changed it. */
class Router extends EventTarget {
  /** @type {Route} */
  state = readRoute(location.hash) ?? { tab: "create", image: null, query: {} };
  /** @type {(() => void)[] | null} what was asked for while Back was on its way */
  #afterBack = null;

  /** Follow the URL from now on. */
  start() {
    const follow = () => {
      const route = readRoute(location.hash);
      if (route) this.#set(route);
      this.#finishBack();
    };
    window.addEventListener("popstate", follow);
    window.addEventListener("hashchange", follow);
  }

  /**
   * @param {Partial<Route>} change another tab begins without filters and without an image, unless they are given
   * @param {{replace?: boolean}} [options] whether Back leads past the present route
   */
  go(change, { replace = false } = {}) {
    // Back takes a moment: it would lead away from what is shown in the meantime.
    if (this.#afterBack) return void this.#afterBack.push(() => this.go(change, { replace }));
    const isOtherTab = change.tab !== undefined && change.tab !== this.state.tab;
    const route = { ...this.state, ...(isOtherTab ? { image: null, query: {} } : {}), ...change };
    const href = `${location.pathname}${location.search}${writeRoute(route)}`;
    const isSame = writeRoute(route) === writeRoute(this.state);
    if (!isSame || replace) {
      const opened = route.image && !this.state.image ? "image" : history.state?.dreamina;
      if (replace) history.replaceState({ ...history.state }, "", href);
      else history.pushState({ dreamina: opened }, "", href);
    }
    this.#set(route);
  }

  /** Show an image in the viewer: the first one is a step for Back, the next ones replace it. @param {string} image */
  showImage(image) {
    this.go({ image }, { replace: this.state.image !== null });
  }

  /** Close the viewer as Back does. */
  closeImage() {
    if (!this.state.image) return;
    if (history.state?.dreamina === "image") {
      this.#afterBack ??= [];
      setTimeout(() => this.#finishBack(), MAX_BACK_MS);
      history.back();
    } else this.go({ image: null }, { replace: true });
  }

  #finishBack() {
    const waiting = this.#afterBack ?? [];
    this.#afterBack = null;
    waiting.forEach((go) => go());
  }

  /** @param {Route} route */
  #set(route) {
    const isSame = writeRoute(route) === writeRoute(this.state);
    this.state = route;
    if (!isSame) this.dispatchEvent(new Event("change"));
  }
}

export const router = new Router();
