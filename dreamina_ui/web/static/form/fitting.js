/* Which settings of an image fit a form: anybody can write anything into a file. No DOM. */

/** @typedef {import("../core/types.js").Field} Field */

const MAX_NAMED = 8;
const MAX_NAME_LENGTH = 40;

/**
 * What fits, by parameter, and the names of what does not: of a wrong type, out of range, or no input of the model.
 * @param {Field[]} fields of the model
 * @param {Record<string, any>} inputs by schema key
 */
export function fitting(fields, inputs) {
  const given = Object.keys(inputs).filter((key) => inputs[key] !== null);
  const taken = fields.filter((field) => given.includes(field.key) && suits(field, inputs[field.key]));
  const leftOut = given.filter((key) => !taken.some((field) => field.key === key)).map((key) => key.slice(0, MAX_NAME_LENGTH));
  const parameters = Object.fromEntries(taken.map((field) => [field.parameter, inputs[field.key]]));
  return { parameters, leftOut: leftOut.length > MAX_NAMED ? [...leftOut.slice(0, MAX_NAMED), "…"] : leftOut };
}

/**
 * @param {Field} field
 * @param {any} value
 */
function suits(field, value) {
  if (field.choices.length) return field.choices.includes(value);
  if (field.value_type === "any") return true;
  if (field.value_type === "array") {
    return Array.isArray(value) && value.length <= (field.max_items ?? Infinity) && value.every((item) => typeof item === "string");
  }
  const type = field.value_type === "integer" ? "number" : field.value_type;
  if (typeof value !== type) return false;
  if (typeof value === "number") {
    const isWhole = field.value_type !== "integer" || Number.isInteger(value);
    return Number.isFinite(value) && isWhole && value >= (field.minimum ?? -Infinity) && value <= (field.maximum ?? Infinity);
  }
  return typeof value !== "string" || ([...value].length <= (field.max_length ?? Infinity) && value.isWellFormed());
}
