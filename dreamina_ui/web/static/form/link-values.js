/* Reads settings from a link and checks them against the model's fields. No DOM. */

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {import("../core/types.js").Model} Model */
/** @typedef {{key: string, values: Record<string, any>}} Note a text, by its key */
/** @typedef {{model_id?: string, parameters?: Record<string, any>, notes: Note[]}} Link */

const MAX_CHARACTERS = 20000;

/**
 * @param {Model[]} models
 * @param {URLSearchParams} query
 * @returns {Link | null} null if it carries no settings
 */
export function readLink(models, query) {
  const modelId = query.get("model") ?? models[0].model_id;
  const model = models.find((known) => known.model_id === modelId);
  if (!query.has("model") && !model?.fields.some((field) => query.has(field.parameter))) return null;
  if (!model) return { notes: [{ key: "settings_other_model", values: { model: modelId } }] };
  if (String(query).length > MAX_CHARACTERS) return { notes: [{ key: "link_too_long", values: {} }] };
  /** @type {Record<string, any>} */
  const parameters = {};
  /** @type {Note[]} */
  const notes = [];
  for (const field of model.fields.filter((known) => known.in_link && query.has(known.parameter))) {
    const texts = query.getAll(field.parameter);
    const text = field.value_type === "array" ? texts.join(", ") : texts[0];
    const value = field.value_type === "array" ? valuesOf(field, texts) : valueOf(field, text);
    if (value === null) {
      notes.push({ key: "link_refused", values: { field: field.parameter, value: text } });
      continue;
    }
    if (field.is_text && value !== text) notes.push({ key: "link_cut", values: { field: field.parameter, limit: field.max_length } });
    parameters[field.parameter] = value;
  }
  const parameterNames = model.fields.filter((known) => known.in_link).map((field) => field.parameter);
  const unknown = [...new Set(query.keys())].filter((key) => key !== "model" && !parameterNames.includes(key));
  if (unknown.length) notes.push({ key: "link_ignored", values: { names: unknown.slice(0, 5) } });
  return { model_id: modelId, parameters, notes };
}

/**
 * @param {Field} field
 * @param {string[]} texts
 */
function valuesOf(field, texts) {
  const values = texts.map((text) => valueOf({ ...field, value_type: "string" }, text));
  return values.includes(null) ? null : values;
}

/**
 * The value that a text stands for; null where it is not valid for the field.
 * @param {Field} field
 * @param {string} text
 */
export function valueOf(field, text) {
  if (field.choices.length) return field.choices.find((choice) => String(choice) === text) ?? null;
  if (field.value_type === "boolean") return text === "true" ? true : text === "false" ? false : null;
  if (field.value_type === "string") {
    if (field.pattern && !new RegExp(field.pattern, "u").test(text)) return null;
    const characters = [...text];
    return field.max_length && characters.length > field.max_length ? characters.slice(0, field.max_length).join("") : text;
  }
  const pattern = field.value_type === "integer" ? /^-?\d{1,15}$/ : /^-?\d{1,15}(\.\d{1,15})?$/;
  const value = Number(text);
  const isOutside = value < (field.minimum ?? -Infinity) || value > (field.maximum ?? Infinity);
  return pattern.test(text) && !isOutside ? value : null;
}

/**
 * The query of a link to the page with these settings.
 * @param {Model} model
 * @param {Record<string, any>} parameters
 */
export function linkQuery(model, parameters) {
  const query = new URLSearchParams({ model: model.model_id });
  for (const field of model.fields) {
    if (!field.in_link || !(field.parameter in parameters)) continue;
    for (const value of [parameters[field.parameter]].flat()) query.append(field.parameter, String(value));
  }
  return query;
}
