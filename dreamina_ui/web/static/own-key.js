/* The visitor's own RunComfy key: typed here, sent once, and never stored by the browser. */
"use strict";

dreamina.ownKey = (() => {
  const { words, language, say, element, address, post, tell, watch } = dreamina;
  let ui = null;
  let isGiven; // undefined until the server has said it

  function build(home) {
    ui = {
      home,
      box: element("details"),
      title: element("summary"),
      about: element("p"),
      // Not a form: browsers offer to store what a form submits.
      input: element("input", {
        type: "password", id: "own-key-input", autocomplete: "new-password", maxlength: 500, spellcheck: "false",
        autocapitalize: "off", "data-1p-ignore": true, "data-lpignore": "true",
      }),
      use: element("button", { type: "button" }, words.own_key_use),
      remove: element("button", { type: "button" }, words.own_key_remove),
      problem: element("p", { class: "problem", role: "alert" }),
    };
    ui.field = element("div", { class: "own-key-field" }, element("label", { for: "own-key-input" }, words.own_key_label), ui.input, ui.use);
    ui.box.append(ui.title, ui.about, ui.field, ui.remove, ui.problem);
    ui.use.addEventListener("click", give);
    ui.input.addEventListener("keydown", (event) => event.key === "Enter" && !event.repeat && !event.isComposing && give());
    ui.remove.addEventListener("click", takeBack);
    home.replaceChildren(ui.box);
    look(true);
  }

  async function look(isFirst = false) {
    try {
      const state = await (await fetch(address("key"))).json();
      show(state);
      if (isFirst) ui.box.open = (state.required || state.given) && !state.hint;
      return state;
    } catch { /* the connection notice says that the server cannot be reached */ }
  }

  function show({ given, hint, required }) {
    isGiven = given;
    const isLost = given && !hint;
    ui.title.textContent = hint ? say("own_key_given", { hint }) : isLost ? words.own_key_lost : words.own_key;
    const none = required ? `${words.own_key_required} ${words.own_key_about}` : words.own_key_about;
    ui.about.textContent = hint ? words.own_key_remove_about : isLost ? words.own_key_lost_about : none;
    ui.field.hidden = Boolean(hint);
    ui.home.dataset.state = hint ? "given" : required || isLost ? "needed" : "none";
    ui.remove.hidden = !given;
    // With a key, Generate costs money, and nothing may say that it is free.
    document.documentElement.classList.toggle("own-key-given", Boolean(hint));
  }

  async function give() {
    const key = ui.input.value;
    ui.input.value = "";
    ui.problem.textContent = "";
    if (!key.trim()) return ui.input.focus();
    ui.use.disabled = true;
    const { answer, refusal } = await post("key", { key });
    ui.use.disabled = false;
    if (refusal) {
      ui.problem.textContent = refusal;
      return ui.input.focus();
    }
    const state = await look();
    if (!state?.hint) {
      ui.problem.textContent = words.own_key_no_cookie;
      return;
    }
    priceChanged();
    if (!answer.is_checked) tell(words.own_key_unchecked);
    ui.title.focus();
    watch(false);
  }

  async function takeBack() {
    ui.problem.textContent = "";
    try {
      const reply = await fetch(address("key", { language }), { method: "DELETE" });
      if (!reply.ok) throw new Error(reply.status);
      show(await reply.json());
      priceChanged();
      ui.title.focus();
      watch(false);
    } catch {
      ui.problem.textContent = words.request_failed;
    }
  }

  // The server fetches a new key's prices after it got the key, which takes a moment.
  function priceChanged() {
    dreamina.askPrices(true);
    setTimeout(() => dreamina.askPrices(), 3000);
  }

  // Another tab may have added or removed it, and the server drops unused keys.
  document.addEventListener("visibilitychange", () => ui && !document.hidden && look());

  // Gradio renders the page after this script has run, and may render it again.
  function find() {
    const home = document.getElementById("own-key");
    if (home && home !== ui?.home) build(home);
  }
  find();
  new MutationObserver((_, observer) => {
    find();
    if (ui) observer.disconnect();
  }).observe(document.documentElement, { childList: true, subtree: true });

  return { isGiven: () => isGiven };
})();
