// @ts-nocheck
/* Compare two pictures: one over the other with a movable line between them, or side by side. */

import { element, iconAnd } from "../core/dom.js";
import { language } from "../core/facts.js";
import { request, url } from "../core/http.js";
import { clearNote, tell } from "../core/toast.js";
import { words } from "../core/words.js";

let first = null; // the first selected picture: {job_id, file_key}

// A button beside a picture: the first click selects it, a click at another picture compares the two.
export function compareButton(jobId, output) {
  const node = element("button", { type: "button", class: "compare-with", "data-compare": output.file_key, title: words.compare }, ...iconAnd("compare", words.compare));
  node.setAttribute("aria-label", `${words.compare}: ${output.index + 1}`);
  node.ariaPressed = String(first?.file_key === output.file_key);
  node.addEventListener("click", () => choose({ job_id: jobId, file_key: output.file_key }));
  return node;
}

function choose(picture) {
  const before = first;
  remember(before ? null : picture);
  if (!before) return tell(words.compare_choose, () => remember(null));
  clearNote();
  if (before.file_key !== picture.file_key) openCompare(before, picture);
}

function remember(picture) {
  first = picture;
  document.querySelectorAll("[data-compare]").forEach((node) => {
    node.ariaPressed = String(picture?.file_key === node.dataset.compare);
  });
}

// Compare two pictures, each {job_id, file_key}.
export async function openCompare(...pictures) {
  const back = document.activeElement;
  let found;
  try {
    found = await Promise.all(pictures.map(read));
  } catch {
    return tell(words.library_failed);
  }
  const dialog = element("dialog", { class: "compare", "aria-label": words.compare_title });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (back?.isConnected) back.focus();
  });
  dialog.append(...build(dialog, found));
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("input[type=range]").focus();
}

async function read({ job_id, file_key }) {
  const reply = await request(`jobs/${job_id}`);
  if (!reply.ok) throw new Error();
  const job = await reply.json();
  const output = job.outputs.find((one) => one.file_key === file_key);
  if (output?.state !== "kept") throw new Error();
  return { job, output };
}

function build(dialog, found) {
  const panes = found.map(({ output }) => element("div", { class: "compare-pane" },
    element("img", { src: url(output.preview), alt: output.alt, width: output.width, height: output.height })));
  const line = element("input", { type: "range", min: 0, max: 100, value: 50, class: "compare-line", "aria-label": words.compare_line });
  const stage = element("div", { class: "compare-stage" }, ...panes, line);
  const [{ output: a }, { output: b }] = found;
  const ratio = a.width / a.height;
  stage.style.setProperty("--ratio", ratio);
  stage.toggleAttribute("data-broad", ratio > 1);
  const move = () => {
    stage.style.setProperty("--cut", `${line.value}%`);
    line.setAttribute("aria-valuetext", (line.value / 100).toLocaleString(language, { style: "percent" }));
  };
  line.addEventListener("input", move);
  move();

  const beside = toggle(words.compare_beside, (isOn) => {
    stage.toggleAttribute("data-beside", isOn);
    line.hidden = isOn;
  });
  const full = toggle(words.compare_full, (isOn) => {
    stage.toggleAttribute("data-full", isOn);
    // Both as wide as the wider one, at one of its pixels per screen pixel.
    const width = Math.max(a.width, b.width) / devicePixelRatio;
    panes.forEach((pane, place) => {
      const { output } = found[place];
      pane.firstChild.src = url(isOn ? output.original : output.preview);
      pane.firstChild.style.width = isOn ? `${width}px` : "";
      if (isOn) pane.tabIndex = 0; // so that the arrow keys scroll it
      else pane.removeAttribute("tabindex");
    });
  });
  panes.forEach((pane, place) => pane.addEventListener("scroll", () => follow(pane, panes[1 - place])));
  const close = element("button", { type: "button" }, words.close);
  close.addEventListener("click", () => dialog.close());
  const notes = Math.abs(ratio - b.width / b.height) > 0.01 ? [element("p", { class: "hint" }, words.compare_shapes)] : [];
  return [element("div", { class: "compare-tools" }, beside, full, close), stage, ...notes, table(found)];
}

function toggle(text, press) {
  const node = element("button", { type: "button", "aria-pressed": "false" }, text);
  node.addEventListener("click", () => {
    const isOn = node.ariaPressed !== "true";
    node.ariaPressed = String(isOn);
    press(isOn);
  });
  return node;
}

// Both panes show the same part, even where one picture is taller than the other.
function follow(moved, other) {
  const part = (at, all, shown) => (all > shown ? at / (all - shown) : 0);
  const left = part(moved.scrollLeft, moved.scrollWidth, moved.clientWidth) * (other.scrollWidth - other.clientWidth);
  const top = part(moved.scrollTop, moved.scrollHeight, moved.clientHeight) * (other.scrollHeight - other.clientHeight);
  if (Math.abs(other.scrollLeft - left) > 1 || Math.abs(other.scrollTop - top) > 1) other.scrollTo(left, top);
}

function table(found) {
  return element("ol", { class: "compare-facts" }, ...found.map(({ job, output }) => element("li", {},
    element("span", { dir: "auto" }, job.prompt), element("small", {}, [job.settings, output.facts].filter(Boolean).join(" · ")))));
}
