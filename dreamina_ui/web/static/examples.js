/* Example prompts. A click fills in the form, and submits nothing. */
"use strict";

(() => {
  const { facts, words, element, address, useSettings } = dreamina;

  function build(tools) {
    const toggle = element("button", { type: "button", "aria-expanded": "false", "aria-controls": "examples", hidden: true }, words.examples);
    const section = element("section", { id: "examples", "aria-label": words.examples, hidden: true });
    tools.append(toggle);
    tools.after(section);
    let called = false;
    const show = () => {
      const isEmpty = dreamina.isEmpty();
      if (isEmpty === undefined || !facts.examples.length) return; // the jobs are not loaded yet
      toggle.hidden = isEmpty;
      toggle.setAttribute("aria-expanded", String(called));
      section.hidden = !isEmpty && !called;
      if (!section.hidden && !section.children.length) fill(section);
    };
    toggle.addEventListener("click", () => { called = !called; show(); });
    document.addEventListener("dreamina:jobs", show);
    show();
  }

  function fill(section) {
    const wall = element("ul", { class: "wall" });
    facts.examples.forEach((example, place) => {
      const prompt = words[`example_${place + 1}`] || example.parameters.prompt;
      const press = element("button", { type: "button" }, element("img", { src: address(example.file), alt: "", width: 400, height: 300 }), element("span", {}, prompt));
      press.addEventListener("click", () => {
        dreamina.showForm?.();
        useSettings(example.model_id, { ...example.parameters, prompt });
        document.querySelector(".model-form[data-chosen] textarea")?.focus();
      });
      wall.append(element("li", {}, press));
    });
    section.append(element("h2", {}, words.examples), element("p", {}, words.examples_about), wall);
  }

  dreamina.whenThere("tools", build);
})();
