/* Who uses the page, who is blocked, and what went wrong. */

import { showDialog, useStyle } from "../core/dialogs.js";
import { button, element } from "../core/dom.js";
import { facts } from "../core/facts.js";
import { post, url } from "../core/http.js";
import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { number, moment, say, usd, words } from "../core/words.js";
import { nothing, section, shortName, table } from "./parts.js";

/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Overview} Overview */

useStyle(new URL("../boards/boards.css", import.meta.url));

export class States {
  #body = element("div");
  node = section(words.owner_states, { class: "wide" }, this.#body);

  /** @param {Overview} overview */
  show({ states }) {
    const items = Object.entries(states).map(([state, count]) => element("li", {}, `${words[`state_${state}`]} `, element("b", {}, number(count))));
    this.#body.replaceChildren(items.length ? element("ul", { class: "states" }, ...items) : nothing());
  }
}

/**
 * A visitor or an IP address, with the button that blocks it, or lets it in again; none for the owner.
 * @param {Change} change
 * @param {string} kind
 * @param {string} name
 * @param {{isBlocked: boolean, isYou?: boolean, label?: string}} state
 */
function entry(change, kind, name, { isBlocked, isYou = false, label = "" }) {
  const known = element(label ? "b" : "code", {}, label || shortName(name));
  if (isYou && !isBlocked) return element("span", { class: "place" }, known, " ", element("span", { class: "you" }, words.owner_you));
  const text = isBlocked ? words.owner_let_in : words.owner_put_out;
  const block = async (/** @type {HTMLButtonElement} */ node, /** @type {boolean} */ out) => {
    if (!await change(node, "shut-out", { kind, name, out }, out ? "" : words.owner_unblocked) || !out) return;
    tell(say("owner_blocked_now", { name: label || shortName(name) }), () => block(node, false));
  };
  const toggle = button(text, (node) => block(node, !isBlocked), { class: "link", "aria-label": `${text}: ${label || shortName(name)}` });
  return element("span", { class: "place" }, known, toggle);
}

/**
 * The visitor's last images, each opened in the viewer.
 * @param {{job_id: string, index: number, file_key: string}[]} images
 * @param {string} name
 */
function lastImages(images, name) {
  return element("div", { class: "last-images" }, ...images.map(({ job_id: jobId, index, file_key: key }, at) => {
    const node = button("", () => router.showImage(`${jobId}/${index}`), { "aria-label": say("owner_image_of", { number: at + 1, name }) });
    node.append(element("img", { src: url(`files/${key}/thumbnail/thumbnail.webp`), alt: "", width: 56, height: 56, loading: "lazy" }));
    return node;
  }));
}

/**
 * The button that deletes all of a visitor's data, after a question.
 * @param {string} id
 * @param {string} name
 * @param {Change} change
 */
function erasing(id, name, change) {
  return button(words.owner_erase, () => {
    const erase = button(words.owner_erase, async (node) => {
      dialog.close();
      const { refusal } = await post("owner/erase", { visitor: id, confirm: true });
      if (refusal) return tell(refusal);
      await change(node, "name", { visitor: id, name: "" }, words.owner_erased); // brings the tab up to date
    }, { class: "danger" });
    const dialog = showDialog(words.owner_erase, "erase", element("p", {}, say("owner_erase_sure", { name })),
      element("div", { class: "row" }, erase, button(words.cancel, () => dialog.close())));
  }, { class: "link", "aria-label": `${words.owner_erase}: ${name}` });
}

export class Visitors {
  #change;
  #body = element("div");
  node = section(words.owner_visitors, { class: "wide" }, this.#body);

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
  }

