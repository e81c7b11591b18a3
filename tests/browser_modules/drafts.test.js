import assert from "node:assert/strict";
import { test } from "node:test";
import { asTyped, carryTexts, draftOf, valuesOver } from "../../dreamina_ui/web/static/form/drafts.js";

const field = (parameter, over = {}) => ({ parameter, key: parameter, choices: [], is_text: false, typed_as: "value", ...over });
const models = [
  { model_id: "one", fields: [field("prompt", { is_text: true }), field("size", { choices: ["s", "l"] })] },
  { model_id: "two", fields: [field("prompt", { is_text: true })] },
];
const initial = ["one", "", "s", ""];

test("a draft comes back, and what does not fit any more is left out", () => {
  const draft = draftOf(models, ["two", "a fox", "xl", "a hen"]);
  assert.deepEqual(valuesOver(models, initial, draft), ["two", "a fox", "s", "a hen"]);
});

test("a damaged draft and one of an early version are no problem", () => {
  assert.deepEqual(valuesOver(models, initial, null), initial);
  assert.deepEqual(valuesOver(models, initial, { prompt: "old", size: 3 }), ["one", "old", "s", ""]);
});

test("another model takes over the text that it does not have yet", () => {
  assert.deepEqual(carryTexts(models, initial, ["two", "a fox", "s", ""], models[0]), ["two", "a fox", "s", "a fox"]);
  assert.deepEqual(carryTexts(models, initial, ["two", "a fox", "s", "mine"], models[0]), ["two", "a fox", "s", "mine"]);
});

test("a value stands in its component's format", () => {
  assert.equal(asTyped(field("urls", { typed_as: "lines" }), ["a", "b"]), "a\nb");
  assert.equal(asTyped(field("json", { typed_as: "json" }), { a: 1 }), '{"a":1}');
});
