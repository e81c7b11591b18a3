import assert from "node:assert/strict";
import { test } from "node:test";

import { Newest } from "../../dreamina_ui/web/static/admin/newest.js";

test("an overview from before a change is not shown after it", () => {
  const newest = new Newest();
  const slow = newest.begin(false);
  const change = newest.begin(true);
  assert.equal(change(), true);
  assert.equal(slow(), false);
  assert.equal(newest.begin(false)(), true);
});

test("an overview that was asked for during a change waits for the change's own", () => {
  const newest = new Newest();
  const change = newest.begin(true);
  const during = newest.begin(false);
  assert.equal(during(), true, "until then it is the newest");
  const late = newest.begin(false);
  assert.equal(change(), true);
  assert.equal(late(), false);
});
