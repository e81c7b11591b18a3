/* The page's modules come together here: elements, and what happens when one of them asks for something. */

import { ApiKey } from "./api-key/api-key.js";
import { imageAction, jobAction } from "./core/actions.js";
import { define } from "./core/dom.js";
import { openWithKeys } from "./core/keyboard.js";
import { startGuard } from "./core/press-guard.js";
import { resume } from "./core/requests.js";
import { router } from "./core/router.js";
import { refreshes, startWatching } from "./core/stream.js";
import { tell } from "./core/toast.js";
import { say, words } from "./core/words.js";
import { startAnnouncing } from "./feed/announcer.js";
import { Feed } from "./feed/feed.js";
import { startFollowingFocus } from "./feed/focus.js";
import { FormBridge } from "./form/bridge.js";
import { startCommitting } from "./form/commit.js";
import { showFields, showInputFiles } from "./form/fields.js";
import { submission, submitted, tellUnknown } from "./form/generate.js";
import { copyLink, startFollowing } from "./form/link.js";
import { MoreModels } from "./form/more-models.js";
import { FormNotes, FormProblem } from "./form/notes.js";
import { terms } from "./form/price.js";
import { showPromptTools } from "./form/prompt-tools.js";
import { editImages, useSettings } from "./form/settings.js";
import { startTaking } from "./form/settings-from-image.js";
import { Sheet } from "./form/sheet.js";
import { form } from "./form/state.js";
import { Tools } from "./form/tools.js";
import { startAdminTab } from "./header/admin-tab.js";
import { ConnectionNotice } from "./header/connection-notice.js";
import { Header } from "./header/header.js";
import { startShortcuts } from "./help/shortcuts.js";
import { Notices, startNotices } from "./notices/notices.js";
import { loadBatch, loadLibrary, loadViewer, startLoading } from "./parts.js";
import { Stage } from "./stage/stage.js";

/* --- what elements ask for */

/**
 * @param {string} name
 * @param {(detail: any) => unknown} handle
 */
function on(name, handle) {
  document.addEventListener(name, (event) => handle(/** @type {CustomEvent} */ (event).detail));
}

on("job-action", ({ action, job_id, body }) => jobAction(action, job_id, body));
on("image-action", ({ action, item }) => imageAction(action, item));
on("open-image", ({ source, id }) => openWithKeys(async () => (await loadViewer())?.open(source, id)));
on("compare-images", ({ source, items }) => openWithKeys(async () => (await loadViewer())?.compare(source, items)));
on("use-settings", useSettings);
on("edit-image", async ({ file }) => {
  const { uploads } = await import("./inputs/uploads.js");
  editImages(uploads.library([file]));
});
on("copy-settings-link", ({ job }) => copyLink(job));
on("choose-boards", async ({ files }) => (await import("./boards/choose.js")).chooseBoards(files));
on("share-image", async ({ item, byLink }) => (await import("./share/share.js")).shareImage(item, byLink));
on("share-board", async ({ board }) => (await import("./share/share.js")).shareBoard(board));
on("list-shares", async () => (await import("./share/share.js")).listShares());
on("show-history", async () => (await import("./takeaway/takeaway.js")).showHistory(() => library()?.reload()));
on("batch-started", batchStarted);
on("insert-in-batch", async ({ text }) => (await openBatch())?.insert(text));
on("vary-in-batch", async ({ job }) => (await openBatch())?.vary(job));
on("open-api-key", () => {
  const node = document.querySelector("dreamina-api-key");
  if (node instanceof ApiKey) node.open();
});

/** @param {import("./core/types.js").Outcome} outcome */
function batchStarted(outcome) {
  tell(outcome.refusal ?? say("batch_started", { count: outcome.answer.total }));
  if (outcome.answer && router.state.tab === "batch") batch()?.open(outcome.answer.batch_id);
}

/** @returns {import("./batch/batch.js").Batch | null} null before its tab was first opened */
function batch() {
  return document.querySelector("dreamina-batch:defined");
}

/** Show the form of batches, which Gradio makes when its tab is first opened. */
async function openBatch() {
  router.go({ tab: "batch", image: null, query: {} });
  await loadBatch();
  for (let attempt = 0; attempt < 200 && !batch(); attempt += 1) await new Promise((wait) => setTimeout(wait, 25));
  return batch();
}

/** @returns {import("./library/library.js").Library | null} null before its tab was first opened */
function library() {
  return document.querySelector("dreamina-library:defined");
}

/* --- elements */

define("dreamina-header", Header);
define("dreamina-connection", ConnectionNotice);
define("dreamina-form-bridge", FormBridge);
define("dreamina-form-problem", FormProblem);
define("dreamina-form-notes", FormNotes);
define("dreamina-sheet", Sheet);
define("dreamina-more-models", MoreModels);
define("dreamina-api-key", ApiKey);
define("dreamina-notices", Notices);
define("dreamina-tools", Tools);
define("dreamina-stage", Stage);
define("dreamina-feed", Feed);

/* --- the page */

if (document.readyState === "loading") {
  await new Promise((parsed) => document.addEventListener("DOMContentLoaded", parsed, { once: true }));
}
document.body.prepend(document.createElement("dreamina-connection"));

startGuard();
startCommitting();
startTaking();
startNotices();
startAnnouncing();
startFollowingFocus();
form.addEventListener("change", showFields);
form.addEventListener("change", showPromptTools);
form.addEventListener("change", showInputFiles);
refreshes.addEventListener("refresh", () => terms.refresh());
form.ready.then(() => {
  form.dispatchEvent(new Event("change")); // Gradio may have restored the draft before anything here listened
  document.getElementById("form")?.toggleAttribute("data-ready", true);
  document.getElementById("loading")?.remove();
});
router.start();
startAdminTab();
startLoading();
startShortcuts(async () => (await loadLibrary())?.focusLibrarySearch());
startWatching();
startFollowing();
document.documentElement.dataset.dreamina = "ready";
document.getElementById("load-failed")?.remove();

// What the server had not answered when the page was left.
resume([
  { matches: (path) => path === "generate", unknown: tellUnknown, done: submitted },
  { matches: (path) => path.endsWith("/submit-again"), unknown: () => tell(words.press_unknown), done: submitted },
  { matches: (path) => path.endsWith("/retry"), unknown: () => tell(words.press_unknown), done: ({ refusal }) => refusal && tell(refusal) },
  { matches: (path) => path === "batches", unknown: () => tell(words.batch_unknown), done: batchStarted },
]);
submission.dispatchEvent(new Event("change"));
