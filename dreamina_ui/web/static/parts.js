/* Parts of the page that are loaded when somebody first opens them. */

import { define, element, whenIdle } from "./core/dom.js";
import { facts } from "./core/facts.js";
import { jobs } from "./core/jobs.js";
import { router } from "./core/router.js";
import { words } from "./core/words.js";

export const loadLibrary = once("library", async () => {
  const module = await import("./library/library.js");
  define("dreamina-library", module.Library);
  return module;
});

export const loadBatch = once("batch", async () => {
  const module = await import("./batch/batch.js");
  define("dreamina-batch", module.Batch);
  return module;
});

export const loadViewer = once("viewer", async () => {
  const [{ Viewer }, { connectRouter }] = await Promise.all([import("./viewer/viewer.js"), import("./viewer/routing.js")]);
  define("dreamina-viewer", Viewer);
  const viewer = new Viewer();
  document.body.append(viewer);
  connectRouter(viewer);
  return viewer;
});

/** Load what the URL leads to, now and from now on, and what the pointer or the focus is at, which is a moment earlier. */
export function startLoading() {
  router.addEventListener("change", follow);
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, prepare, { passive: true });
  jobs.addEventListener("settled", loadForImages);
  follow();
}

/** @param {Event} event */
function prepare({ target }) {
  const node = target instanceof Element ? target.closest("[role=tab], .tile") : null;
  if (node?.matches(".tile")) loadViewer();
  else if (node?.textContent === words.tab_library) loadLibrary().then((module) => module?.prepareLibrary());
  else if (node?.textContent === words.batch) loadBatch();
}

// Whoever has images opens the library sooner or later; a first visit does not load it.
function loadForImages() {
  if (!jobs.all().some(({ outputs }) => outputs.length)) return;
  jobs.removeEventListener("settled", loadForImages);
  if (!savesData()) whenIdle(loadLibrary);
}

/** Whether the visitor asked for as few bytes as possible; not every browser says so. */
function savesData() {
  return Boolean(/** @type {{connection?: {saveData?: boolean}}} */ (navigator).connection?.saveData);
}

function follow() {
  const { tab, image } = router.state;
  if (tab === "library") loadLibrary();
  if (tab === "batch") loadBatch();
  if (image) loadViewer();
}

/**
 * @template T
 * @param {string} part a name in `facts.parts`
 * @param {() => Promise<T>} load
 * @returns {() => Promise<T | null>} loads at the first call; null where it failed, as the page then says; the next call tries again
 */
function once(part, load) {
  /** @type {Promise<T> | null} */
  let loading = null;
  return async () => {
    if (!loading) preload(facts.parts[part]);
    try {
      return await (loading ??= load());
    } catch {
      loading = null;
      window.dispatchEvent(new Event("load-failed"));
      return null;
    }
  };
}

/** Request all modules at once, and not each when another one imports it. @param {string[]} names */
function preload(names) {
  document.head.append(...names.map((name) => element("link", { rel: "modulepreload", href: new URL(name, import.meta.url) })));
}
