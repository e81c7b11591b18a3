/* What the library shows: a part of it, a search, and chips that narrow it. They are in the page's URL. */

import { button, element, emit } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { say, words } from "../core/words.js";
import { Period } from "./period.js";
import { Rail } from "./rail.js";

const STATES = ["done", "failed", "submit_unclear", "cancelled", "running", "queued"];
const COLORS = ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "gray", "white"];
const PAUSE_MS = 250; // after a keystroke

/** @param {string} text @param {[string, string][]} options the first one is shown where nothing is chosen */
function select(text, options) {
  const input = element("select", {}, ...options.map(([value, shown]) => element("option", { value }, shown)));
  return { label: element("label", {}, element("span", { class: "sr-only" }, text), input), input };
}

/** @returns {[string, string][]} */
function sizes() {
  const choices = facts.models.flatMap((model) => model.fields.flatMap(({ choices: values }) => values)).map(String);
  const names = [...new Set(choices)].filter((choice) => /^\d+x\d+/.test(choice));
  return names.map((size) => [size, size.replace("x", " × ").replace("(", " · ").replace(")", "")]);
}

/** Event: `change`, when somebody chose something else. */
export class Filters extends EventTarget {
  rail = new Rail();
  period = new Period();
  search = element("input", { type: "search", placeholder: words.library_search, enterkeyhint: "search" });
  choices = {
    state: select(words.library_state, [["", words.library_state], ...STATES.map((state) => /** @type {[string, string]} */ ([state, words[`state_${state}`]]))]),
    size: select(words.library_size, [["", words.library_size], ...sizes()]),
    model: select(words.library_model, [["", words.library_model], ...facts.models.map(({ model_id: id, title }) => /** @type {[string, string]} */ ([id, title]))]),
    rating: select(words.rating, [["", words.rating], ...["1", "2", "3", "4", "5"].map((count) => /** @type {[string, string]} */ ([count, say("rating_least", { count })]))]),
    color: select(words.color, [["", words.color], ...COLORS.map((name) => /** @type {[string, string]} */ ([name, words[`color_${name}`]]))]),
    sort: select(words.library_sort, [["", words.library_newest], ["oldest", words.library_oldest]]),
    whose: select(words.library_whose, [["", words.library_everyone], ["mine", words.library_mine]]),
  };
  #clear = button(words.library_clear, () => this.#reset(), { class: "clear", hidden: true });
  node = element("div", { class: "filters" },
    element("label", { class: "search" }, element("span", { class: "sr-only" }, words.library_search), this.search),
    ...this.period.nodes, ...[this.choices.size, this.choices.model, this.choices.state, this.choices.rating, this.choices.color].map(({ label }) => label), this.#clear,
  );

  constructor() {
    super();
    let timer = 0;
    const announce = () => {
      clearTimeout(timer);
      this.#showSet();
      emit(this, "change");
    };
    this.choices.model.label.hidden = facts.models.length < 2;
    this.choices.whose.label.hidden = true;
    this.node.addEventListener("input", () => {
      clearTimeout(timer);
      timer = window.setTimeout(announce, PAUSE_MS);
    });
    this.choices.sort.input.addEventListener("change", announce);
    this.choices.whose.input.addEventListener("change", announce);
    this.period.addEventListener("change", announce);
    this.rail.addEventListener("change", announce);
  }

  #reset() {
    const { view, board, sort, whose } = /** @type {Record<string, string>} */ (this.urlQuery);
    this.urlQuery = { view: view ?? "", board: board ?? "", sort: sort ?? "", whose: whose ?? "" };
    emit(this, "change");
    this.search.focus();
  }

  #showSet() {
    this.#clear.hidden = !this.areSet;
    for (const { input } of Object.values(this.choices)) input.toggleAttribute("data-set", Boolean(input.value));
  }

  /** As the page's URL has them: a filter that is not set has no entry. @returns {Record<string, string>} */
  get urlQuery() {
    const chosen = Object.entries(this.choices).map(([name, { input }]) => [name, input.value]);
    const all = { view: this.rail.view, board: this.rail.board, q: this.search.value.trim(), ...Object.fromEntries(chosen), ...this.period.urlQuery };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
  }

  set urlQuery(query) {
    this.rail.view = query.view ?? "";
    if (this.rail.board !== (query.board ?? "")) this.rail.board = query.board ?? "";
    if (this.search.value.trim() !== (query.q ?? "")) this.search.value = query.q ?? "";
    for (const [name, { input }] of Object.entries(this.choices)) {
      input.value = query[name] ?? "";
      if (input.selectedIndex < 0) input.value = "";
    }
    this.period.urlQuery = query;
    this.#showSet();
  }

  /** Whether anything narrows the part that is shown. */
  get areSet() {
    return Object.keys(this.urlQuery).some((name) => !["view", "board", "sort", "whose"].includes(name));
  }

  /** Whether all that is stored is shown. */
  get showAll() {
    return !this.areSet && !this.rail.view && !this.rail.board;
  }

  /** As the server takes it. */
  get query() {
    const { state, size, model, rating, color, sort, whose } = this.choices;
    const { view } = this.rail;
    return {
      text: this.search.value.trim(),
      state: state.input.value,
      size: size.input.value,
      model: model.input.value,
      rating: rating.input.value,
      color: color.input.value,
      board: this.rail.board,
      shared: view === "shared" ? "1" : "",
      sort: sort.input.value,
      whose: whose.input.value,
      favourites: view === "favorites" ? "1" : "",
      batches: view === "batches" ? "1" : "",
      put_aside: view === "archived" ? "1" : "",
      trash: view === "trash" ? "1" : "",
      ...this.period.query,
      language,
    };
  }
}
