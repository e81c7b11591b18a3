/* What presets and wildcards make of a prompt. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { filled, hasWildcards, newSeed, nextChoice } from "../../dreamina_ui/web/static/prompts/fill.js";

test("a preset puts the prompt into its template", () => {
  assert.equal(filled("{prompt}, film noir", "a fox "), "a fox, film noir");
  assert.equal(filled("ink of {prompt} and {prompt}", "$& a"), "ink of $& a and $& a");
  assert.equal(filled("{prompt}, film noir", ""), "film noir");
  assert.equal(filled("only this", "a fox"), "only this");
});

test("a wildcard is a name between two lines on each side, unless it is protected", () => {
  for (const text of ["a __color__", "__動物__", "__a_b-c__"]) assert.ok(hasWildcards(text), text);
  for (const text of ["a__b", "____", "__ color __", "\\\\__color__".slice(1), "snake_case_name"]) assert.ok(!hasWildcards(text), text);
});

test("the next choice follows the one that is set, and the first the last", () => {
  assert.equal(nextChoice(["a", "b", "c"], "a"), "b");
  assert.equal(nextChoice(["a", "b", "c"], "c"), "a");
  assert.equal(nextChoice(["a"], "a"), undefined);
});

test("a seed is one that the server takes", () => {
  const seed = newSeed();
  assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
});
