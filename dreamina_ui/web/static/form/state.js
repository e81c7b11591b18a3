/* What Gradio's form holds: its listeners pass the values here, and take over what a script sets. */

import { facts } from "../core/facts.js";
import { local, parse, session } from "../core/storage.js";
import { Extras } from "./extras.js";
import { allFieldsOf, asTyped, carryTexts, draftOf, fits, parametersThatFit, valuesOfLive, valuesOver } from "./drafts.js";

/** @typedef {import("../core/types.js").Field} Field */
/** @typedef {import("../core/types.js").Model} Model */
/** @typedef {{fill(): void, show_tab(): void, switch(): void, admin(): void}} Bridge starts listeners of Gradio */

const STORED = "draft";
const STORED_LIVE = "draft.model";

/** Events: `change` when any value may have changed, `model` when another model is shown. */
class FormState extends EventTarget {
  models = facts.models ?? [];
  /** @type {Model} */
  model = this.models[0];
  /** @type {any[] | null} */
  values = null; // the model's id, then every model's fields in order; null until the draft is restored
  /** @type {any[]} */
  #initial = [];
  #extras = new Extras();
  #fields = allFieldsOf(this.models);
  /** @type {Array<(values: any[]) => any[]>} */
  #changes = []; // to be made to the form by the next `fill`
  isOff = false; // whether Generate is disabled
  hasAdmin = false; // whether the owner's tab is shown
  /** @type {Bridge | null} */
  #bridge = null;
  /** @type {{model: Model, values: Record<string, any>} | null} */
  #live = null; // a model of the catalog, whose form is not Gradio's, and what was typed, by parameter
  /** @type {Map<string, Model>} */
  #loaded = new Map(); // models of the catalog whose forms were loaded
  /** @type {(value?: unknown) => void} */
  #setReady = () => {};
  /** Resolved when the draft is restored. */
  ready = new Promise((resolve) => { this.#setReady = resolve; });

  /** @param {string} modelId */
  find(modelId) {
    return this.models.find((model) => model.model_id === modelId) ?? this.#loaded.get(modelId);
  }

  /** Whether the form that is shown is not Gradio's. */
  get isLive() {
    return this.#live !== null;
  }

  /**
   * A model of the catalog whose form was loaded.
   * @param {Model} model
   */
  add(model) {
    this.#loaded.set(model.model_id, model);
  }

  /** All fields of the model that is shown. */
  get fields() {
    return [...this.model.fields, ...(this.#live ? [] : this.#extras.fieldsOf(this.model))];
  }

  /**
   * Fields that Gradio's form of a model does not have.
   * @param {Model} model
   * @param {Field[]} fields
   */
  addExtras(model, fields) {
    this.#extras.add(model, fields);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Model} model */
  extrasOf(model) {
    return this.#extras.fieldsOf(model);
  }

  /**
   * Show a model of the catalog with these values, by parameter; null for the models with forms of Gradio.
   * @param {Model | null} model
   * @param {Record<string, any>} [values]
   */
  showLive(model, values = {}) {
    this.#live = model && { model, values };
    this.#storeLive();
    this.model = model ?? this.find(this.values?.[0]) ?? this.models[0];
    this.dispatchEvent(new Event("model"));
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Something was typed in a field that is not Gradio's.
   * @param {Field} field
   * @param {any} value
   */
  setLive(field, value) {
    if (this.#live) {
      this.#live.values[field.parameter] = value;
      this.#storeLive();
    } else this.#extras.set(this.model.model_id, { [field.parameter]: value });
    this.dispatchEvent(new Event("change"));
  }

  /** The model of the catalog that was shown last, as it is stored: `{model_id, values}`; null if there was none. */
  storedLive() {
    return parse(session.get(STORED_LIVE) ?? local.get(STORED_LIVE));
  }

  #storeLive() {
    const text = this.#live && JSON.stringify({ model_id: this.#live.model.model_id, values: this.#live.values });
    session.set(STORED_LIVE, text);
    local.set(STORED_LIVE, text);
  }

  /** What brings the form back as it is now. */
  snapshot() {
    const { values } = this;
    const live = this.#live && { model: this.#live.model, values: { ...this.#live.values } };
    return async () => {
      if (values) await this.fill(() => values);
      this.showLive(live?.model ?? null, live?.values);
    };
  }

  /** @param {Field} field of the model that is shown */
  valueOf(field) {
    if (this.#live) return this.#live.values[field.parameter];
    if (!this.model.fields.some((known) => known.key === field.key)) return this.#extras.valueOf(this.model, field);
    return this.values?.[1 + this.#fields.findIndex((known) => known.model === this.model && known.field.key === field.key)];
  }

  /** The values of the model that is shown, by schema key. */
  current() {
    const values = this.fields.map((field) => [field.key, this.valueOf(field)]);
    return { model_id: this.model.model_id, values: Object.fromEntries(values) };
  }

  /** @param {Bridge} bridge */
  connect(bridge) {
    this.#bridge = bridge;
    if (this.#changes.length) bridge.fill();
    if (this.isOff) bridge.switch();
    if (this.hasAdmin) bridge.admin();
  }

  /**
   * Disable Generate, or enable it.
   * @param {boolean} isOff
   */
  setOff(isOff) {
    if (this.isOff === isOff) return;
    this.isOff = isOff;
    this.#bridge?.switch();
  }

  /**
   * Show the owner's tab, or take it away.
   * @param {boolean} hasAdmin
   */
  setAdmin(hasAdmin) {
    if (this.hasAdmin === hasAdmin) return;
    this.hasAdmin = hasAdmin;
    this.#bridge?.admin();
  }

  showTab() {
    this.#bridge?.show_tab();
  }

  /**
   * The page has been loaded.
   * @param {any[]} values
   */
  restore(values) {
    this.#initial = values;
    setTimeout(this.#setReady); // after Gradio has set the returned values
    return this.accept(valuesOver(this.models, values, parse(session.get(STORED) ?? local.get(STORED))));
  }

  /**
   * @param {any[]} values
   */
  accept(values) {
    this.values = values;
    const before = this.model;
    this.model = this.#live?.model ?? this.find(values[0]) ?? before;
    if (this.model !== before) this.dispatchEvent(new Event("model"));
    this.dispatchEvent(new Event("change"));
    return values;
  }

  /**
   * Store what was typed: for this tab, and for the next one that is opened.
   * @param {any[]} values
   */
  changed(values) {
    if (!this.values) return;
    const draft = JSON.stringify(draftOf(this.models, values));
    session.set(STORED, draft);
    local.set(STORED, draft);
    if (values[0] === this.model.model_id) this.accept(values); // otherwise `modelChanged` is called, and needs the previous one
  }

  /** @param {any[]} values */
  modelChanged(values) {
    if (!this.values || values[0] === this.model.model_id) return this.values ?? values; // changed by a script
    return this.accept(carryTexts(this.models, this.#initial, values, this.model));
  }

  /**
   * Change the form; resolves when it shows the new values.
   * @param {(values: any[]) => any[]} change
   */
  async fill(change) {
    await this.ready;
    const done = new Promise((resolve) => {
      this.#changes.push((values) => {
        setTimeout(resolve);
        return change(values);
      });
    });
    this.#bridge?.fill();
    return done;
  }

  /**
   * Set fields of a model by parameter; what does not fit stays as it is.
   * @param {string} modelId
   * @param {Record<string, any>} parameters
   */
  async fillIn(modelId, parameters) {
    const live = this.#loaded.get(modelId);
    if (live) return this.showLive(live, { ...valuesOfLive(live, this.#live), ...parametersThatFit(live, parameters) });
    if (this.#live) this.showLive(null);
    this.#extras.set(modelId, parameters);
    return this.fill((values) => [modelId, ...this.#fields.map(({ model, field }, index) => {
      const value = model.model_id === modelId ? parameters[field.parameter] : undefined;
      return fits(field, value) ? asTyped(field, value) : values[index + 1];
    })]);
  }

  /** @param {any} draft as it was stored */
  fillInDraft(draft) {
    if (this.#live) this.showLive(null);
    return this.fill(() => valuesOver(this.models, this.#initial, draft));
  }

  /** The draft as it is stored; null if there is none. */
  draft() {
    return session.get(STORED) ?? local.get(STORED);
  }

  /**
   * Gradio asks for the values that were to be set.
   * @param {any[]} values
   */
  takeChanges(values) {
    const changes = this.#changes;
    this.#changes = [];
    return changes.length ? this.accept(changes.reduce((changed, change) => change(changed), values)) : values;
  }
}

export const form = new FormState();
