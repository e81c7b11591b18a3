import assert from "node:assert/strict";
import test from "node:test";
import { fitting } from "../../dreamina_ui/web/static/form/fitting.js";

const field = (key, value_type, more = {}) => ({ key, parameter: key.replace("×", "_x_"), value_type, choices: [], ...more });
const FIELDS = [
  field("prompt", "string", { max_length: 10 }),
  field("width×height", "string", { choices: ["2048x2048(1:1)"] }),
  field("scale", "number", { minimum: 0, maximum: 1 }),
  field("seed", "integer"),
  field("single", "boolean"),
  field("image_urls", "array", { max_items: 2 }),
];

test("settings that fit are taken by parameter, null is no setting", () => {
  const inputs = { prompt: "a fox 🦊", "width×height": "2048x2048(1:1)", scale: 1, seed: null, single: false, image_urls: ["a", "b"] };
  const { parameters, leftOut } = fitting(FIELDS, inputs);
  assert.deepEqual(parameters, { prompt: "a fox 🦊", width_x_height: "2048x2048(1:1)", scale: 1, single: false, image_urls: ["a", "b"] });
  assert.deepEqual(leftOut, []);
});

test("wrong types, ranges, choices and lengths are left out and named", () => {
  for (const [key, values] of Object.entries({
    prompt: [["a", { b: 1 }], 7, "x".repeat(11), "\ud83e", true],
    "width×height": [{ x: 1 }, "1x1", 2048, ["2048x2048(1:1)"]],
    scale: ["0.5", -0.1, 1.01, Infinity, NaN, {}],
    seed: [1.5, "1", [1]],
    single: ["true", 1, []],
    image_urls: ["a", [1], ["a", "b", "c"], { 0: "a" }],
  })) {
    for (const value of values) assert.deepEqual(fitting(FIELDS, { [key]: value }), { parameters: {}, leftOut: [key] }, `${key}: ${JSON.stringify(value)}`);
  }
});

test("inputs that the model does not have are named, shortened and a few only", () => {
  assert.deepEqual(fitting(FIELDS, { negative_prompt: "blurry", scale: 0.5 }), { parameters: { scale: 0.5 }, leftOut: ["negative_prompt"] });
  const { leftOut } = fitting(FIELDS, Object.fromEntries([..."abcdefghijkl"].map((letter) => [letter.repeat(99), 1])));
  assert.equal(leftOut.length, 9);
  assert.equal(leftOut[0].length, 40);
  assert.deepEqual(fitting(FIELDS, { __proto__: { prompt: "x" } }), { parameters: {}, leftOut: [] });
});
