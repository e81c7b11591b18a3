/* The buttons below a prompt that open its tools; the tools themselves are loaded when they are opened. */

import { button, element, emit } from "../core/dom.js";
import { words } from "../core/words.js";
import { form } from "./state.js";

/** @typedef {import("../prompts/dialog.js").Tool} Tool */

/** @param {Tool} tool */
export async function openTools(tool) {
  const { openPromptTools } = await import("../prompts/dialog.js");
  openPromptTools(tool, (text) => emit(document.body, "insert-in-batch", { text }));
}

/** Put the buttons below the prompt of each model that has a form. */
export function showPromptTools() {
  for (const model of new Set([...form.models, form.model])) {
    const field = model.fields.find((known) => known.is_text);
    const node = document.getElementById(field?.id ?? "");
    if (!node || node.querySelector(".prompt-tools")) continue;
    node.append(element("div", { class: "prompt-tools", role: "group", "aria-label": words.prompt_tools },
      button(words.prompt_history, () => openTools("history"), { "aria-haspopup": "dialog", "aria-keyshortcuts": "h" }),
      button(words.prompt_presets, () => openTools("presets"), { "aria-haspopup": "dialog" }),
      button(words.prompt_wildcards, () => openTools("wildcards"), { "aria-haspopup": "dialog" })));
  }
}
