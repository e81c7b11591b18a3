/* The keys that act everywhere on the page. */

import { jobs } from "../core/jobs.js";
import { onKeys } from "../core/keyboard.js";
import { PromptHistory } from "../core/prompt-history.js";
import { router } from "../core/router.js";
import { openTools } from "../form/prompt-tools.js";
import { form } from "../form/state.js";
import { showKeyHelp } from "./key-help.js";

const prompts = new PromptHistory();

function promptField() {
  const field = form.model.fields.find(({ is_text: isText }) => isText);
  const node = document.getElementById(field?.id ?? "")?.querySelector("textarea, input");
  return node instanceof HTMLTextAreaElement || node instanceof HTMLInputElement ? node : null;
}

/** @param {1 | -1} step @param {KeyboardEvent} event @returns {boolean} whether the key is ours */
function movePrompt(step, event) {
  const field = promptField();
  const isElsewhere = event.target instanceof Element && event.target.matches("input, select, textarea") && event.target !== field;
  if (!field || isElsewhere || router.state.tab !== "create") return false;
  const text = prompts.move(step, field.value, jobs.all().map(({ prompt }) => prompt));
  if (text === null) return true;
  const { prototype } = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
  Object.getOwnPropertyDescriptor(prototype, "value")?.set?.call(field, text); // as if it was typed: Gradio takes it over
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
  return true;
}

/** @param {string} tab */
const goTo = (tab) => router.go({ tab, image: null });

/** Listen from now on. @param {() => void} focusSearch leads to the library's search */
export function startShortcuts(focusSearch) {
  const search = () => {
    if (router.state.tab === "library") return focusSearch();
    goTo("create");
    promptField()?.focus();
  };
  onKeys("everywhere", {
    "search": search,
    "go-create": () => goTo("create"),
    "go-library": () => goTo("library"),
    "go-batch": () => goTo("batch"),
    "go-admin": () => form.hasAdmin && goTo("admin"),
    "older-prompt": (event) => movePrompt(1, event),
    "newer-prompt": (event) => movePrompt(-1, event),
    "history": () => openTools("history"),
    "help": showKeyHelp,
  }, () => !document.querySelector("dialog[open]:not(.viewer)"));
}
