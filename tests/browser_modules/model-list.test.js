import assert from "node:assert/strict";
import { test } from "node:test";
import { parametersThatFit, valuesOfLive } from "../../dreamina_ui/web/static/form/drafts.js";
import { packagedFirst, shownRows } from "../../dreamina_ui/web/static/models/list.js";

const rows = [
  { model_id: "b/dreamina", title: "Dreamina 4.0", kind: "image", category: "text-to-image", usd: 0.03 },
  { model_id: "g/banana", title: "Nano Banana", kind: "image", category: "text-to-image", usd: 0.02 },
  { model_id: "g/banana/edit", title: "Nano Banana Édit", kind: "image", category: "image-to-image" },
];
const all = { search: "", category: "", order: "recent" };
const none = { favorites: [], recent: [] };
const ids = (filter, own = none) => shownRows([...rows], { ...all, ...filter }, own).map((row) => row.model_id);

test("without a choice the order is the service's; favorites and what was used last stand first", () => {
  assert.deepEqual(ids({}), ["b/dreamina", "g/banana", "g/banana/edit"]);
  assert.deepEqual(ids({}, { favorites: ["g/banana/edit"], recent: ["g/banana"] }), ["g/banana/edit", "g/banana", "b/dreamina"]);
});

test("a search finds words in any order, without accents, in titles, ids and categories", () => {
  assert.deepEqual(ids({ search: "edit nano" }), ["g/banana/edit"]);
  assert.deepEqual(ids({ search: "g/banana text" }), ["g/banana"]);
  assert.deepEqual(ids({ search: "no such" }), []);
});

test("the cheapest stands first, and what has no price last", () => {
  assert.deepEqual(ids({ order: "price" }), ["g/banana", "b/dreamina", "g/banana/edit"]);
  assert.deepEqual(ids({ order: "title" }), ["b/dreamina", "g/banana", "g/banana/edit"]);
});

test("a category, or the favorites alone", () => {
  assert.deepEqual(ids({ category: "image-to-image" }), ["g/banana/edit"]);
  assert.deepEqual(ids({ category: "*" }, { favorites: ["g/banana"], recent: [] }), ["g/banana"]);
});

test("models whose forms are in the page stand before the rest, in their order there", () => {
  const first = packagedFirst(rows, ["g/banana/edit", "b/dreamina", "gone"]).map((row) => row.model_id);
  assert.deepEqual(first, ["g/banana/edit", "b/dreamina", "g/banana"]);
});

test("a form begins with its first values, and takes what fits", () => {
  const field = (parameter, over) => ({ parameter, choices: [], value_type: "string", typed_as: "value", arguments: {}, ...over });
  const model = { fields: [field("prompt"), field("ratio", { choices: ["1:1", "16:9"], arguments: { value: "1:1" } }), field("on", { value_type: "boolean" }),
    field("urls", { typed_as: "lines" })] };
  assert.deepEqual(valuesOfLive(model, null), { prompt: "", ratio: "1:1", on: false, urls: "" });
  assert.deepEqual(valuesOfLive(model, { model, values: { prompt: "a" } }), { prompt: "a" });
  assert.deepEqual(parametersThatFit(model, { ratio: "5:1", urls: ["a", "b"], other: 1 }), { urls: "a\nb" });
  assert.deepEqual(parametersThatFit(model, "junk"), {});
});
