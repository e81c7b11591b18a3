/* The admin page: activity, spending and controls. It refreshes every 15 seconds while it is visible. */
"use strict";

(() => {
  const { language, words, signed_in: signedIn } = JSON.parse(document.currentScript.dataset.page);
  const AGAIN_MS = 15000;
  const NOTE_MS = 8000;
  const home = document.getElementById("owner");
  const plurals = new Intl.PluralRules(language);
  const parts = {};
  let noteTimer = 0;

  // As in page.js.
  function say(key, values = {}) {
    return words[key].replace(/\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}/g, (_, name, one, others) => {
      const value = values[name];
      if (one !== undefined) return plurals.select(value) === "one" ? one : others;
      return typeof value === "number" ? value.toLocaleString(language) : value;
    });
  }

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }

  const usd = (amount) => amount.toLocaleString(language, { style: "currency", currency: "USD", maximumFractionDigits: 4 });
  const number = (value) => value.toLocaleString(language, { maximumFractionDigits: 2, useGrouping: false });
  const time = (moment) => new Date(moment * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  const shorten = (name) => name.slice(0, -24); // the first eight digits of a hash; for a login they begin with "person-"

  /* --- requests */

  async function ask(path, body) {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    try {
      const answer = await fetch(`owner/${path}?language=${language}`, options);
      if ([401, 403].includes(answer.status)) location.reload(); // signed out meanwhile: the server redirects to the sign-in page
      const value = await answer.json();
      if (answer.ok) {
        show(value);
        return true;
      }
      tell(value.message);
    } catch {
      tell(words.owner_offline);
    }
    return false;
  }

  async function change(button, control, body, done = words.owner_saved) {
    button.disabled = true;
    const isDone = await ask(control, body);
    button.disabled = false;
    if (isDone) tell(done);
    return isDone;
  }

  function tell(text) {
    clearTimeout(noteTimer);
    parts.note.textContent = text;
    noteTimer = setTimeout(() => { parts.note.textContent = ""; }, NOTE_MS);
  }

  /* --- the page */

  function build() {
    const section = (name, title, ...children) => {
      parts[name] = element("div");
      return element("section", {}, element("h2", {}, title), parts[name], ...children);
    };
    const wide = (node) => {
      node.className = "wide";
      return node;
    };
    parts.note = element("p", { role: "status", "aria-live": "polite" });
    parts.price = element("p", { class: "warning wide", role: "alert", hidden: true }, words.owner_price_missing);
    parts.now = element("p", { class: "now" });
    parts.reasons = element("div");
    parts.press = element("button", { type: "button" });
    parts.press.addEventListener("click", () => {
      const stopped = parts.switch.dataset.stopped !== "true";
      change(parts.press, "switch", { stopped }, stopped ? words.owner_now_stopped : words.owner_now_running);
    });
    parts.switch = element("section", { class: "switch wide" }, element("div", {}, parts.now, parts.reasons), parts.press);
    const saveLimits = element("button", { type: "submit", class: "main" }, words.owner_save);
    parts.limits = element("form", { novalidate: true });
    parts.limits.addEventListener("submit", (event) => {
      event.preventDefault();
      const inputs = [...parts.limits.querySelectorAll("input")].filter((input) => input.value !== input.dataset.known);
      const wishes = inputs.map((input) => [input.name, input.value.trim() === "" ? null : asNumber(input.value)]);
      change(saveLimits, "limits", Object.fromEntries(wishes));
    });
    const saveWords = element("button", { type: "submit", class: "main" }, words.owner_save);
    parts.words = element("textarea", { id: "words", spellcheck: "false", dir: "auto", "data-known": "" });
    const wordsForm = element("form", {}, element("label", { for: "words", class: "soft" }, words.owner_words_help), parts.words, saveWords);
    wordsForm.addEventListener("submit", (event) => {
      event.preventDefault();
      change(saveWords, "words", { words: parts.words.value.split("\n").filter((line) => line.trim()) });
    });
    const header = element("header", {}, element("h1", {}, words.owner_title), element("a", { href: "../" }, words.sign_in_back));
    if (signedIn) {
      header.append(element("form", { method: "post", action: "sign-out" }, element("button", { class: "link" }, words.sign_out)));
    }
    parts.today = element("section");
    parts.month = element("section");
    home.append(
      header, parts.switch, parts.price, parts.today, parts.month,
      element("section", {}, element("h2", {}, words.owner_limits), element("p", { class: "soft" }, words.owner_limits_help), parts.limits),
      element("section", {}, element("h2", {}, words.owner_words), wordsForm),
      wide(section("states", words.owner_states)),
      wide(section("guests", words.owner_visitors)),
      wide(section("shutOut", words.owner_shut_out)),
      wide(section("troubles", words.owner_errors)),
      parts.note,
    );
    parts.limits.after(saveLimits);
    saveLimits.setAttribute("form", (parts.limits.id = "limits"));
  }

  function asNumber(text) {
    const value = Number(text.trim().replace(",", "."));
    return Number.isFinite(value) ? value : text; // the server reports what is wrong with it
  }

  function show(data) {
    const { stops, shut_out: shutOut, words: forbidden } = data.rules;
    const isStopped = stops.length > 0;
    parts.switch.dataset.stopped = isStopped;
    parts.now.textContent = isStopped ? words.owner_now_stopped : words.owner_now_running;
    parts.reasons.replaceChildren(...stops.map((stop) =>
      element("p", {}, words[`owner_stop_${stop.reason}`], " ", element("span", { class: "soft" }, say("owner_since", { time: time(stop.since) })))));
    if (!isStopped) parts.reasons.append(element("p", { class: "soft" }, words.owner_stop_help));
    parts.press.textContent = isStopped ? words.owner_resume : words.owner_stop;
    parts.press.className = isStopped ? "go" : "stop";
    parts.price.hidden = !data.price_is_missing;
    showMoney(parts.today, words.owner_today, data.today);
    showMoney(parts.month, words.owner_month, data.month);
    data.limits.forEach(showLimit);
    keep(parts.words, forbidden.join("\n"));
    showStates(data.states);
    showGuests(data, shutOut);
    showShutOut(shutOut);
    showTroubles(data.troubles);
  }

  function showMoney(node, title, money) {
    const lines = [say("owner_jobs", { count: money.jobs })];
    if (money.billed_jobs) lines.push(say("owner_billed", { usd: usd(money.billed_usd), count: money.billed_jobs, foreseen: usd(money.foreseen_usd) }));
    if (money.open_jobs) lines.push(say("owner_open", { usd: usd(money.open_usd), count: money.open_jobs }));
    if (money.unknown_jobs) lines.push(say("owner_unknown", { count: money.unknown_jobs }));
    node.replaceChildren(
      element("h2", {}, title),
      element("p", { class: "figure" }, usd(money.billed_usd + money.open_usd)),
      ...lines.map((line) => element("p", { class: "soft" }, line)),
    );
  }

  function showLimit(limit) {
    const id = `limit-${limit.name}`;
    let row = document.getElementById(id)?.parentElement;
    if (!row) {
      row = element("div", { class: "limit" },
        element("label", { for: id }, words[`owner_limit_${limit.name}`]),
        element("input", { id, name: limit.name, inputmode: "decimal", autocomplete: "off", maxlength: 12, "data-known": "" }),
        element("div", { class: "used soft" }));
      parts.limits.append(row);
    }
    const [, input, used] = row.children;
    const isChanged = limit.most !== limit.at_start;
    input.placeholder = limit.at_start === null ? words.owner_no_limit : number(limit.at_start);
    keep(input, isChanged ? number(limit.most) : "");
    if (limit.most === null) {
      used.replaceChildren(say("owner_used_freely", { used: number(limit.used) }));
    } else {
      used.replaceChildren(say("owner_used", { used: number(limit.used), most: number(limit.most) }));
      const value = limit.most > 0 ? Math.min(1, limit.used / limit.most) : 1;
      used.append(element("progress", { value, max: 1, class: value >= 1 ? "full" : "", "aria-label": words[`owner_limit_${limit.name}`] }));
    }
  }

  // A refresh does not overwrite a field that is being edited.
  function keep(input, value) {
    if (input.value === input.dataset.known) input.value = value;
    input.dataset.known = value;
  }

  function showStates(states) {
    const items = Object.entries(states).map(([state, count]) => element("li", {}, `${words[`state_${state}`]} `, element("b", {}, count.toLocaleString(language))));
    parts.states.replaceChildren(items.length ? element("ul", { class: "states" }, ...items) : nothing());
  }

  function showGuests({ guests, visitors }, shutOut) {
    const out = new Set(shutOut.map((each) => each.kind + each.name));
    const rows = guests.map((guest) => [
      place("visitor", guest.visitor_id, out),
      guest.jobs_today.toLocaleString(language),
      guest.jobs.toLocaleString(language),
      usd(guest.usd),
      time(guest.last_at),
      element("div", {}, ...guest.addresses.map((address) => place("address", address, out))),
    ]);
    const titles = ["owner_visitor", "owner_jobs_today", "owner_jobs_all", "owner_spent", "owner_last_job", "owner_addresses"];
    parts.guests.replaceChildren(table(titles, rows));
    const some = guests.filter((guest) => guest.visitor_id).length;
    if (some < visitors) parts.guests.append(element("p", { class: "soft" }, say("owner_some_visitors", { count: some, total: visitors })));
  }

  function place(kind, name, out) {
    if (!name) return element("span", {}, words.owner_programs);
    const isOut = out.has(kind + name);
    return element("span", { class: "place" }, element("code", {}, shorten(name)), shutOutButton(kind, name, isOut));
  }

  function shutOutButton(kind, name, isOut) {
    const text = isOut ? words.owner_let_in : words.owner_put_out;
    const button = element("button", { type: "button", class: "link", "aria-label": `${text}: ${shorten(name)}` }, text);
    button.addEventListener("click", () => change(button, "shut-out", { kind, name, out: !isOut }));
    return button;
  }

  function showShutOut(shutOut) {
    const rows = shutOut.map((each) => [
      words[each.kind === "visitor" ? "owner_visitor" : "owner_address"],
      element("span", { class: "place" }, element("code", {}, shorten(each.name)), shutOutButton(each.kind, each.name, true)),
      time(each.since),
    ]);
    parts.shutOut.replaceChildren(table(["owner_who", "owner_name", "owner_time"], rows));
  }

  function showTroubles(troubles) {
    const rows = troubles.map((each) => [
      time(each.at),
      element("code", {}, each.job),
      words[`state_${each.state}`],
      element("div", {},
        element("p", {}, words[`problem_${each.problem}`] || words.problem_api),
        element("p", { class: "soft", lang: "en" }, each.detail || "")),
    ]);
    parts.troubles.replaceChildren(table(["owner_time", "owner_job", "owner_state", "owner_problem"], rows));
  }

  function table(titles, rows) {
    if (!rows.length) return nothing();
    const head = element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, words[title]))));
    const cells = (row) => row.map((cell, index) =>
      element("td", { "data-title": words[titles[index]], class: typeof cell === "string" ? "short" : null }, cell));
    return element("table", {}, head, element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))));
  }

  function nothing() {
    return element("p", { class: "soft" }, words.owner_nothing);
  }

  build();
  ask("overview");
  setInterval(() => {
    // Not while a button inside has the focus: the keyboard focus would be lost.
    const isBusy = document.activeElement?.closest("table");
    if (!document.hidden && !isBusy) ask("overview");
  }, AGAIN_MS);
  document.addEventListener("visibilitychange", () => document.hidden || ask("overview"));
})();
