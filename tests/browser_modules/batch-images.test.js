import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchImages } from "../../dreamina_ui/web/static/batch/images.js";

const image = (row, column, index) => ({ id: `${row}${column}/${index}`, row, column, index });

test("left and right walk a row, up and down stay in the column", () => {
  const images = new BatchImages();
  images.show([image(1, 0, 0), image(0, 1, 0), image(0, 0, 1), image(0, 0, 0), image(2, 1, 0), image(2, 0, 0), image(2, 0, 1)]);
  assert.deepEqual(images.items.map(({ id }) => id), ["00/0", "00/1", "01/0", "10/0", "20/0", "20/1", "21/0"]);
  assert.equal(images.at(images.inColumn(0, 1)).id, "10/0");
  assert.equal(images.at(images.inColumn(1, 1)).id, "10/0", "fewer images below: the first");
  assert.equal(images.at(images.inColumn(2, 1)).id, "21/0", "a cell without images is skipped");
  assert.equal(images.at(images.inColumn(6, -1)).id, "01/0");
  assert.equal(images.inColumn(6, 1), null);
});
