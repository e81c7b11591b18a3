// @ts-nocheck
/* <dreamina-feed>: cards of the visitor's jobs. */

import { canReuse, imageAction, jobAction, mark, useSettingsOf } from "../core/actions.js";
import { arm, element, emit, iconAnd } from "../core/dom.js";
import { facts, root } from "../core/facts.js";
import { jobs } from "../core/jobs.js";
import { imagesOf } from "../core/images.js";
import { costOf, duration, say, shorten, words } from "../core/words.js";
import { thumbnail } from "../form/fields.js";

const live = element("div", { class: "sr-only", role: "status", "aria-live": "polite", id: "job-status" });
const cards = new Map(); // job_id -> {node, asking}
const hasPictureField = facts.models.some((model) => model.fields.some((field) => field.file_kind === "image"));

export class Feed extends HTMLElement {
  #empty = element("p", { class: "empty", hidden: true }, words.no_jobs);
  #list = element("ol", { class: "job-list", "aria-label": words.pictures });
  #changed = (event) => this.#show(event.detail);
  #settled = () => {
    this.#empty.hidden = jobs.list().length > 0;
    this.#tick();
  };
  #timer = 0;

  connectedCallback() {
    if (!this.#list.isConnected) this.append(this.#empty, this.#list);
    document.body.append(live); // outside of the tabs: screen readers skip hidden content
    jobs.addEventListener("change", this.#changed);
    jobs.addEventListener("settled", this.#settled);
    jobs.all().forEach((job) => this.#show({ job, before: job }));
    if (jobs.isLoaded) this.#settled();
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    jobs.removeEventListener("change", this.#changed);
    jobs.removeEventListener("settled", this.#settled);
  }

  #show({ job, before }) {
    const isNew = !cards.has(job.job_id);
    const card = cards.get(job.job_id) ?? { node: newCard(job) };
    card.data = job;
    cards.set(job.job_id, card);
    if (isNew || !card.node.isConnected) {
      const later = [...this.#list.children].find((node) => Number(node.dataset.createdAt) < job.created_at);
      this.#list.insertBefore(card.node, later || null);
      if (jobs.isLoaded && isNew && job.active && card.node.getBoundingClientRect().top > innerHeight - 80) card.node.scrollIntoView({ block: "start" });
    }
    fill(card);
    // The jobs that were there when the page opened are not announced, and neither is each queue position.
    const isSaid = before ? before.state + before.message !== job.state + job.message : jobs.isLoaded;
    if (isSaid) live.textContent = [shorten(job.prompt), job.state_text, job.message].filter(Boolean).join(". ");
  }

  // The elapsed time advances between two messages.
  #tick() {
    for (const { data, node } of cards.values()) {
      const seconds = jobs.elapsed(data);
      node.parts.elapsed.textContent = " · " + duration(seconds, seconds < 10 && !data.active ? 1 : 0);
      if (!data.active) continue;
      const bar = node.parts.progress;
      const done = jobs.progress(data);
      if (done === null) bar.removeAttribute("value");
      else bar.value = done;
      bar.style.setProperty("--done", done ?? 0);
    }
  }
}

async function act(jobId, action, button, busyText, body = {}) {
  const card = cards.get(jobId);
  const idleText = button.textContent;
  setBusy(button, true, busyText);
  live.textContent = busyText;
  if (card) card.asking = true;
  const { answer, refusal } = await jobAction(action, jobId, body);
  if (card) card.asking = false;
  if (refusal) {
    setBusy(button, false, idleText);
    if (card) {
      card.node.parts.message.textContent = refusal;
      card.node.parts.message.hidden = false;
    }
  }
  return answer;
}

function itemOf(data, output) {
  return imagesOf(data).find((item) => item.index === output.index);
}

function inputButton(data, output, label) {
  if (!hasPictureField || output.kind !== "image") return null;
  const button = element("button", { type: "button", class: "use-as-input", "aria-label": label, title: words.use_as_input }, ...iconAnd("input", words.use_as_input));
  button.addEventListener("click", () => imageAction("edit", itemOf(data, output)));
  return button;
}

// The buttons for a job's settings; `leave` is called before the form is shown.
export function reuseButtons(job, leave = () => {}) {
  if (!canReuse(job)) return [];
  const model = facts.models.find((one) => one.model_id === job.model_id);
  const button = (text, press, help = words.settings_only) => {
    const node = element("button", { type: "button", title: help }, text);
    node.addEventListener("click", () => { leave(); press(); });
    return node;
  };
  const found = [button(words.again, () => useSettingsOf(job, null))];
  if (model.fields.some((field) => field.choices.length)) found.push(button(words.another_size, () => useSettingsOf(job, "choice")));
  found.push(button(words.copy_link, () => emit(document.body, "copy-settings-link", { job }), words.copy_link_help));
  return found;
}

function addReuse(node, data) {
  if (!node.goOn) {
    node.goOn = element("div", { class: "go-on" }, ...reuseButtons(data));
    node.parts.facts.before(node.goOn);
  }
  for (const output of data.outputs.filter((one) => one.state === "kept")) {
    const caption = node.querySelector(`figure[data-index="${output.index}"] figcaption`);
    if (!caption.querySelector(".favourite")) {
      const star = element("button", { type: "button", class: "favourite", title: words.favourite, "aria-label": `${words.favourite}: ${output.index + 1}` });
      star.addEventListener("click", () => mark([output.file_key], "favourite", star.ariaPressed !== "true"));
      caption.lastChild.before(star);
    }
    const star = caption.querySelector(".favourite");
    star.ariaPressed = String(output.favourite);
    star.textContent = output.favourite ? "★" : "☆";
  }
}

function newCard(data) {
  const node = element("li", { class: "job", "data-job-id": data.job_id, "data-created-at": data.created_at });
  const part = (name, tag = "p") => element(tag, { class: name });
  const parts = {
    prompt: part("prompt"),
    settings: part("settings"),
    given: element("ul", { class: "given", "aria-label": words.given, hidden: true }),
    state: part("state"),
    elapsed: part("elapsed", "span"),
    progress: element("progress", { max: 1, "aria-label": say("progress", { prompt: shorten(data.prompt) }) }),
    message: part("message"),
    detail: element("p", { class: "detail", lang: "en" }),
    outputs: part("outputs", "div"),
    actions: part("actions", "div"),
    rest: part("rest", "div"),
    cancel: element("button", { type: "button", class: "cancel" }, words.cancel),
    fetchAgain: element("button", { type: "button", class: "fetch-again" }, words.fetch_again),
    facts: part("facts"),
  };
  parts.prompt.setAttribute("dir", "auto");
  parts.stateText = element("span");
  parts.state.append(parts.stateText, parts.elapsed);
  parts.cancel.addEventListener("click", () => act(data.job_id, "cancel", parts.cancel, words.cancelling));
  parts.fetchAgain.addEventListener("click", () => act(data.job_id, "retry-download", parts.fetchAgain, words.fetch_again));
  parts.actions.append(parts.cancel, parts.fetchAgain);
  const size = /(\d+) × (\d+)/.exec(data.settings);
  if (size) node.style.setProperty("--ratio", `${size[1]} / ${size[2]}`); // of the picture's placeholder
  node.append(parts.outputs, parts.prompt, parts.settings, parts.given, parts.state, parts.progress, parts.message, parts.detail,
    element("div", { class: "acts" }, parts.actions, parts.rest), parts.facts);
  node.parts = parts;
  return node;
}

function fill(card) {
  const { data, node } = card;
  const { parts } = node;
  node.dataset.state = data.state;
  parts.prompt.textContent = data.prompt;
  parts.settings.textContent = [data.model, data.settings].filter(Boolean).join(" · ");
  fillGiven(parts.given, data.given);
  parts.stateText.textContent = data.state_text;
  parts.message.textContent = data.message;
  parts.message.hidden = !data.message;
  parts.detail.textContent = data.detail;
  parts.detail.hidden = !data.detail;
  parts.facts.textContent = [data.request_id && data.state !== "done" && say("request_id", data), costOf(data), data.own_key && words.own_key_job].filter(Boolean).join(" · ");
  parts.progress.hidden = !data.active;
  parts.fetchAgain.hidden = !data.can_fetch_again;
  parts.cancel.hidden = !data.can_cancel;
  if (data.can_cancel && !card.asking) {
    setBusy(parts.cancel, data.cancelling, data.cancelling ? words.cancelling : words.cancel);
  }
  if (data.can_fetch_again) setBusy(parts.fetchAgain, false, words.fetch_again);
  node.hidden = data.put_aside;
  if (node.dataset.rest !== data.state) {
    node.dataset.rest = data.state;
    parts.rest.replaceChildren(...(data.active || data.state === "done" ? [] : [restActions(data)]));
  }
  data.outputs.forEach((output) => fillOutput(parts.outputs, output, data.outputs.length > 1, data));
  const there = new Set(data.outputs.map((output) => String(output.index)));
  [...parts.outputs.children].forEach((figure) => there.has(figure.dataset.index) || figure.remove());
  addReuse(node, data);
}

function fillGiven(list, paths) {
  if (list.dataset.now === paths.join()) return;
  list.dataset.now = paths.join();
  list.hidden = !paths.length;
  list.replaceChildren(...paths.map((path, place) => element("li", {}, thumbnail(path, place + 1))));
}

function fillOutput(grid, output, isOneOfSeveral, data) {
  const old = grid.querySelector(`[data-index="${output.index}"]`);
  if (old && old.dataset.state === output.state) return;
  const figure = element("figure", { "data-index": output.index, "data-state": output.state });
  if (output.state !== "kept") {
    figure.append(element("figcaption", {}, [output.alt, output.facts].filter(Boolean).join(": ")));
  } else {
    const original = new URL(output.original, root);
    if (output.kind === "image") {
      const [preview, small] = [new URL(output.preview, root), new URL(output.thumbnail, root)];
      const picture = element("img", {
        src: preview,
        srcset: `${small} 400w, ${preview} 1280w`,
        sizes: isOneOfSeveral ? "(max-width: 700px) 46vw, 210px" : "(max-width: 700px) 92vw, 420px",
        alt: output.alt,
        width: output.width,
        height: output.height,
        loading: "lazy",
      });
      figure.append(element("a", { href: original, target: "_blank", rel: "noopener" }, picture));
    } else if (output.kind === "file") {
      figure.append(element("div", { class: "file-tile", role: "img", "aria-label": output.alt }, output.facts));
    } else {
      figure.append(element("video", { src: original, controls: true, preload: "metadata", "aria-label": output.alt }));
    }
    const download = new URL(original);
    download.search = "?download=1";
    const number = output.index + 1;
    const link = (icon, text, to, more) => element("a", { href: to, "aria-label": `${text}: ${number}`, title: text, ...more }, ...iconAnd(icon, text));
    figure.append(
      element("figcaption", {},
        link("open", words.open_original, original, { target: "_blank", rel: "noopener" }),
        link("download", words.download, download, { download: true }),
        ...[inputButton(data, output, `${words.use_as_input}: ${number}`)].filter(Boolean),
        element("span", { class: "file-facts" }, output.facts)),
    );
  }
  if (old) old.replaceWith(figure);
  else grid.append(figure);
}

function setBusy(button, isBusy, text) {
  button.textContent = text;
  button.disabled = isBusy;
}

// The actions for a settled job: attach its request, submit it again, archive it.
export function restActions(data, done = () => {}) {
  const box = element("div", { class: "rest-actions" });
  const button = (text, press) => {
    const node = element("button", { type: "button" }, text);
    node.addEventListener("click", () => press(node));
    box.append(node);
    return node;
  };
  if (data.is_unclear) {
    const label = element("label", {}, words.attach_label);
    const input = element("input", { type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false" });
    label.append(input);
    box.append(label);
    button(words.attach, async (node) => {
      if (input.value.trim()) done(await act(data.job_id, "attach", node, words.attach, { request_id: input.value.trim() }));
    });
  }
  const again = (node, action) => act(data.job_id, action, node, node.textContent).then(done);
  // The service accepted nothing, so a new request cannot be charged twice.
  if (["try_again", "add_funds"].includes(data.action)) {
    button(words.try_again, (node) => again(node, "try-again")).dataset.paid = "";
  }
  if (data.is_unclear) {
    button(words.submit_again, (node) => {
      const sure = element("div", { class: "sure", role: "alertdialog", "aria-label": words.submit_again_sure });
      const yes = element("button", { type: "button" }, words.submit_again_sure);
      const no = element("button", { type: "button" }, words.keep_waiting);
      arm(yes).addEventListener("click", () => again(yes, "send-again"));
      no.addEventListener("click", () => { sure.replaceWith(node); node.focus(); });
      sure.append(yes, no);
      node.replaceWith(sure);
      no.focus();
    });
  }
  if (["submit_unclear", "failed", "cancelled"].includes(data.state)) {
    const text = data.put_aside ? words.bring_back : words.put_aside;
    button(text, (node) => act(data.job_id, data.put_aside ? "restore" : "archive", node, text).then(done));
  }
  return box;
}
