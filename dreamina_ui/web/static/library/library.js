// @ts-nocheck
/* <dreamina-library>: a paged grid of thumbnails, the large view of one picture, and actions on one or many. */

import { imageAction, mark as markFiles, marks } from "../core/actions.js";
import { element } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { identity, post, request, url } from "../core/http.js";
import { imagesOf } from "../core/images.js";
import { jobs } from "../core/jobs.js";
import { router } from "../core/router.js";
import { watch } from "../core/stream.js";
import { tell } from "../core/toast.js";
import { costOf, duration, say, words } from "../core/words.js";
import { costsPanel } from "../costs/costs.js";
import { imageButton } from "../form/settings-from-image.js";
import { restActions, reuseButtons } from "../feed/feed.js";
import { compareButton, openCompare } from "./compare.js";
import { dayField } from "./days.js";

let home = null;
let ui = null;
let nearEnd = null; // observes whether the button for more is in view
let next = null; // the next page's cursor; null when there is none
let loading = 0; // the number of the newest request; older responses are dropped
let selecting = false;
const chosen = new Set();
let tiles = []; // entries in the order of the grid: {entry, node}

export class Library extends HTMLElement {
  #open = () => { if (router.state.tab === "library") { if (home !== this) build(this); reload(); } };
  connectedCallback() {
    this.id = "library";
    router.addEventListener("change", this.#open);
    this.#open();
  }
  disconnectedCallback() {
    router.removeEventListener("change", this.#open);
  }
}

/* --- layout */

function build(found) {
  home = found;
  ui = {
    search: field("search", words.library_search),
    state: select(words.library_state, ["done", "failed", "submit_unclear", "cancelled", "running", "queued"].map((state) => [state, words[`state_${state}`]])),
    size: select(words.library_size, sizes().map((size) => [size, size.replace("x", " × ").replace("(", " · ").replace(")", "")])),
    since: dayField(words.library_since),
    until: dayField(words.library_until),
    favourites: field("checkbox", words.library_favourites),
    putAside: field("checkbox", words.library_put_aside),
    usage: element("p", { class: "usage" }),
    wall: element("ul", { class: "wall", "aria-label": words.tab_library }),
    empty: element("p", { class: "empty", hidden: true }, words.library_empty),
    more: button(words.library_more, () => load(true)),
    select: button(words.library_select, () => setSelecting(!selecting)),
    all: element("a", { class: "button", download: true }, words.library_zip_all),
    bar: element("div", { class: "selection", hidden: true, role: "toolbar" }),
    count: element("span", { role: "status" }),
  };
  ui.bar.append(
    ui.count,
    button(words.library_zip, downloadChosen),
    button(words.compare, compareChosen),
    button(words.favourite, () => mark([...chosen], "favourite", true)),
    button(words.delete, () => remove([...chosen])),
  );
  let pause = 0;
  const filters = element("div", { class: "filters" }, ...["search", "state", "size", "since", "until", "favourites", "putAside"].map((name) => ui[name].label));
  filters.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(reload, 250); });
  home.replaceChildren(
    filters,
    element("div", { class: "tools" }, ui.usage, ui.select, ui.all, addRequest()),
    costsPanel(), ui.bar, ui.empty, ui.wall, ui.more,
    element("p", { class: "hint" }, imageButton(), " ", words.drop_here),
  );
  nearEnd = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && load(true), { rootMargin: "100px" });
}

function sizes() {
  const choices = facts.models.flatMap((model) => model.fields.flatMap((one) => one.choices));
  return [...new Set(choices)].filter((choice) => /^\d+x\d+/.test(choice));
}

function field(type, text) {
  const input = element("input", { type });
  const label = element("label", {}, element("span", {}, text), input);
  return { label, input };
}

function select(text, options) {
  const input = element("select", {}, element("option", { value: "" }, words.library_any));
  options.forEach(([value, shown]) => input.append(element("option", { value }, shown)));
  return { label: element("label", {}, element("span", {}, text), input), input };
}

function button(text, press) {
  const node = element("button", { type: "button" }, text);
  node.addEventListener("click", () => press(node));
  return node;
}

