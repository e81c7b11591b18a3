import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { KEYS, KeyReader, nameOf, ratingOf, rowsByScope } from "../../dreamina_ui/web/static/core/keys.js";

const NONE = { code: "", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, repeat: false };
const stroke = (key, more = {}) => ({ ...NONE, key, ...more });
const action = (row) => row?.action ?? null;

test("a keystroke has the table's name on every layout", () => {
  assert.equal(nameOf(stroke("R", { shiftKey: true })), "Shift+R");
  assert.equal(nameOf(stroke("?", { shiftKey: true })), "?");
  assert.equal(nameOf(stroke("Enter", { metaKey: true })), "Mod+Enter");
  assert.equal(nameOf(stroke("ы", { code: "KeyS" })), "s");
  assert.equal(nameOf(stroke("ㄴ", { code: "KeyS" })), "s");
  assert.equal(nameOf(stroke(" ")), "Space");
  assert.equal(nameOf(stroke("r", { code: "KeyO" })), "r");
});

test("Shift and a digit is a rating, whatever the layout prints on that key, unless it zooms", () => {
  const read = (key, code) => nameOf(stroke(key, { code, shiftKey: true }));
  assert.equal(read("!", "Digit1"), "Shift+1");
  assert.equal(read("§", "Digit3"), "Shift+3");
  assert.equal(nameOf(stroke("&", { code: "Digit1" })), "Shift+1", "where digits need Shift, their other character");
  assert.equal(read("1", "Digit1"), "1");
  assert.equal(read("+", "Digit1"), "+", "in Switzerland");
  assert.equal(ratingOf(stroke("$", { code: "Digit4" })), 4);
});

test("no two rows of a scope share a key", () => {
  for (const [scope, rows] of rowsByScope()) {
    const keys = rows.flatMap((row) => row.keys);
    assert.deepEqual(keys, [...new Set(keys)], scope);
  }
});

test("every row has a text in every language", () => {
  const folder = new URL("../../dreamina_ui/web/i18n/languages/", import.meta.url);
  for (const language of ["en", "de", "es", "ja", "ko", "zh-CN"]) {
    const words = JSON.parse(readFileSync(new URL(`${language}.json`, folder), "utf8"));
    const missing = KEYS.map((row) => row.text).filter((text) => !words[text]);
    assert.deepEqual(missing, [], language);
  }
});

test("every key that is one character can be switched off", () => {
  const single = KEYS.filter((row) => row.keys.some((key) => key.length === 1 || /^Shift\+[A-Z]$|^. .$/.test(key)));
  assert.deepEqual(single.filter((row) => !row.single), []);
  const reader = new KeyReader(KEYS, () => false);
  assert.equal(reader.read(stroke("s"), ["viewer", "everywhere"], 0), null);
  assert.equal(reader.read(stroke("g"), ["everywhere"], 0), null);
  assert.equal(reader.read(stroke("l"), ["everywhere"], 100), null);
  assert.equal(action(reader.read(stroke("ArrowRight"), ["viewer"], 0)), "next");
});

test("g and a letter go to a tab, also where the letter alone means something else", () => {
  const reader = new KeyReader();
  assert.equal(reader.read(stroke("g"), ["viewer", "everywhere"], 0), null);
  assert.equal(action(reader.read(stroke("c"), ["viewer", "everywhere"], 400)), "go-create");
  assert.equal(action(reader.read(stroke("c"), ["viewer", "everywhere"], 500)), "compare");
  assert.equal(reader.read(stroke("g"), ["everywhere"], 1000), null);
  assert.equal(reader.read(stroke("l"), ["everywhere"], 9000), null);
});

test("a held key acts once, except where it moves or zooms", () => {
  const reader = new KeyReader();
  assert.equal(reader.read(stroke("Enter", { repeat: true }), ["viewer"], 0), null);
  assert.equal(reader.read(stroke("s", { repeat: true }), ["viewer"], 0), null);
  assert.equal(action(reader.read(stroke("ArrowRight", { repeat: true }), ["viewer"], 0)), "next");
});

test("somebody who types is left alone", () => {
  const reader = new KeyReader();
  for (const key of ["s", "/", "?", "Delete", "ArrowLeft"]) {
    assert.equal(reader.read(stroke(key), ["viewer", "grid", "everywhere"], 0, true), null, key);
  }
  assert.equal(action(reader.read(stroke("ArrowUp", { altKey: true }), ["everywhere"], 0, true)), "older-prompt");
  assert.equal(action(reader.read(stroke("Enter", { ctrlKey: true }), ["everywhere"], 0, true)), "generate");
});

test("the innermost scope decides", () => {
  const reader = new KeyReader();
  assert.equal(action(reader.read(stroke("Enter"), ["grid", "everywhere"], 0)), "open");
  assert.equal(action(reader.read(stroke("Enter"), ["viewer", "everywhere"], 0)), "toggle-zoom");
  assert.equal(reader.read(stroke("Enter"), ["everywhere"], 0), null);
});
