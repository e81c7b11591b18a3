/* What is typed into the form of a batch. No DOM. */

/**
 * Turn a prompt of the main form into one line and escape its braces, which are no variables there.
 * @param {any} prompt
 */
export function protect(prompt) {
  return String(prompt).replace(/[\\{|}]/g, "\\$&").replace(/\s*\n\s*/g, " ");
}

/**
 * The numbers in a text; what is no number stays as it is, for the server to name it.
 * @param {string} text
 * @param {string} decimalMark of the language: a comma separates two numbers, unless it is that
 * @returns {(number | string)[]}
 */
export function numbersIn(text, decimalMark) {
  const between = decimalMark === "," ? /[\s;、，]+/ : /[\s;,、，]+/;
  return text.split(between).filter(Boolean).map((part) => {
    const value = Number(part.replace(decimalMark, "."));
    return Number.isNaN(value) ? part : value;
  });
}
