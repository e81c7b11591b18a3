// @ts-check
/* Where the images of a contact sheet stand. No DOM. */

export const MAX_ON_SHEET = 200;
const SIDE = 240;
const GAP = 16;
const LINE = 17;
const LABEL = 2 * LINE + 8;

/**
 * A sheet that is a little wider than high.
 * @param {number} count of images, at least 1
 */
export function contactLayout(count) {
  const columns = Math.max(1, Math.min(count, Math.ceil(Math.sqrt(count * 1.3))));
  const rows = Math.ceil(count / columns);
  /** @type {(index: number) => {left: number, top: number}} */
  const cell = (index) => ({
    left: GAP + (index % columns) * (SIDE + GAP),
    top: GAP + Math.floor(index / columns) * (SIDE + LABEL + GAP),
  });
  return { columns, rows, side: SIDE, line: LINE, width: GAP + columns * (SIDE + GAP), height: GAP + rows * (SIDE + LABEL + GAP), cell };
}
