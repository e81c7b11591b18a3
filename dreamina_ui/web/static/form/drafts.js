/* What was typed, as it is stored; and what of it a form takes back. No DOM. */

/** @typedef {import("../core/types.js").Model} Model */
/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {{model_id: string, drafts: Record<string, Record<string, any>>}} Draft by model, then by parameter */

/** @param {Model[]} models */
export function allFieldsOf(models) {
  return models.flatMap((model) => model.fields.map((field) => ({ model, field })));
}

/**
 * @param {Model[]} models
 * @param {any[]} values the model's id, then every model's fields in order
 * @returns {Draft}
 */
export function draftOf(models, values) {
  /** @type {Draft["drafts"]} */
  const drafts = {};
  allFieldsOf(models).forEach(({ model, field }, index) => {
    (drafts[model.model_id] ??= {})[field.parameter] = values[index + 1];
  });
  return { model_id: values[0], drafts };
}

/**
 * The initial values with those of a draft over them, where they fit.
 * @param {Model[]} models
 * @param {any[]} initial
 * @param {any} draft whatever was stored
 */
export function valuesOver(models, initial, draft) {
  const drafts = draft?.drafts ?? (draft ? { [models[0].model_id]: draft } : {}); // drafts of early versions have no models
  const restored = allFieldsOf(models).map(({ model, field }, index) => {
    const stored = drafts[model.model_id]?.[field.parameter];
    return typeof stored === typeof initial[index + 1] && fits(field, stored) ? stored : initial[index + 1];
  });
  const isKnown = models.some((model) => model.model_id === draft?.model_id);
  return [isKnown ? draft.model_id : initial[0], ...restored];
}

/**
 * Whether a value may stand in a field.
 * @param {Field} field
 * @param {any} value
 */
export function fits(field, value) {
  return value !== undefined && (!field.choices.length || [value].flat().every((choice) => field.choices.includes(choice)));
}

/**
 * A value as its component holds it.
 * @param {Field} field
 * @param {any} value
 */
export function asTyped(field, value) {
  if (field.typed_as === "lines" && Array.isArray(value)) return value.join("\n");
  return field.typed_as === "json" && typeof value !== "string" ? JSON.stringify(value) : value;
}

/**
 * The values after another model was selected: its form takes over texts that it does not have yet.
 * @param {Model[]} models
 * @param {any[]} initial
 * @param {any[]} values with the id of the new model
 * @param {Model} before the previous model
 */
export function carryTexts(models, initial, values, before) {
  const fields = allFieldsOf(models);
  const texts = fields.map(({ model, field }, index) => {
    const value = values[index + 1];
    const same = fields.findIndex((other) => other.model === before && other.field.parameter === field.parameter);
    const isFree = field.is_text && (value === "" || value === initial[index + 1]);
    const goesAlong = same >= 0 && fields[same].field.is_text && values[same + 1] !== initial[same + 1];
    return model.model_id === values[0] && isFree && goesAlong ? values[same + 1] : value;
  });
  return [values[0], ...texts];
}

/**
 * What the form of a model of the catalog holds: what was typed in it, or its first values.
 * @param {Model} model
 * @param {{model: Model, values: Record<string, any>} | null} shown the one that is shown
 */
export function valuesOfLive(model, shown) {
  if (shown?.model === model) return shown.values;
  return Object.fromEntries(model.fields.map((field) => [field.parameter, field.arguments?.value ?? (field.value_type === "boolean" ? false : "")]));
}

/**
 * The values of a job, a link or a draft that its form can hold, as its inputs hold them.
 * @param {Model} model
 * @param {any} parameters
 */
export function parametersThatFit(model, parameters) {
  const given = parameters && typeof parameters === "object" ? parameters : {};
  const fields = model.fields.filter((field) => fits(field, given[field.parameter]));
  return Object.fromEntries(fields.map((field) => [field.parameter, asTyped(field, given[field.parameter])]));
}
