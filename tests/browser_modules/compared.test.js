import assert from "node:assert/strict";
import test from "node:test";
import { comparable, firstCompared, swapLast, withOrWithout } from "../../dreamina_ui/web/static/viewer/compared.js";

const item = (id, kind = "image") => ({ id, kind, job_id: id.split("/")[0] });
const [a0, a1, a2, a3, a4, b0, c0] = ["a/0", "a/1", "a/2", "a/3", "a/4", "b/0", "c/0"].map((id) => item(id));
const video = item("v/0", "video");
const ids = (items) => items?.map(({ id }) => id).join(" ");

test("a comparison begins with the images of the same job, four at most", () => {
  assert.equal(ids(firstCompared([a0, a1, a2, a3, b0], a1)), "a/0 a/1 a/2 a/3");
  assert.equal(ids(firstCompared([a0, a1, a2, a3, a4], a4)), "a/0 a/1 a/2 a/4");
});

test("an image alone is compared with its neighbor, and never with a video", () => {
  assert.equal(ids(firstCompared([a0, b0, c0], b0)), "b/0 c/0");
  assert.equal(ids(firstCompared([b0, video, c0], c0)), "c/0 b/0");
  assert.equal(ids(firstCompared([b0, video], b0)), "b/0");
});

test("images are added and taken out", () => {
  assert.equal(ids(withOrWithout([a0, a1], a0)), "a/1");
  assert.equal(ids(withOrWithout([a0], b0)), "a/0 b/0");
  assert.equal(ids(comparable([b0, video, c0], [a0, b0])), "a/0 b/0 c/0");
});

test("the last image is swapped for the next one that is not compared", () => {
  const choice = [a0, a1, b0, c0];
  assert.equal(ids(swapLast([b0, a0], choice, 1)), "b/0 a/1");
  assert.equal(ids(swapLast([b0, a1], choice, 1)), "b/0 c/0");
  assert.equal(swapLast([b0, c0], choice, 1), null);
});
