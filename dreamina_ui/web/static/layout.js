/* The button that hides the form; the choice is remembered. */
"use strict";

(() => {
  const { words, element } = dreamina;
  const STORED = "form";

  function build(home) {
    const toggle = element("button", { type: "button", id: "toggle-form", "aria-controls": "form" });
    const set = (isAway) => {
      document.documentElement.classList.toggle("form-away", isAway);
      toggle.setAttribute("aria-expanded", String(!isAway));
      toggle.textContent = isAway ? words.show_form : words.hide_form;
    };
    toggle.addEventListener("click", () => {
      const isAway = !document.documentElement.classList.contains("form-away");
      set(isAway);
      dreamina.local.set(STORED, isAway ? "away" : "here");
    });
    set(dreamina.local.get(STORED) === "away");
    dreamina.showForm = () => set(false);
    home.append(toggle);
  }

  dreamina.whenThere("tools", build);
})();
