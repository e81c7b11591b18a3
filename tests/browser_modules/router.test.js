import assert from "node:assert/strict";
import test from "node:test";

/** A browser whose Back takes a moment. */
const urls = ["#/create"];
const state = { opened: /** @type {(object | null)[]} */ ([null]) };
const page = new EventTarget();
globalThis.window = page;
globalThis.location = { pathname: "/", search: "", get hash() { return urls.at(-1); } };
globalThis.history = {
  get state() { return state.opened.at(-1); },
  pushState: (data, _, href) => { urls.push(href.slice(1)); state.opened.push(data); },
  replaceState: (data, _, href) => { urls.splice(-1, 1, href.slice(1)); state.opened.splice(-1, 1, data); },
  back: () => {},
};
const arrive = () => {
  urls.pop();
  state.opened.pop();
  page.dispatchEvent(new Event("popstate"));
};

test("a tab that is opened while the viewer closes is shown", async () => {
  const { router } = await import("../../dreamina_ui/web/static/core/router.js");
  router.start();
  router.showImage("job/0");
  assert.equal(location.hash, "#/create?image=job/0");
  router.closeImage();
  router.go({ tab: "library" });
  arrive();
  assert.equal(location.hash, "#/library");
  assert.equal(router.state.tab, "library");
});
