import assert from "node:assert/strict";
import { test } from "node:test";
import { fillIn, shortenTo } from "../../dreamina_ui/web/static/core/plural.js";

test("one form for 1 and another for all other numbers", () => {
  const text = "{count} {count:job|jobs}";
  assert.equal(fillIn(text, { count: 1 }, "en"), "1 job");
  assert.equal(fillIn(text, { count: 0 }, "en"), "0 jobs");
  assert.equal(fillIn(text, { count: 12345 }, "de"), "12.345 jobs");
});

test("what a visitor wrote is no placeholder", () => {
  assert.equal(fillIn("Not sent: {prompt}", { prompt: "{count} $&" }, "en"), "Not sent: {count} $&");
});

test("a text is cut between characters", () => {
  assert.equal(shortenTo("🦊🦊🦊", 2), "🦊🦊…");
  assert.equal(shortenTo("abc", 3), "abc");
});
