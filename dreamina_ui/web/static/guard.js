/* No press by accident: what a held key, a double tap or a composition may do, and that fields send what they show. */
"use strict";

dreamina.guard = (() => {
  const { facts, words, say, current, bring, tellProblem } = dreamina;
  const ARM_MS = 600; // how long a button that costs money is disabled after it appears
  const PAID = "[data-paid], #generate";
  const BUTTON = "button, summary, a, [role=button], input[type=checkbox]";

  /* --- keys */

  const wentDownAt = new Map(); // code of a key that is down -> where it went down

  // A held Enter or Space acts only where it went down, and presses a button once.
  document.addEventListener("keydown", (event) => {
    if (!isPressKey(event)) return;
    if (!event.repeat) wentDownAt.set(event.code, event.target);
    else if (wentDownAt.get(event.code) !== event.target || event.target.closest?.(BUTTON)) stop(event);
  }, true);

  // A button is pressed when Space is released: not by a Space that went down elsewhere.
  document.addEventListener("keyup", (event) => {
    if (!isPressKey(event)) return;
    const began = wentDownAt.get(event.code);
    wentDownAt.delete(event.code);
    if (began !== event.target && event.target.closest?.(BUTTON)) stop(event);
  }, true);
  window.addEventListener("blur", () => wentDownAt.clear());

  function isPressKey(event) {
    return event.key === "Enter" || event.key === " ";
  }

  function stop(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // Ctrl+Enter or Cmd+Enter in a field of the form is a click on Generate.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.repeat) return stop(event);
    if (event.isComposing || event.keyCode === 229) return;
    if (document.querySelector("dialog[open]") || !event.target.closest?.(".model-form")) return;
    stop(event); // Gradio's dropdown would take the Enter
    generate();
  }, true);

  /* --- clicks */

  // The second click of a double click does not pay a second time.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest?.(PAID)) stop(event);
  }, true);

  // A finger on Generate leaves the focus in the field: what was typed there is committed first.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#generate");
    if (!button || isCommitted || uncommitted().length === 0) return;
    stop(event);
    generate();
  }, true);

  let isCommitted = false;

  async function generate() {
    const problem = await commit();
    tellProblem(problem);
    const button = document.getElementById("generate");
    if (problem || !button?.checkVisibility()) return; // a prompt that is out of sight is never submitted
    isCommitted = true;
    button.click();
    isCommitted = false;
  }

  // Disable a button that costs money until a second tap or click cannot be meant for what was there before.
  function arm(button) {
    button.dataset.paid = "";
    button.disabled = true;
    setTimeout(() => { button.disabled = false; }, ARM_MS);
    return button;
  }

  // Open a dialog with its heading focused, so that no key presses anything in it.
  function openDialog(dialog, heading) {
    heading.tabIndex = -1;
    dialog.showModal();
    heading.focus();
  }

  /* --- fields: what is shown is what is sent */

  const lastNumbers = new WeakMap(); // number input -> its last valid text

  function fields() {
    const { modelId, values } = current();
    const model = facts.models.find((one) => one.model_id === modelId);
    return model.fields.map((field) => ({ field, value: values[field.key], node: document.getElementById(field.id) }));
  }

  // What shows something else than the form holds: [{input, field?, value}].
  function uncommitted() {
    const found = [];
    for (const { field, value, node } of fields()) {
      const list = node?.querySelector("input[role=combobox]");
      if (list && list.value.trim() !== shownFor(field, value)) found.push({ input: list, field, value });
      for (const input of node?.querySelectorAll("input[type=number]") ?? []) {
        if (input.value === "") found.push({ input });
      }
    }
    return found;
  }

  function shownFor(field, value) {
    return Array.isArray(value) ? "" : field.labels[field.choices.indexOf(value)] ?? "";
  }

  // Returns a text for the visitor if a field cannot be committed, otherwise "".
  async function commit() {
    for (const { input, field, value } of uncommitted()) {
      if (!field) {
        restore(input);
        continue;
      }
      const typed = input.value.trim();
      const choice = typed ? choiceFor(field, typed) : value;
      if (choice === undefined) {
        input.focus();
        return say("choice_unclear", { value: typed, field: input.getAttribute("aria-label") || field.parameter });
      }
      input.blur();
      const parameters = { [field.parameter]: Array.isArray(value) ? [...new Set([...value, choice])] : choice };
      if (typed) await new Promise((done) => { bring({ modelId: current().modelId, parameters }, done); });
    }
    await new Promise((wait) => setTimeout(wait, 50)); // Gradio passes values on after a moment
    return "";
  }

  // The one choice that a text names; undefined where it names none or several.
  function choiceFor(field, typed) {
    const plain = (text) => String(text).toLowerCase().replace(/×/g, "x").replace(/\s+/g, "");
    const texts = field.choices.map((choice, index) => [plain(choice), plain(field.labels[index])]);
    const wanted = plain(typed);
    const exact = field.choices.filter((_, index) => texts[index].includes(wanted));
    const part = field.choices.filter((_, index) => texts[index].some((text) => text.includes(wanted)));
    return exact.length === 1 ? exact[0] : part.length === 1 ? part[0] : undefined;
  }

  function isFormNumber(node) {
    return node.matches?.(".model-form input[type=number]");
  }

  function remember(event) {
    if (isFormNumber(event.target) && event.target.value !== "") lastNumbers.set(event.target, event.target.value);
  }

  // An emptied number returns to its last value.
  function restore(input) {
    const last = lastNumbers.get(input);
    if (input.value !== "" || last === undefined) return;
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, last);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("focusin", remember, true);
  document.addEventListener("change", remember, true);
  document.addEventListener("focusout", (event) => isFormNumber(event.target) && restore(event.target), true);

  // Browsers drop a comma in a number unless it is their own decimal mark.
  document.addEventListener("keydown", (event) => {
    if (event.key === "," && isFormNumber(event.target) && !event.ctrlKey && !event.metaKey) insertPoint(event);
  }, true);
  document.addEventListener("beforeinput", (event) => {
    if (event.data === "," && isFormNumber(event.target)) insertPoint(event);
  }, true);
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (!isFormNumber(event.target) || !/^-?\d*,\d+$/.test(text)) return;
    event.preventDefault();
    document.execCommand("insertText", false, text.replace(",", "."));
  }, true);

  function insertPoint(event) {
    event.preventDefault();
    document.execCommand("insertText", false, "."); // the only way to insert an unfinished number
  }

  return { arm, openDialog };
})();
