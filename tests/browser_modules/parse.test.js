import assert from "node:assert/strict";
import { test } from "node:test";
import { numbersIn, protect } from "../../dreamina_ui/web/static/batch/parse.js";
import { linkQuery, readLink } from "../../dreamina_ui/web/static/form/link-values.js";

const models = [{
  model_id: "m",
  fields: [
    { parameter: "prompt", in_link: true, is_text: true, value_type: "string", choices: [], max_length: 3 },
    { parameter: "scale", in_link: true, value_type: "number", choices: [], minimum: 0, maximum: 1 },
  ],
}];

test("a comma separates numbers unless it is the language's decimal mark", () => {
  assert.deepEqual(numbersIn("0.2, 0.7", "."), [0.2, 0.7]);
  assert.deepEqual(numbersIn("0,2; 0,7", ","), [0.2, 0.7]);
  assert.deepEqual(numbersIn("0.2 much", "."), [0.2, "much"]);
});

test("a prompt's braces are no alternatives in a batch", () => {
  assert.equal(protect("a {red|blue}\n fox"), "a \\{red\\|blue\\} fox");
});

test("a link carries what fits, and names the rest", () => {
  const link = readLink(models, new URLSearchParams("model=m&prompt=abcd&scale=7&x=1"));
  assert.deepEqual(link.parameters, { prompt: "abc" });
  assert.deepEqual(link.notes.map(({ key }) => key), ["link_cut", "link_refused", "link_ignored"]);
  assert.equal(readLink(models, new URLSearchParams("other=1")), null);
  assert.equal(String(linkQuery(models[0], { prompt: "a b", scale: 0.5 })), "model=m&prompt=a+b&scale=0.5");
});
