/* Which tile an arrow key leads to. Pure: no DOM. */

/** @typedef {{left: number, top: number, width: number, height: number}} Box */

/**
 * @param {Box[]} boxes of all tiles, in reading order
 * @param {number} index of the present one
 * @param {string} key as `KeyboardEvent.key` names it
 * @param {boolean} isRightToLeft
 * @returns {number} the present index where the key leads nowhere
 */
export function neighborOf(boxes, index, key, isRightToLeft = false) {
  const [before, after] = isRightToLeft ? ["ArrowRight", "ArrowLeft"] : ["ArrowLeft", "ArrowRight"];
  if (key === before) return Math.max(0, index - 1);
  if (key === after) return Math.min(boxes.length - 1, index + 1);
  if (key === "Home") return 0;
  if (key === "End") return boxes.length - 1;
  return key === "ArrowUp" || key === "ArrowDown" ? inNextRow(boxes, index, key === "ArrowDown") : index;
}

/**
 * The tile of the nearest row in a direction whose center is nearest.
 * @param {Box[]} boxes
 * @param {number} index
 * @param {boolean} isDown
 */
function inNextRow(boxes, index, isDown) {
  const from = boxes[index];
  const beyond = (/** @type {Box} */ box) => (isDown ? box.top - (from.top + from.height) : from.top - (box.top + box.height));
  const rows = boxes.map((box, each) => ({ each, away: beyond(box), aside: Math.abs(centerOf(box) - centerOf(from)) }))
    .filter(({ away }) => away > -1);
  if (!rows.length) return index;
  const nearest = Math.min(...rows.map(({ away }) => away));
  return rows.filter(({ away }) => away < nearest + 1).sort((a, b) => a.aside - b.aside)[0].each;
}

/** @param {Box} box */
function centerOf(box) {
  return box.left + box.width / 2;
}
