import assert from "node:assert/strict";
import test from "node:test";
import { isOffered } from "../../dreamina_ui/web/static/core/offers.js";

test("an image in the trash can be looked at and restored, and is not starred, edited or deleted again", () => {
  const deleted = { is_deleted: true };
  for (const action of ["restore", "download", "info", "reuse"]) assert.ok(isOffered(action, deleted), action);
  for (const action of ["star", "unstar", "edit", "share", "delete", "board", "rate-5"]) assert.ok(!isOffered(action, deleted), action);
  assert.ok(isOffered("star", {}));
  assert.ok(!isOffered("restore", {}));
});