function addRequest() {
  const input = element("input", { type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false" });
  const box = element("details", { class: "add-request" }, element("summary", {}, words.add_request));
  box.append(element("label", {}, words.attach_label, input), button(words.attach, async () => {
    if (!input.value.trim()) return;
    const { answer, refusal } = await post("attach", { request_id: input.value.trim() });
    if (refusal) return tell(refusal);
    input.value = "";
    jobs.update([answer]);
    watch();
    tell(`${answer.request_id}: ${answer.state_text}`);
    reload();
  }));
  return box;
}

/* --- pages */

function query() {
  const [since, until] = [ui.since.read(), ui.until.read()];
  until?.setDate(until.getDate() + 1); // up to the end of that day
  return {
    text: ui.search.input.value.trim(),
    state: ui.state.input.value,
    size: ui.size.input.value,
    favourites: ui.favourites.input.checked ? "1" : "",
    put_aside: ui.putAside.input.checked ? "1" : "",
    since: since && since / 1000,
    until: until && until / 1000,
    language,
  };
}

function reload() {
  next = null;
  chosen.clear();
  setSelecting(selecting);
  ui.all.href = url("library/zip", { ...query(), visitor: identity() });
  showUsage();
  return load(false);
}

async function load(isMore) {
  if (isMore && (!next || ui.more.disabled)) return;
  const number = ++loading;
  ui.more.disabled = true;
  try {
    const reply = await request("library", { query: { ...query(), after: isMore ? next : "" } });
    if (!reply.ok) throw new Error();
    const page = await reply.json();
    if (number !== loading) return;
    if (!isMore) {
      tiles = [];
      ui.wall.replaceChildren();
    }
    page.entries.forEach(addTile);
    next = page.next;
    ui.more.hidden = !next;
    ui.empty.hidden = tiles.length > 0;
    // It reports changes only: restarted, it also reports a button that is still in view.
    nearEnd.disconnect();
    nearEnd.observe(ui.more);
  } catch {
    if (number === loading) tell(words.library_failed);
  } finally {
    ui.more.disabled = false;
  }
}

async function showUsage() {
  try {
    const usage = await (await request("library/usage")).json();
    const parts = [say("library_usage", usage)];
    if (usage.removed_by_limit) parts.push(say("library_removed", { count: usage.removed_by_limit }));
    ui.usage.textContent = parts.join(" · ");
  } catch { /* loading the entries reports the failure */ }
}

function addTile(entry) {
  const face = element("button", { type: "button", class: "tile", "aria-label": entry.alt || `${entry.state_text}: ${entry.prompt}` });
  if (entry.kind === "image") {
    face.append(element("img", { src: url(entry.address), alt: "", loading: "lazy", width: entry.width, height: entry.height }));
  } else if (entry.kind === "video") {
    face.append(element("video", { src: url(entry.address), preload: "metadata", muted: true, tabindex: -1 }));
  } else if (entry.kind === "file") {
    face.append(element("span", { class: "tile-state" }, entry.facts), element("span", { class: "tile-prompt", dir: "auto" }, entry.prompt));
  } else {
    face.append(element("span", { class: "tile-state" }, entry.state_text), element("span", { class: "tile-prompt", dir: "auto" }, entry.prompt));
  }
  const node = element("li", { "data-file-key": entry.file_key || null, "data-state": entry.state }, face);
  const tile = { entry, node, face };
  node.append(element("span", { class: "star", "aria-hidden": "true", hidden: !entry.favourite }, "★"));
  face.addEventListener("click", () => (selecting ? choose(tile) : openLarge(tiles.indexOf(tile))));
  tiles.push(tile);
  ui.wall.append(node);
  if (selecting) face.setAttribute("aria-pressed", chosen.has(entry.file_key));
}

/* --- selection */

function setSelecting(isOn) {
  selecting = isOn;
  if (!isOn) chosen.clear();
  ui.bar.hidden = !isOn;
  ui.select.textContent = isOn ? words.library_done : words.library_select;
  ui.wall.classList.toggle("selecting", isOn);
  tiles.forEach(showChosen);
  ui.count.textContent = say("library_selected", { count: chosen.size });
}

function showChosen({ entry, face }) {
  if (selecting) face.setAttribute("aria-pressed", String(chosen.has(entry.file_key)));
  else face.removeAttribute("aria-pressed");
}

function choose(tile) {
  const key = tile.entry.file_key;
  if (!key) return;
  if (!chosen.delete(key)) chosen.add(key);
  showChosen(tile);
  ui.count.textContent = say("library_selected", { count: chosen.size });
}

function downloadChosen() {
  if (!chosen.size) return;
  const form = element("form", { method: "post", action: url("library/zip", { visitor: identity() }), hidden: true },
    element("input", { name: "files", value: [...chosen].join(",") }));
  document.body.append(form);
  form.submit();
  form.remove();
}

function compareChosen() {
  const pair = tiles.map(({ entry }) => entry).filter((entry) => chosen.has(entry.file_key) && entry.kind === "image");
  if (chosen.size !== 2 || pair.length !== 2) return tell(words.compare_two);
  openCompare(...pair);
}

async function mark(files, name, value) {
  return markFiles(files, name, value);
}

marks.addEventListener("change", ({ detail: { files, favourite } }) => {
  if (favourite === undefined) return;
  const marked = new Set(files);
  tiles.filter(({ entry }) => marked.has(entry.file_key)).forEach((tile) => {
    tile.entry.favourite = favourite;
    tile.node.querySelector(".star").hidden = !favourite;
  });
});

async function remove(files) {
  if (!(await mark(files, "deleted", true))) return;
  const gone = new Set(files);
  tiles = tiles.filter((tile) => !gone.has(tile.entry.file_key) || tile.node.remove());
  chosen.clear();
  setSelecting(selecting);
  showUsage();
  tell(say("deleted", { count: files.length }), async () => {
    if (await mark(files, "deleted", false)) {
      tell(words.undone);
      reload();
    }
  });
}

/* --- the large view */

let large = null;

async function openLarge(place) {
  const tile = tiles[place];
  if (!tile) return;
  const before = large;
  if (!before) {
    large = { dialog: element("dialog", { class: "large" }), back: tile.face };
    large.dialog.addEventListener("close", () => {
      large.dialog.remove();
      const { back } = large;
      large = null;
      if (back.isConnected) back.focus();
    });
    large.dialog.addEventListener("keydown", (event) => {
      if (event.target.closest("input")) return;
      if (event.key === "ArrowRight") move(1);
      if (event.key === "ArrowLeft") move(-1);
    });
    large.dialog.addEventListener("click", (event) => event.target === large?.dialog && large.dialog.close());
    document.body.append(large.dialog);
    large.dialog.showModal();
  }
  large.place = place;
  large.back = tile.face;
  const asked = large;
  let details = null;
  try {
    const reply = await request(`jobs/${tile.entry.job_id}`);
    if (reply.ok) details = await reply.json();
  } catch { /* reported below */ }
  if (large !== asked || large.place !== place) return;
  if (!details) {
    large.dialog.close();
    tell(words.library_failed);
    return;
  }
  fillLarge(tile, details);
  if (place > tiles.length - 4) load(true);
}

function move(step) {
  if (tiles[large.place + step]) openLarge(large.place + step);
}

function fillLarge(tile, job) {
  const output = job.outputs.find((one) => one.file_key === tile.entry.file_key);
  const close = button(words.close, () => large.dialog.close());
  const picture = element("div", { class: "large-picture" });
  const side = element("div", { class: "large-side" });
  const actions = element("div", { class: "large-actions" });
  if (output?.state === "kept") {
    const original = url(output.original);
    const link = (text, to, more = {}) => actions.append(element("a", { class: "button", href: to, ...more }, text));
    if (output.kind === "image") picture.append(element("img", { src: url(output.preview), alt: output.alt, width: output.width, height: output.height }));
    else if (output.kind === "file") picture.append(element("div", { class: "file-tile", role: "img", "aria-label": output.alt }, output.facts));
    else picture.append(element("video", { src: original, controls: true, "aria-label": output.alt }));
    link(words.open_original, original, { target: "_blank", rel: "noopener" });
    link(words.download, url(output.original, { download: "1" }), { download: true });
    if (output.with_settings) link(words.download_with_settings, url(output.with_settings), { download: true });
    const favourite = button(output.favourite ? words.unfavourite : words.favourite, async () => {
      if (!(await mark([output.file_key], "favourite", !output.favourite))) return;
      output.favourite = !output.favourite;
      favourite.textContent = output.favourite ? words.unfavourite : words.favourite;
    });
    actions.append(favourite);
    if (output.kind === "image") actions.append(compareButton(job.job_id, output));
    actions.append(button(words.delete, async () => {
      large.dialog.close();
      await remove([output.file_key]);
    }));
  }
  if (output?.state === "kept" && output.kind === "image" && facts.models.some((model) => model.fields.some((one) => one.file_kind === "image"))) {
    actions.prepend(button(words.use_as_input, () => { large.dialog.close(); imageAction("edit", imagesOf(job).find((item) => item.index === output.index)); }));
  }
  actions.prepend(...reuseButtons(job, () => large.dialog.close()));
  if (job.can_fetch_again) {
    actions.append(button(words.fetch_again, async (node) => {
      node.disabled = true;
      const { refusal } = await post(`jobs/${job.job_id}/fetch-again`, {});
      large?.dialog.close();
      if (refusal) return tell(refusal);
      watch();
      reload();
    }));
  }
  const moment = (seconds) => new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  const rows = [
    [words.library_state, job.state_text],
    [words.detail_created, moment(job.created_at)],
    [words.detail_duration, job.finished_at ? duration(job.finished_at - job.created_at, 1) : ""],
    [words.detail_model, job.model_id],
    [words.detail_request, job.request_id],
    [words.detail_cost, [costOf(job) || words.unknown, job.own_key && words.own_key_job].filter(Boolean).join(" · ")],
    [words.detail_file, output?.facts],
    ["SHA-256", output?.sha256],
  ];
  const list = element("dl");
  rows.filter(([, value]) => value).forEach(([name, value]) => list.append(element("dt", {}, name), element("dd", {}, value)));
  side.append(
    element("p", { class: "large-prompt", dir: "auto" }, job.prompt),
    element("p", { class: "settings" }, job.settings),
    ...(job.message ? [element("p", { class: "message" }, job.message)] : []),
    ...(job.detail ? [element("p", { class: "detail", lang: "en" }, job.detail)] : []),
    actions,
    ...(job.active || job.state === "done" ? [] : [restActions(job, () => { large?.dialog.close(); reload(); })]),
    list,
  );
  const steps = element("div", { class: "large-steps" }, button(words.previous, () => move(-1)), button(words.next, () => move(1)), close);
  const had = large.dialog.contains(document.activeElement) && document.activeElement.textContent;
  large.dialog.setAttribute("aria-label", tile.face.getAttribute("aria-label"));
  large.dialog.replaceChildren(steps, picture, side);
  ([...steps.children].find((one) => one.textContent === had) || close).focus();
}

