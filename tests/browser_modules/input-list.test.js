/* Input images are added and moved within the model's bounds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { added, keyOf, moved, thumbnailOf } from "../../dreamina_ui/web/static/inputs/list.js";

test("an image is there once, and a full list takes no more", () => {
  assert.deepEqual(added(["a"], ["b", "a", "b"], 10), { urls: ["a", "b"], leftOut: 0 });
  assert.deepEqual(added(["a", "b"], ["c", "d"], 3), { urls: ["a", "b", "c"], leftOut: 1 });
  assert.deepEqual(added(["a"], ["b", "c"], null), { urls: ["a", "b", "c"], leftOut: 0 });
});

test("where there is room for one, the new image takes its place", () => {
  assert.deepEqual(added(["a"], ["b"], 1), { urls: ["b"], leftOut: 0 });
  assert.deepEqual(added(["a"], [], 1), { urls: ["a"], leftOut: 0 });
});

test("an image moves by some places and not beyond the ends", () => {
  assert.deepEqual(moved(["a", "b", "c"], 0, 1), ["b", "a", "c"]);
  assert.deepEqual(moved(["a", "b", "c"], 2, -2), ["c", "a", "b"]);
  assert.deepEqual(moved(["a", "b", "c"], 0, -1), ["a", "b", "c"]);
  assert.deepEqual(moved(["a", "b", "c"], 1, 9), ["a", "c", "b"]);
});

test("only a given image has a thumbnail by its key", () => {
  const key = "0123456789abcdef0123456789abcdef";
  assert.equal(keyOf(`dreamina-input:${key}`), key);
  assert.equal(thumbnailOf(`dreamina-input:${key}`), `given/images/${key}.webp`);
  assert.equal(thumbnailOf("https://example.com/a.png"), "");
});
