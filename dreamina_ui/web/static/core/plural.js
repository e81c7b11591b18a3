/* Fills values into texts. The server's half is `i18n/translate.py`; both read the same texts. */

/**
 * Numbers are written as the language does; `{count:job|jobs}` is the singular or the plural.
 * @param {string} text such as "{count} {count:job|jobs}"
 * @param {Record<string, any>} values
 * @param {string} language
 * @returns {string}
 */
export function fillIn(text, values, language) {
  return text.replace(/\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}/g, (_, name, singular, others) => {
    const value = values[name];
    if (singular !== undefined) return pluralRules(language).select(value) === "one" ? singular : others;
    return typeof value === "number" ? value.toLocaleString(language) : String(value);
  });
}

/** @type {Map<string, Intl.PluralRules>} */
const rules = new Map();

/** @param {string} language */
function pluralRules(language) {
  const known = rules.get(language) ?? new Intl.PluralRules(language);
  rules.set(language, known);
  return known;
}

/**
 * The beginning of a text, of whole characters.
 * @param {string} text
 * @param {number} most
 */
export function shortenTo(text, most) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most).join("")}…` : text;
}
