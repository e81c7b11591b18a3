// @ts-check
/* Arrow keys in a grid that is one Tab stop, apart from the DOM. */

/** @typedef {{left: number, top: number, width: number}} Box  of one cell, in any common coordinates */

/** The cell that a key leads to: the neighbor in reading order, or the nearest cell of the row above or below.
 * @param {string} key as in `KeyboardEvent.key` @param {number} index of the current cell @param {Box[]} boxes
 * @returns {number | null} null where the key leads nowhere */
export function nextCell(key, index, boxes) {
  const last = boxes.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "ArrowLeft") return index > 0 ? index - 1 : null;
  if (key === "ArrowRight") return index < last ? index + 1 : null;
  if (key === "ArrowUp" || key === "ArrowDown") return cellInNextRow(index, boxes, key === "ArrowDown" ? 1 : -1);
  return null;
}

/** @param {number} index @param {Box[]} boxes @param {1 | -1} direction */
function cellInNextRow(index, boxes, direction) {
  const { top, left, width } = boxes[index];
  const beyond = boxes.map((box) => (box.top - top) * direction).filter((distance) => distance > 1);
  if (!beyond.length) return null;
  const row = Math.min(...beyond);
  const middle = left + width / 2;
  let best = null;
  let least = Infinity;
  boxes.forEach((box, position) => {
    const distance = Math.abs(box.left + box.width / 2 - middle);
    if (Math.abs((box.top - top) * direction - row) <= 1 && distance < least) [best, least] = [position, distance];
  });
  return best;
}
