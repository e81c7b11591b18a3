// @ts-check
/* Which images to compare, apart from the DOM. */

/** @typedef {{id: string, job_id: string, kind: string}} Item */

export const MAX_COMPARED = 4;

/** What to compare an image with at first: the others of its job, or else its neighbor.
 * @template {Item} T
 * @param {T[]} around the images near it, in order, with itself @param {T} item
 * @returns {T[]} 2 to 4 images, or fewer if there is nothing to compare it with */
export function firstCompared(around, item) {
  const images = around.filter(({ kind }) => kind === "image");
  const siblings = images.filter(({ job_id }) => job_id === item.job_id);
  const position = images.findIndex(({ id }) => id === item.id);
  if (position < 0) return [];
  if (siblings.length < 2) return [images[position], images[position + 1] ?? images[position - 1]].filter(Boolean);
  const items = siblings.slice(0, MAX_COMPARED);
  if (!items.some(({ id }) => id === item.id)) items[items.length - 1] = item;
  return items;
}

/** What can be compared: the images around, and what is compared already.
 * @template {Item} T
 * @param {T[]} around @param {T[]} compared
 * @returns {T[]} */
export function comparable(around, compared) {
  const images = around.filter(({ kind }) => kind === "image");
  return [...compared.filter(({ id }) => !images.some((item) => item.id === id)), ...images];
}

/** The comparison with an image added or taken out.
 * @template {Item} T
 * @param {T[]} compared @param {T} item
 * @returns {T[]} */
export function withOrWithout(compared, item) {
  const rest = compared.filter(({ id }) => id !== item.id);
  return rest.length < compared.length ? rest : [...compared, item];
}

/** The comparison with the next image in place of the last one; null at the ends.
 * @template {Item} T
 * @param {T[]} compared @param {T[]} choice @param {1 | -1} direction
 * @returns {T[] | null} */
export function swapLast(compared, choice, direction) {
  const taken = compared.map(({ id }) => id);
  let position = choice.findIndex(({ id }) => id === taken[taken.length - 1]) + direction;
  while (choice[position] && taken.includes(choice[position].id)) position += direction;
  return choice[position] ? [...compared.slice(0, -1), choice[position]] : null;
}
