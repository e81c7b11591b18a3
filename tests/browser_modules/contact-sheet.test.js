import assert from "node:assert/strict";
import test from "node:test";
import { MAX_ON_SHEET, contactLayout } from "../../dreamina_ui/web/static/library/sheet-layout.js";

test("every image of a contact sheet has a place of its own, within what browsers draw", () => {
  for (const count of [1, 2, 3, 7, 50, MAX_ON_SHEET]) {
    const layout = contactLayout(count);
    const places = Array.from({ length: count }, (_, index) => layout.cell(index));
    assert.equal(new Set(places.map(({ left, top }) => `${left}/${top}`)).size, count);
    for (const { left, top } of places) assert.ok(left + layout.side < layout.width && top + layout.side < layout.height);
    assert.ok(Math.max(layout.width, layout.height) < 16000);
    assert.ok(layout.columns >= layout.rows || count < 4 || layout.columns * 1.3 > layout.rows);
  }
});
