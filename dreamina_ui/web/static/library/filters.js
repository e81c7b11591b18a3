/* What the library shows: a search, and fields that narrow it. They are in the page's URL. */

import { element, emit } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { words } from "../core/words.js";
import { dayField } from "./days.js";

const STATES = ["done", "failed", "submit_unclear", "cancelled", "running", "queued"];
const PAUSE_MS = 250; // after a keystroke

/** @param {string} type @param {string} text */
function field(type, text) {
  const input = element("input", { type });
  return { label: element("label", {}, element("span", {}, text), input), input };
}

/** @param {string} text @param {[string, string][]} options */
function select(text, options) {
  const input = element("select", {}, element("option", { value: "" }, words.library_any));
  options.forEach(([value, shown]) => input.append(element("option", { value }, shown)));
  return { label: element("label", {}, element("span", {}, text), input), input };
}

/** @returns {[string, string][]} */
function sizes() {
  const choices = facts.models.flatMap((model) => model.fields.flatMap(({ choices: values }) => values)).map(String);
  const names = [...new Set(choices)].filter((choice) => /^\d+x\d+/.test(choice));
  return names.map((size) => [size, size.replace("x", " × ").replace("(", " · ").replace(")", "")]);
}

/** Event: `change`, when somebody chose something else. */
export class Filters extends EventTarget {
  search = field("search", words.library_search);
  state = select(words.library_state, STATES.map((state) => [state, words[`state_${state}`]]));
  size = select(words.library_size, sizes());
  since = dayField(words.library_since);
  until = dayField(words.library_until);
  favorites = field("checkbox", words.library_favourites);
  archived = field("checkbox", words.library_put_aside);
  node = element("div", { class: "filters" }, ...[
    this.search, this.state, this.size, this.since, this.until, this.favorites, this.archived,
  ].map(({ label }) => label));

  constructor() {
    super();
    let timer = 0;
    this.node.addEventListener("input", () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => emit(this, "change"), PAUSE_MS);
    });
  }

  /** As the page's URL has them: a filter that is not set has no entry. @returns {Record<string, string>} */
  get urlQuery() {
    return Object.fromEntries(Object.entries({
      q: this.search.input.value.trim(),
      state: this.state.input.value,
      size: this.size.input.value,
      since: this.since.input.value.trim(),
      until: this.until.input.value.trim(),
      favorites: this.favorites.input.checked ? "1" : "",
      archived: this.archived.input.checked ? "1" : "",
    }).filter(([, value]) => value));
  }

  set urlQuery(query) {
    const texts = { q: this.search, state: this.state, size: this.size, since: this.since, until: this.until };
    for (const [name, { input }] of Object.entries(texts)) {
      if (input.value.trim() !== (query[name] ?? "")) input.value = query[name] ?? "";
    }
    this.favorites.input.checked = query.favorites === "1";
    this.archived.input.checked = query.archived === "1";
  }

  get areSet() {
    return Object.keys(this.urlQuery).length > 0;
  }

  /** As the server takes it. */
  get query() {
    const [since, until] = [this.since.read(), this.until.read()];
    until?.setDate(until.getDate() + 1); // up to the end of that day
    return {
      text: this.search.input.value.trim(),
      state: this.state.input.value,
      size: this.size.input.value,
      favourites: this.favorites.input.checked ? "1" : "",
      put_aside: this.archived.input.checked ? "1" : "",
      since: since ? since.getTime() / 1000 : "",
      until: until ? until.getTime() / 1000 : "",
      language,
    };
  }
}
