/* Everything a visitor made: to take along, to bring from elsewhere, or to delete. */

import { showDialog, useStyle } from "../core/dialogs.js";
import { button, element } from "../core/dom.js";
import { get, identity, outcomeOf, post, request, url } from "../core/http.js";
import { forgetAll } from "../core/storage.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";

/** @typedef {{total: number, jobs: number, images: number, known: number, skipped: number, problems: string[], is_done: boolean, error: string}} Progress */

await useStyle(new URL("../boards/boards.css", import.meta.url));
const POLL_MS = 700;

/** @param {() => unknown} onImported */
export async function showHistory(onImported) {
  const { is_all: isAll } = await get("history/import").catch(() => ({ is_all: false }));
  const usage = await get("library/usage", { whose: isAll ? "" : "mine" }).catch(() => null);
  const save = element("a", { class: "button", href: url("history/export", { visitor: identity() }).href, download: true }, words.history_export);
  return showDialog(words.history, "history",
    element("p", {}, isAll ? words.history_about_all : words.history_about),
    element("div", { class: "row" }, save, ...(usage ? [element("small", {}, say("library_usage", usage))] : [])),
    element("hr"), ...importParts(onImported),
    element("hr"), ...eraseParts(isAll));
}

/** @param {() => unknown} onImported */
function importParts(onImported) {
  const input = element("input", { type: "file", accept: ".zip,application/zip", hidden: true });
  const bar = element("progress", { max: 1, hidden: true });
  const status = element("p", { role: "status" });
  const show = (/** @type {Progress} */ progress) => {
    bar.hidden = progress.is_done;
    if (progress.total) bar.value = progress.jobs / progress.total;
    else bar.removeAttribute("value");
    status.textContent = progress.error || say(progress.is_done ? "history_done" : "history_progress", progress);
  };
  const follow = async () => {
    for (;;) {
      const progress = await get("history/import").catch(() => null);
      if (progress && progress.total === undefined) throw new Error(words.history_failed); // the server has restarted
      if (progress) show(progress);
      if (progress?.is_done) return;
      await new Promise((wait) => setTimeout(wait, POLL_MS));
    }
  };
  const start = button(words.history_import, () => input.click(), { class: "main" });
  input.addEventListener("change", async () => {
    const [file] = input.files ?? [];
    if (!file) return;
    start.disabled = true;
    bar.hidden = false;
    status.textContent = "";
    try {
      const response = await request("history/import", { method: "POST", headers: { "Content-Type": "application/zip" }, body: file });
      const { refusal } = outcomeOf(response, await response.json());
      if (refusal) throw new Error(refusal);
      await follow();
      onImported();
    } catch (error) {
      bar.hidden = true;
      status.textContent = error instanceof Error && !(error instanceof TypeError) ? error.message : words.request_failed;
    }
    start.disabled = false;
    input.value = ""; // the same file again is a change, too
  });
  return [element("p", {}, words.history_import_about), element("div", { class: "row" }, start, input), bar, status];
}

/** @param {boolean} isAll whether it concerns everything on this machine */
function eraseParts(isAll) {
  const sure = element("input", { type: "checkbox" });
  const erase = button(isAll ? words.history_erase_everything : words.history_erase, async () => {
    const { refusal } = await post("history/erase", { confirm: true });
    if (refusal) return tell(refusal);
    forgetAll();
    tell(words.history_erased);
    setTimeout(() => location.reload(), 800);
  }, { class: "danger", disabled: true });
  sure.addEventListener("change", () => { erase.disabled = !sure.checked; });
  return [
    element("p", {}, isAll ? words.history_erase_all : words.history_erase_about),
    element("label", {}, sure, element("span", {}, isAll ? words.history_erase_confirm_all : words.history_erase_confirm)),
    element("div", { class: "row" }, erase),
  ];
}
