// @ts-check
/* Which images to load before anybody asks for them, apart from the DOM. */

/** The positions to load next, the likeliest first: the neighbors in the direction of the last move, then the other one.
 * @param {number} index @param {number} length @param {number} direction of the last move: 1 or -1
 * @returns {number[]} */
export function preloadOrder(index, length, direction) {
  const ahead = direction < 0 ? -1 : 1;
  return [index + ahead, index - ahead, index + 2 * ahead].filter((position) => position >= 0 && position < length);
}

/** The position of another job's first image; null at the ends.
 * @param {string[]} jobIds the job of each image, in order @param {number} index @param {1 | -1} direction
 * @returns {number | null} */
export function otherJob(jobIds, index, direction) {
  let position = index;
  while (jobIds[position] === jobIds[index]) position += direction;
  if (position < 0 || position >= jobIds.length) return null;
  const match = jobIds[position];
  while (direction < 0 && jobIds[position - 1] === match) position -= 1;
  return position;
}
