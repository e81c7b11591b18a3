/* <dreamina-batch>: many jobs from one text. Without a batch in the URL, the form and all batches; else that batch. */

import { refreshes } from "../core/stream.js";
import { router } from "../core/router.js";
import { tell } from "../core/toast.js";
import { say, words } from "../core/words.js";
import { findModel } from "../form/more-models.js";
import { form } from "../form/state.js";
import { BatchGrid } from "./grid.js";
import { History } from "./history.js";
import { protect } from "./parse.js";
import { Planner } from "./planner.js";

const VARIED = 4; // how many more of a job are proposed

export class Batch extends HTMLElement {
  #planner = new Planner();
  #history = new History();
  #grid = new BatchGrid();
  #visible = () => { if (!document.hidden) this.#follow(); };
  #refresh = () => { this.#planner.refresh(); };

  connectedCallback() {
    if (!this.firstChild) this.#build();
    router.addEventListener("change", this.#follow);
    form.addEventListener("change", this.#refresh);
    refreshes.addEventListener("refresh", this.#refresh);
    document.addEventListener("visibilitychange", this.#visible);
    window.addEventListener("pageshow", this.#visible);
    this.#follow();
  }

  disconnectedCallback() {
    this.#history.refresher.stop();
    this.#grid.refresher.stop();
    router.removeEventListener("change", this.#follow);
    form.removeEventListener("change", this.#refresh);
    refreshes.removeEventListener("refresh", this.#refresh);
    document.removeEventListener("visibilitychange", this.#visible);
    window.removeEventListener("pageshow", this.#visible);
  }

  #build() {
    this.append(this.#planner.node, this.#history.node, this.#grid.node);
    this.addEventListener("open-batch", (event) => this.open(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener("edit-batch", (event) => this.#editAgain(/** @type {CustomEvent} */ (event).detail));
  }

  #follow = () => {
    const isHere = router.state.tab === "batch";
    const id = (isHere && router.state.query.id) || "";
    this.#planner.isShown = isHere && !id;
    this.#planner.node.hidden = Boolean(id);
    if (isHere) this.#grid.open(id);
    else this.#grid.refresher.stop();
    if (isHere && !id) {
      this.#planner.refresh();
      this.#history.refresher.start();
    } else {
      this.#history.refresher.stop();
      this.#history.node.hidden = true;
    }
  };

  /** @param {string} id of a batch; "" for the form and all batches */
  open(id) {
    this.#grid.takesFocus = Boolean(id);
    router.go({ tab: "batch", query: id ? { id } : {} });
  }

  /** Ask the server for what is shown. */
  refresh() {
    return router.state.query.id ? this.#grid.refresher.refresh() : this.#history.refresher.refresh();
  }

  /** Put a wildcard into the prompts. @param {string} text */
  insert(text) {
    this.#planner.insert(text);
  }

  /** Plan more of a job: the same prompt and settings, several times. @param {import("../core/types.js").Job} job */
  async vary(job) {
    if (!(await findModel(job.model_id))) return tell(say("settings_other_model", { model: job.model_id }));
    await form.fillIn(job.model_id, job.parameters);
    this.#planner.fill({ text: protect(job.prompt), values: {}, repeats: VARIED, columns: null });
    tell(words.batch_edited);
    this.#planner.refresh();
  }

  /** @param {import("./grid.js").GridData} data */
  async #editAgain(data) {
    const { request, model_id: modelId } = data;
    router.go({ tab: "batch", query: {} });
    if (request) {
      await fillForm(modelId, request.inputs ?? {});
      this.#planner.fill(request);
    } else this.#planner.fill({ text: data.rows.map(({ title }) => title).join("\n"), values: {}, repeats: 1, columns: null });
    tell(words.batch_edited);
    this.#planner.refresh();
  }
}

/** @param {string} modelId @param {Record<string, any>} inputs by schema key */
async function fillForm(modelId, inputs) {
  const fields = (await findModel(modelId))?.fields ?? [];
  return form.fillIn(modelId, Object.fromEntries(fields.map((field) => [field.parameter, inputs[field.key]])));
}
