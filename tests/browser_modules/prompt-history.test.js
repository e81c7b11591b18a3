import assert from "node:assert/strict";
import test from "node:test";
import { PromptHistory } from "../../dreamina_ui/web/static/core/prompt-history.js";

test("old prompts come back one by one, and what was typed at the end", () => {
  const history = new PromptHistory();
  const prompts = ["third", "second", "second", "", "first"];
  assert.equal(history.move(1, "draft", prompts), "third");
  assert.equal(history.move(1, "third", prompts), "second");
  assert.equal(history.move(1, "second", prompts), "first");
  assert.equal(history.move(1, "first", prompts), null);
  assert.equal(history.move(-1, "first", prompts), "second");
  assert.equal(history.move(-1, "second", prompts), "third");
  assert.equal(history.move(-1, "third", prompts), "draft");
  assert.equal(history.move(-1, "draft", prompts), null);
});

test("a prompt that was changed is the new draft", () => {
  const history = new PromptHistory();
  assert.equal(history.move(1, "", ["second", "first"]), "second");
  assert.equal(history.move(1, "second, at night", ["second", "first"]), "second");
  assert.equal(history.move(-1, "second", ["second", "first"]), "second, at night");
});
