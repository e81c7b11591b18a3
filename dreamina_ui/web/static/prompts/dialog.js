/* The dialog of the prompt tools: history, presets, and wildcard lists, each in a tab. */

import { useStyle } from "../core/dialogs.js";
import { button, element, openDialog } from "../core/dom.js";
import { words } from "../core/words.js";
import { useSettings } from "../form/settings.js";
import { form } from "../form/state.js";
import { HistoryPanel } from "./history.js";
import { PresetPanel } from "./presets.js";
import { WildcardPanel } from "./wildcards.js";

/** @typedef {"history" | "presets" | "wildcards"} Tool */
/** @typedef {{node: HTMLElement, load(): Promise<void>, focus(): void}} Panel */

await useStyle(new URL("./prompts.css", import.meta.url));

/**
 * @param {Tool} tool the first tab to show
 * @param {(text: string) => void} insert puts a wildcard into the batch
 */
export function openPromptTools(tool, insert) {
  if (document.querySelector("dialog.prompt-dialog")) return;
  new PromptDialog(insert).show(tool);
}

/** @param {string} wildcard */
function addToPrompt(wildcard) {
  const field = form.model.fields.find(({ is_text: isText }) => isText);
  if (!field) return;
  const typed = String(form.valueOf(field) ?? "").trimEnd();
  const prompt = typed ? `${typed} ${wildcard}` : wildcard;
  useSettings({ model_id: form.model.model_id, parameters: { [field.parameter]: prompt }, message: "", focus: "prompt" });
}

class PromptDialog {
  #dialog = element("dialog", { class: "prompt-dialog", "aria-label": words.prompt_tools });
  /** @type {Record<Tool, Panel>} */
  #panels;
  /** @type {Record<Tool, HTMLButtonElement>} */
  #tabs;

  /** @param {(text: string) => void} insert */
  constructor(insert) {
    const close = () => this.#dialog.close();
    this.#panels = {
      history: new HistoryPanel(close),
      presets: new PresetPanel(close),
      wildcards: new WildcardPanel((text) => { close(); insert(text); }, (text) => { close(); addToPrompt(text); }),
    };
    this.#tabs = {
      history: this.#tab("history", words.prompt_history),
      presets: this.#tab("presets", words.prompt_presets),
      wildcards: this.#tab("wildcards", words.prompt_wildcards),
    };
    const list = element("div", { class: "prompt-tabs", role: "tablist" }, ...Object.values(this.#tabs));
    list.addEventListener("keydown", (event) => this.#onKey(event));
    this.#dialog.append(
      element("header", {}, list, button("×", close, { class: "prompt-close", "aria-label": words.close, title: words.close })),
      ...Object.values(this.#panels).map(({ node }) => node));
    const back = document.activeElement;
    this.#dialog.addEventListener("close", () => {
      this.#dialog.remove();
      if (back instanceof HTMLElement && back.isConnected && document.activeElement === document.body) back.focus();
    });
    this.#dialog.addEventListener("click", (event) => { if (event.target === this.#dialog) close(); });
  }

  /** @param {Tool} tool */
  show(tool) {
    openDialog(this.#dialog, this.#tabs[tool]);
    this.#select(tool);
  }

  /** @param {Tool} tool @param {string} text */
  #tab(tool, text) {
    return button(text, () => this.#select(tool), { role: "tab", id: `prompt-tab-${tool}`, "aria-controls": `prompt-panel-${tool}` });
  }

  /** @param {Tool} tool */
  async #select(tool, takesFocus = true) {
    for (const name of /** @type {Tool[]} */ (Object.keys(this.#panels))) {
      const isShown = name === tool;
      this.#tabs[name].setAttribute("aria-selected", String(isShown));
      this.#tabs[name].tabIndex = isShown ? 0 : -1;
      this.#panels[name].node.hidden = !isShown;
      this.#panels[name].node.id = `prompt-panel-${name}`;
      this.#panels[name].node.setAttribute("role", "tabpanel");
      this.#panels[name].node.setAttribute("aria-labelledby", `prompt-tab-${name}`);
    }
    if (takesFocus) this.#panels[tool].focus();
    await this.#panels[tool].load();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const names = /** @type {Tool[]} */ (Object.keys(this.#tabs));
    const at = names.findIndex((name) => this.#tabs[name].tabIndex === 0);
    const next = names[(at + step + names.length) % names.length];
    event.preventDefault();
    this.#select(next, false);
    this.#tabs[next].focus();
  }
}
