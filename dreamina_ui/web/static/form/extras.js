/* Inputs that the service has and a model's file does not: their values, by model. Their fields are shown below Gradio's
 * form of the model, see models/live-form.js. */

import { local, parse, session } from "../core/storage.js";
import { parametersThatFit, valuesOfLive } from "./drafts.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {import("../core/types.js").Model} Model */

const STORED = "draft.extras";

export class Extras {
  /** @type {Map<string, {fields: Field[], values: Record<string, any>}>} */
  #byModel = new Map();

  /** @param {Model} model */
  fieldsOf({ model_id: id }) {
    return this.#byModel.get(id)?.fields ?? [];
  }

  /**
   * More fields of a model, with what was typed at the last visit.
   * @param {Model} model
   * @param {Field[]} fields
   */
  add(model, fields) {
    const form = { ...model, fields };
    const typed = parse(session.get(STORED) ?? local.get(STORED))?.[model.model_id];
    this.#byModel.set(model.model_id, { fields, values: { ...valuesOfLive(form, null), ...parametersThatFit(form, typed) } });
  }

  /** @param {Model} model @param {Field} field */
  valueOf({ model_id: id }, field) {
    return this.#byModel.get(id)?.values[field.parameter];
  }

  /**
   * Set some, by parameter; what does not fit stays as it is.
   * @param {string} modelId
   * @param {Record<string, any>} parameters
   */
  set(modelId, parameters) {
    const known = this.#byModel.get(modelId);
    if (!known) return;
    const form = { model_id: modelId, title: "", fields: known.fields };
    known.values = { ...known.values, ...parametersThatFit(form, parameters) };
    const text = JSON.stringify(Object.fromEntries([...this.#byModel].map(([id, { values }]) => [id, values])));
    session.set(STORED, text);
    local.set(STORED, text);
  }
}