  /** @param {Overview} overview */
  show({ guests, visitors, rules, you }) {
    const blocked = new Set(rules.shut_out.map(({ kind, name }) => kind + name));
    const rows = guests.map((guest) => {
      const { visitor_id: id } = guest;
      const label = rules.names[id] ?? "";
      const clients = guest.addresses.map((/** @type {string} */ name) =>
        entry(this.#change, "address", name, { isBlocked: blocked.has(`address${name}`), isYou: you.includes(name) }));
      const state = { isBlocked: blocked.has(`visitor${id}`), isYou: you.includes(id), label };
      return [
        id ? element("div", {}, entry(this.#change, "visitor", id, state), this.#naming(id, label), " ", erasing(id, label || shortName(id), this.#change)) : element("span", {}, words.owner_programs),
        lastImages(guest.images, label || (id ? shortName(id) : words.owner_programs)),
        number(guest.jobs_today), number(guest.jobs), usd(guest.usd), moment(guest.last_at),
        element("div", {}, ...clients),
      ];
    });
    const titles = ["owner_visitor", "owner_images", "owner_jobs_today", "owner_jobs_all", facts.uses_sandbox ? "owner_spent_demo" : "owner_spent", "owner_last_job", "owner_addresses"];
    this.#body.replaceChildren(table(titles, rows));
    const count = guests.filter((guest) => guest.visitor_id).length;
    if (count < visitors) this.#body.append(element("p", { class: "soft" }, say("owner_some_visitors", { count, total: visitors })));
  }

  /**
   * The button that opens a field for the visitor's name.
   * @param {string} id
   * @param {string} label
   */
  #naming(id, label) {
    const open = button(label ? words.owner_rename : words.owner_give_name, () => {
      const input = element("input", { value: label, maxlength: 60, "aria-label": words.owner_visitor_name, dir: "auto" });
      const save = element("button", { type: "submit" }, words.owner_save);
      const form = element("form", { class: "naming" }, input, save);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#change(save, "name", { visitor: id, name: input.value });
      });
      form.addEventListener("keydown", (event) => { if (event.key === "Escape") form.replaceWith(open); });
      open.replaceWith(form);
      input.focus();
    }, { class: "link", "aria-label": `${label ? words.owner_rename : words.owner_give_name}: ${label || shortName(id)}` });
    return open;
  }
}

export class Blocked {
  #change;
  #body = element("div");
  node = section(words.owner_shut_out, { class: "wide" }, this.#body);

  /** @param {Change} change */
  constructor(change) {
    this.#change = change;
  }

  /** @param {Overview} overview */
  show({ rules }) {
    const rows = rules.shut_out.map(({ kind, name, since }) => [
      words[kind === "visitor" ? "owner_visitor" : "owner_address"],
      entry(this.#change, kind, name, { isBlocked: true, label: rules.names[name] }),
      moment(since),
    ]);
    this.#body.replaceChildren(table(["owner_who", "owner_name", "owner_time"], rows));
  }
}

const PHASES = { failed: ["submit", "download", "poll"], saving: ["download"], submitting: ["submit"] };

/** @param {{state: string, problem: string}} row */
function problemText({ state, problem }) {
  const phases = /** @type {Record<string, string[]>} */ (PHASES)[state] ?? ["poll", "download", "submit"];
  return phases.map((phase) => words[`problem_${phase}_${problem}`]).find(Boolean) ?? words.problem_poll_api;
}

export class RecentErrors {
  #body = element("div");
  node = section(words.owner_errors, { class: "wide" }, this.#body);

  /** @param {Overview} overview */
  show({ troubles }) {
    const rows = troubles.map((row) => [
      row.first_at === row.last_at ? moment(row.last_at) : element("div", {}, moment(row.last_at), element("p", { class: "soft" }, say("owner_since", { time: moment(row.first_at) }))),
      number(row.count),
      words[`state_${row.state}`],
      element("div", {},
        element("p", {}, problemText(row)),
        element("p", { class: "soft", lang: "en" }, row.detail || "")),
      element("div", {}, ...row.jobs.flatMap((job) => [element("code", {}, job), " "]), row.count > row.jobs.length ? "…" : ""),
    ]);
    this.#body.replaceChildren(table(["owner_time", "owner_count", "owner_state", "owner_problem", "owner_job"], rows));
  }
}
