/* Parse a day as a person types it, apart from the DOM. */

/**
 * A day in the language's order or as 2026-12-31.
 * @param {string} text
 * @param {string[]} order such as `["day", "month", "year"]`
 * @returns {Date | null | undefined} its start in local time; null for what is no day, undefined for an empty text
 */
export function readDay(text, order) {
  if (!text.trim()) return undefined;
  const numbers = text.match(/\d+/g) ?? [];
  const names = numbers[0]?.length === 4 ? ["year", "month", "day"] : order;
  const { year, month, day } = Object.fromEntries(names.map((name, index) => [name, Number(numbers[index])]));
  const date = new Date(year, month - 1, day);
  const isDay = numbers.length === 3 && year > 999 && date.getMonth() === month - 1 && date.getDate() === day;
  return isDay ? date : null;
}
