import assert from "node:assert/strict";
import test from "node:test";
import { otherJob, preloadOrder } from "../../dreamina_ui/web/static/viewer/preload.js";

test("the neighbor in the direction of the last move is loaded first", () => {
  assert.deepEqual(preloadOrder(5, 10, 1), [6, 4, 7]);
  assert.deepEqual(preloadOrder(5, 10, -1), [4, 6, 3]);
  assert.deepEqual(preloadOrder(0, 2, 1), [1]);
  assert.deepEqual(preloadOrder(0, 1, 1), []);
});

test("up and down lead to the first image of another job", () => {
  const jobs = ["a", "a", "b", "b", "b", "c"];
  assert.equal(otherJob(jobs, 0, 1), 2);
  assert.equal(otherJob(jobs, 3, 1), 5);
  assert.equal(otherJob(jobs, 5, 1), null);
  assert.equal(otherJob(jobs, 5, -1), 2);
  assert.equal(otherJob(jobs, 3, -1), 0);
  assert.equal(otherJob(jobs, 1, -1), null);
});
