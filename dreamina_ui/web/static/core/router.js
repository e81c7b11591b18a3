/* The page's URL is its state: tab, filters and open image survive a reload, and Back closes what was opened. */

import { readRoute, writeRoute } from "./route.js";

/** @typedef {import("./route.js").Route} Route */

/** Event: `change`, when the route is another one, whoever changed it. */
class Router extends EventTarget {
  /** @type {Route} */
  state = readRoute(location.hash) ?? { tab: "create", image: null, query: {} };

  /** Follow the URL from now on. */
  start() {
    const follow = () => {
      const route = readRoute(location.hash);
      if (route) this.#set(route);
    };
    window.addEventListener("popstate", follow);
    window.addEventListener("hashchange", follow);
  }

  /**
   * @param {Partial<Route>} change another tab begins without filters and without an image, unless they are given
   * @param {{replace?: boolean}} [options] whether Back leads past the present route
   */
  go(change, { replace = false } = {}) {
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
    if (history.state?.dreamina === "image") history.back();
    else this.go({ image: null }, { replace: true });
  }

  /** @param {Route} route */
  #set(route) {
    const isSame = writeRoute(route) === writeRoute(this.state);
    this.state = route;
    if (!isSame) this.dispatchEvent(new Event("change"));
  }
}

export const router = new Router();
