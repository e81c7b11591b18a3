import assert from "node:assert/strict";
import test from "node:test";

import { arrange, byDay, dayLabel, isSlim, tilesOf, ratioOf } from "../../dreamina_ui/web/static/feed/order.js";
import { stageGrid } from "../../dreamina_ui/web/static/stage/layout.js";

const kept = (index) => ({ index, state: "kept", width: 2, height: 1 });
const job = (job_id, more = {}) => ({ job_id, created_at: 0, state: "done", active: false, outputs: [kept(0)], ...more });
const failed = (job_id) => job(job_id, { state: "failed", outputs: [] });
const total = (lengths) => lengths.reduce((sum, length) => sum + length, 0);

test("the newest job with images is on the stage", () => {
  const jobs = [failed("d"), job("c"), failed("b"), job("a")];
  const { newer, stage, older } = arrange(jobs);
  assert.deepEqual([newer, [stage], older].map((list) => list.map((each) => each.job_id)), [["d"], ["c"], ["b", "a"]]);
  assert.deepEqual(arrange([failed("a")]), { newer: [], stage: null, older: [failed("a")] });
});

test("a job that runs is no slim row, nor one that failed with images", () => {
  assert.equal(isSlim(job("a", { state: "running", active: true, outputs: [] })), false);
  assert.equal(isSlim(job("a", { state: "failed" })), false);
  assert.equal(isSlim(job("a", { state: "failed", outputs: [{ index: 0, state: "damaged" }] })), true);
});

test("as many tilesOf are kept as images are expected", () => {
  const running = job("a", { state: "running", active: true, outputs: [], expected: { files: 4, width: 3, height: 2 } });
  assert.equal(tilesOf(running).length, 4);
  assert.equal(ratioOf(running), 1.5);
  const saving = { ...running, state: "saving", outputs: [kept(0), { index: 1, state: "pending" }, { index: 2, state: "damaged" }] };
  assert.deepEqual(tilesOf(saving).map(({ output }) => output?.state), ["kept", undefined, "damaged"]);
  assert.equal(tilesOf(job("a")).length, 1, "nothing is awaited any more");
});

test("jobs stand under the day of the reader's calendar", () => {
  const noon = new Date(2026, 10, 29, 12).getTime() / 1000;
  const jobs = [job("c", { created_at: noon }), job("b", { created_at: noon - 3600 }), job("a", { created_at: noon - 13 * 3600 })];
  assert.deepEqual(byDay(jobs).map((day) => day.jobs.length), [2, 1]);
  assert.equal(dayLabel(noon, noon, "en"), "Today");
  assert.equal(dayLabel(noon - 13 * 3600, noon, "de"), "Gestern");
  assert.equal(dayLabel(noon - 5 * 86400, noon, "en"), "Tuesday, November 24");
});

test("every number of images fits the stage and no image is cut", () => {
  for (const count of [1, 2, 3, 4, 5, 9]) {
    for (const ratio of [9 / 16, 1, 4 / 3, 21 / 9]) {
      const { columns, rows } = stageGrid(count, ratio, 1040, 648, 4);
      assert.ok(total(columns) + 4 * (columns.length - 1) <= 1040.01, `${count} of ${ratio} are too wide`);
      assert.ok(total(rows) + 4 * (rows.length - 1) <= 648.01, `${count} of ${ratio} are too high`);
    }
  }
});

test("one fills the stage, two stand side by side, four as two by two, and three leave no hole", () => {
  const shape = (count, ratio = 1, width = 1040) => {
    const { columns, rows, lead } = stageGrid(count, ratio, width, 648, 4);
    return [columns.length, rows.length, lead];
  };
  assert.deepEqual(shape(1), [1, 1, "none"]);
  assert.deepEqual(shape(2), [2, 1, "none"]);
  assert.deepEqual(shape(4), [2, 2, "none"]);
  assert.deepEqual(shape(3), [2, 2, "tall"]);
  assert.deepEqual(shape(3, 1, 390), [2, 2, "wide"], "on a phone");
});

test("a larger first image has the shape of the others", () => {
  for (const { width, ratio, lead } of [{ width: 1040, ratio: 1.5, lead: "tall" }, { width: 390, ratio: 1, lead: "wide" }]) {
    const { columns, rows, lead: chosen } = stageGrid(3, ratio, width, 648, 4);
    assert.equal(chosen, lead);
    const large = lead === "tall" ? columns[0] / (total(rows) + 4) : (total(columns) + 4) / rows[0];
    const small = columns[1] / rows[1];
    assert.ok(Math.abs(large - ratio) < 0.01 && Math.abs(small - ratio) < 0.01);
  }
});
