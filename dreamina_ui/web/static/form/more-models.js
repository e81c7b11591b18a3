/* <dreamina-more-models> above the form: opens the chooser of all models, and names the one whose form is not Gradio's.
 * The chooser and the forms of its models are loaded when they are needed first. */

import { button, element, whenIdle } from "../core/dom.js";
import { tell } from "../core/toast.js";
import { words } from "../core/words.js";
import { terms } from "./price.js";
import { form } from "./state.js";

/** @typedef {import("../core/types.js").Model} Model */

/**
 * The model of this id, whose form is loaded if it is not in the page; undefined if there is none.
 * @param {string} modelId
 * @returns {Promise<Model | undefined>}
 */
export async function findModel(modelId) {
  const known = form.find(modelId);
  if (known) await findExtras(known);
  if (known || !modelId) return known;
  const { loadForm } = await import("../models/live-form.js");
  return loadForm(modelId);
}

/**
 * Load the inputs of a model that the service has and its file does not.
 * @param {Model} model
 */
async function findExtras(model) {
  if (!terms.quota?.more_inputs?.includes(model.model_id) || !form.models.includes(model) || form.extrasOf(model).length) return;
  const { loadExtras } = await import("../models/live-form.js");
  await loadExtras(model);
}

const loadChooser = () => import("../models/chooser.js");

// Whoever points at the button opens the list a moment later.
function prepare() {
  loadChooser().then(({ prepareChooser }) => prepareChooser()).catch(() => {});
}

export class MoreModels extends HTMLElement {
  #name = element("b", { id: "live-model" });
  #choose = button(words.more_models, () => this.#open(), { id: "choose-model", "aria-haspopup": "dialog" });
  #back = button(words.back_to_first_model, () => form.showLive(null));
  #line = element("p", { class: "more-models" }, this.#name, this.#choose, this.#back);
  #show = () => this.#render();

  connectedCallback() {
    if (!this.#line.isConnected) this.append(this.#line);
    for (const name of ["pointerenter", "focus"]) this.#choose.addEventListener(name, prepare);
    terms.addEventListener("change", this.#show);
    form.addEventListener("model", this.#show);
    this.#render();
    form.ready.then(() => this.#restore());
  }

  disconnectedCallback() {
    terms.removeEventListener("change", this.#show);
    form.removeEventListener("model", this.#show);
  }

  #render() {
    this.hidden = !terms.quota?.more_models && !form.isLive;
    if (!this.hidden) whenIdle(() => loadChooser().catch(() => {}));
    this.#name.textContent = form.isLive ? form.model.title : "";
    this.#name.hidden = this.#back.hidden = !form.isLive;
    if (!form.isLive) findExtras(form.model).catch(() => {}); // without them the form is what it was
  }

  async #open() {
    try {
      const { openChooser } = await loadChooser();
      await openChooser();
    } catch {
      tell(words.request_failed);
    }
  }

  // The model of the last visit, with what was typed.
  async #restore() {
    const stored = form.storedLive();
    if (!stored?.model_id || form.isLive) return;
    const model = await findModel(stored.model_id).catch(() => undefined);
    if (model) await form.fillIn(model.model_id, stored.values);
  }
}
