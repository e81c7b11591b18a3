/* Reuse the settings of a job: again, in another size, or by a link. All of it fills in the form, and submits nothing. */
"use strict";

dreamina.goOn = (() => {
  const { facts, words, say, element, tell, shorten, onCard, useSettings, bringDraft, formReady, local } = dreamina;
  const KEPT = "draft.before-link";
  const MOST_LETTERS = 20000;

  /* --- buttons */

  // The buttons for a job's settings; `leave` is called before the form is shown.
  function buttons(job, leave = () => {}) {
    const model = facts.models.find((one) => one.model_id === job.model_id);
    if (!model || !Object.keys(job.parameters).length) return [];
    const button = (text, press, help = words.settings_only) => {
      const node = element("button", { type: "button", title: help }, text);
      node.addEventListener("click", () => press(node));
      return node;
    };
    const fill = (focus) => {
      leave();
      useSettings(job.model_id, job.parameters, words.settings_taken, focus);
    };
    const choice = model.fields.find((field) => field.choices.length);
    const found = [button(words.again, () => fill(focusForm))];
    if (choice) found.push(button(words.another_size, () => fill(() => document.querySelector(`#${choice.id} input`)?.focus())));
    found.push(button(words.copy_link, (node) => copy(linkOf(model, job.parameters), node), words.copy_link_help));
    return found;
  }

  // Not Generate: a second Enter would press it.
  function focusForm() {
    const form = document.getElementById("form");
    form?.setAttribute("tabindex", "-1");
    form?.focus();
  }

  onCard((node, data) => {
    if (!node.goOn) {
      node.goOn = element("div", { class: "go-on" }, ...buttons(data));
      node.parts.facts.before(node.goOn);
    }
    for (const output of data.outputs.filter((one) => one.state === "kept")) {
      const caption = node.querySelector(`figure[data-index="${output.index}"] figcaption`);
      if (!caption.querySelector(".favourite")) caption.lastChild.before(favouriteButton(output));
      showFavourite(output.file_key, output.favourite);
    }
  });

  function favouriteButton(output) {
    const node = element("button", { type: "button", class: "favourite", "data-favourite": output.file_key, title: words.favourite });
    node.setAttribute("aria-label", `${words.favourite}: ${output.index + 1}`);
    node.addEventListener("click", () => dreamina.library.mark([output.file_key], "favourite", node.ariaPressed !== "true"));
    return node;
  }

  function showFavourite(fileKey, value) {
    for (const node of document.querySelectorAll(`[data-favourite="${fileKey}"]`)) {
      node.ariaPressed = String(value);
      node.textContent = value ? "★" : "☆";
    }
  }

  /* --- links: the settings are in the fragment, which browsers do not send to servers */

  function linkOf(model, parameters) {
    const query = new URLSearchParams({ model: model.model_id });
    for (const field of model.fields) {
      if (!field.in_link || !(field.parameter in parameters)) continue;
      for (const value of [parameters[field.parameter]].flat()) query.append(field.parameter, value);
    }
    return `${location.origin}${location.pathname}#${query}`;
  }

  async function copy(link, button) {
    try {
      await navigator.clipboard.writeText(link);
      tell(words.link_copied);
    } catch {
      const shown = element("input", { type: "text", readonly: true, value: link, "aria-label": words.copy_link });
      button.replaceWith(shown); // browsers give pages without https no clipboard
      shown.select();
      shown.focus();
    }
  }

  /* Read the settings from a link and check them against the model's fields.
   * Returns {modelId, parameters, notes}; null if the URL carries no settings. */
  function readLink(query) {
    const modelId = query.get("model") ?? facts.models[0].model_id;
    const model = facts.models.find((one) => one.model_id === modelId);
    const isOurs = query.has("model") || model.fields.some((field) => query.has(field.parameter));
    if (!isOurs) return null;
    if (!model) return { notes: [say("settings_other_model", { model: shorten(modelId) })] };
    if (String(query).length > MOST_LETTERS) return { notes: [words.link_too_long] };
    const parameters = {};
    const notes = [];
    for (const field of model.fields.filter((one) => one.in_link && query.has(one.parameter))) {
      const texts = query.getAll(field.parameter);
      const text = field.value_type === "array" ? texts.join(", ") : texts[0];
      const value = field.value_type === "array" ? valuesOf(field, texts) : valueOf(field, text);
      if (value === null) {
        notes.push(say("link_refused", { field: field.parameter, value: shorten(text) }));
        continue;
      }
      if (field.is_text && value !== text) notes.push(say("link_cut", { field: field.parameter, limit: field.max_length }));
      parameters[field.parameter] = value;
    }
    const known = model.fields.filter((one) => one.in_link).map((field) => field.parameter);
    const unknown = [...new Set(query.keys())].filter((key) => key !== "model" && !known.includes(key));
    if (unknown.length) notes.push(say("link_ignored", { names: unknown.slice(0, 5).map(shorten).join(", ") }));
    return { modelId, parameters, notes };
  }

  // Parse a list of values; null where one of them is not valid for the field.
  function valuesOf(field, texts) {
    const values = texts.map((text) => valueOf({ ...field, value_type: "string" }, text));
    return values.includes(null) ? null : values;
  }

  // Parse a value; null where it is not valid for the field.
  function valueOf(field, text) {
    if (field.choices.length) return field.choices.find((choice) => String(choice) === text) ?? null;
    if (field.value_type === "boolean") return { true: true, false: false }[text] ?? null;
    if (field.value_type === "string") {
      if (field.pattern && !new RegExp(field.pattern, "u").test(text)) return null;
      const letters = [...text];
      return field.max_length && letters.length > field.max_length ? letters.slice(0, field.max_length).join("") : text;
    }
    const pattern = field.value_type === "integer" ? /^-?\d{1,15}$/ : /^-?\d{1,15}(\.\d{1,15})?$/;
    const number = Number(text);
    const isOutside = number < (field.minimum ?? -Infinity) || number > (field.maximum ?? Infinity);
    return pattern.test(text) && !isOutside ? number : null;
  }

  // Fill in the form from the page's URL, and keep the earlier draft until the visitor discards it.
  function followLink() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const search = new URLSearchParams(location.search);
    const plain = search.has("prompt");
    const link = readLink(location.hash.includes("=") || !plain ? fragment : new URLSearchParams({ prompt: search.get("prompt") }));
    if (!link) return showKept();
    search.delete("prompt");
    history.replaceState(history.state, "", `${location.pathname}${String(search) && `?${search}`}`); // a reload does not apply the link again
    if (!link.modelId) return tell(link.notes.join(" "));
    if (local.get(KEPT) === null) local.set(KEPT, local.get("draft"));
    useSettings(link.modelId, link.parameters, "", () => showKept([words.link_taken, ...link.notes].join(" ")));
  }

  function showKept(text = words.link_draft_kept) {
    document.getElementById("link-note")?.remove();
    const isKept = local.get(KEPT) !== null;
    if (!isKept && text === words.link_draft_kept) return;
    const note = element("div", { id: "link-note", role: "status" });
    const button = (label, press) => {
      const node = element("button", { type: "button" }, label);
      node.addEventListener("click", () => { local.set(KEPT, null); note.remove(); press(); });
      return node;
    };
    const restore = () => {
      const draft = local.get(KEPT);
      return () => { local.set("draft", draft); bringDraft(); };
    };
    document.getElementById("form")?.prepend(note);
    note.append(element("p", {}, text));
    if (isKept) note.append(button(words.link_restore, restore()));
    note.append(button(isKept ? words.link_keep : words.close, focusForm));
  }

  formReady.then(() => {
    followLink();
    window.addEventListener("hashchange", followLink);
  });

  return { buttons, showFavourite };
})();
