import assert from "node:assert/strict";
import { test } from "node:test";
import { JobStore } from "../../dreamina_ui/web/static/core/jobs.js";

const job = (over) => ({ job_id: "a", version: 1, created_at: 1, active: true, state: "running", elapsed_s: 5, run_s: 0, expected_s: 10, outputs: [], put_aside: false, ...over });

test("an older version of a job does not replace a newer one", () => {
  const store = new JobStore(() => 0);
  store.update([job({ version: 2, state: "done" })]);
  store.update([job({ version: 1 })]);
  assert.equal(store.get("a").state, "done");
});

test("newest first, archived ones left out", () => {
  const store = new JobStore(() => 0);
  store.update([job({ job_id: "a" }), job({ job_id: "b", created_at: 2 }), job({ job_id: "c", put_aside: true })]);
  assert.deepEqual(store.list().map(({ job_id }) => job_id), ["b", "a"]);
});

test("time and progress advance between two messages", () => {
  let now = 0;
  const store = new JobStore(() => now);
  store.update([job({})]);
  now = 5000;
  assert.equal(store.elapsed(store.get("a")), 10);
  assert.equal(store.progress(store.get("a")), 0.5);
});

test("a refusal stays with a job until the job changes, and takes nothing from its time", () => {
  let now = 0;
  const store = new JobStore(() => now);
  store.update([job({})]);
  now = 5000;
  store.refuse("a", "signed out");
  assert.equal(store.get("a").refusal, "signed out");
  assert.equal(store.elapsed(store.get("a")), 10);
  store.update([job({})]);
  assert.equal(store.get("a").refusal, "signed out");
  store.update([job({ version: 2 })]);
  assert.equal(store.get("a").refusal, undefined);
  store.refuse("unknown", "gone");
  assert.equal(store.get("unknown"), undefined);
});

test("a job whose cancellation was asked for shows that until the server has answered", () => {
  const store = new JobStore(() => 0);
  store.update([job({ cancelling: false })]);
  store.setCancelling("a", true);
  store.update([job({ version: 2, cancelling: false })]);
  assert.equal(store.get("a").cancelling, true);
  store.setCancelling("a", false);
  assert.equal(store.get("a").cancelling, false);
  store.setCancelling("unknown", true);
  assert.equal(store.get("unknown"), undefined);
});
