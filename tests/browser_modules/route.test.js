import assert from "node:assert/strict";
import { test } from "node:test";
import { readRoute, writeRoute } from "../../dreamina_ui/web/static/core/route.js";

test("tab, filters and image come back from the URL", () => {
  const route = { tab: "library", image: "0123abcd/2", query: { q: "red fox", favorites: "1" } };
  assert.equal(writeRoute(route), "#/library?q=red+fox&favorites=1&image=0123abcd/2");
  assert.deepEqual(readRoute(writeRoute(route)), route);
});

test("a link with settings is no route, and an unknown tab is the first one", () => {
  assert.equal(readRoute("#model=a&prompt=b"), null);
  assert.equal(readRoute("#/nowhere")?.tab, "create");
  assert.deepEqual(readRoute(""), { tab: "create", image: null, query: {} });
});
