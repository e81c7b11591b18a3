/* Spending: a small chart with its tables, in the library. */
"use strict";

dreamina.costs = (() => {
  const { facts, words, language, say, number, element, address, usd } = dreamina;
  const UNITS = { days: words.costs_days, months: words.costs_months };
  const SLOTS = { days: 30, months: 12 };
  const titles = Object.fromEntries(facts.models.map((model) => [model.model_id, model.title]));
  const NOTHING = { usd: 0, told: 0, unknown: 0 };
  let unit = "days";

  // A panel that loads its data each time it is opened.
  function panel() {
    const body = element("div", { class: "costs-body" });
    const box = element("details", { class: "costs" }, element("summary", {}, words.costs), body);
    box.addEventListener("toggle", () => box.open && load(body));
    return box;
  }

  async function load(body) {
    try {
      const reply = await fetch(address("costs", { language }));
      if (!reply.ok) throw new Error();
      show(body, await reply.json());
    } catch {
      body.replaceChildren(element("p", { role: "status" }, words.request_failed));
    }
  }

  function show(body, answer) {
    const purses = ["money", "play"].filter((name) => answer[name].total.told + answer[name].total.unknown);
    body.replaceChildren(
      element("p", { class: "hint" }, answer.is_owner ? words.costs_of_owner : words.costs_of_visitor),
      ...(purses.length ? [] : [element("p", {}, words.costs_none)]),
      ...purses.map((name) => section(name, answer[name], answer.today)),
    );
  }

  function section(name, purse, today) {
    const { total } = purse;
    const parts = [total.told && say("costs_total", { usd: usd(total.usd), jobs: total.told })];
    parts.push(total.unknown && say("costs_unknown", { count: total.unknown }));
    parts.push(purse.own_key.told && say("costs_own_key", { usd: usd(purse.own_key.usd) }));
    const chart = element("div", { class: "costs-chart" });
    const buttons = Object.entries(UNITS).map(([each, text]) => {
      const button = element("button", { type: "button", "data-unit": each }, text);
      button.addEventListener("click", () => { unit = each; draw(); });
      return button;
    });
    const draw = () => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.unit === unit)));
      chart.replaceChildren(...bars(purse[unit], today));
    };
    draw();
    const box = element("section", { class: "costs-purse", "data-purse": name });
    if (name === "play") box.append(element("p", { class: "costs-play" }, words.costs_play));
    box.append(
      element("p", { class: "costs-total" }, parts.filter(Boolean).join(" · ")),
      element("div", { class: "costs-units" }, ...buttons),
      chart,
      table(words.costs_models, words.detail_model, Object.entries(purse.models).map(([id, sum]) => [titles[id] || id, sum])),
    );
    return box;
  }

  // Bars, and the same numbers as a table for screen readers.
  function bars(sums, today) {
    const names = slots(today);
    const most = Math.max(...names.map((name) => sums[name]?.usd || 0));
    const nodes = names.map((name) => {
      const sum = sums[name] || NOTHING;
      const told = [shown(name), (sum.told || !sum.unknown) && usd(sum.usd), sum.unknown && say("costs_unknown", { count: sum.unknown })];
      const bar = element("div", { class: "costs-bar" });
      bar.style.height = `${(100 * sum.usd) / (most || 1)}%`;
      const slot = element("div", { class: "costs-slot", title: told.filter(Boolean).join(" · ") }, bar);
      if (sum.unknown) bar.before(element("span", { class: "costs-mark" }, "?"));
      return slot;
    });
    const rows = names.filter((name) => sums[name]).reverse().map((name) => [shown(name), sums[name]]);
    const axis = element("div", { class: "costs-axis", "aria-hidden": "true" });
    axis.append(...[names[0], names.at(-1)].map((name) => element("span", {}, shown(name))));
    return [
      element("div", { class: "costs-most", "aria-hidden": "true" }, most ? usd(most) : ""),
      element("div", { class: "costs-bars", "aria-hidden": "true" }, ...nodes),
      axis,
      element("details", { class: "costs-table" }, element("summary", {}, words.costs_table), table(UNITS[unit], words.costs_when, rows)),
    ];
  }

  function table(caption, first, rows) {
    const head = [first, words.detail_cost, words.costs_jobs, words.costs_jobs_unknown];
    const cells = ([name, sum]) => [sum.told ? usd(sum.usd) : words.unknown, number(sum.told + sum.unknown), number(sum.unknown)]
      .reduce((row, text) => { row.append(element("td", {}, text)); return row; }, element("tr", {}, element("th", { scope: "row" }, name)));
    return element("table", {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows.map(cells)));
  }

  // The keys of the newest days or months in the server's format: `2026-11-23` or `2026-11`.
  function slots(today) {
    const [year, month, day] = today.split("-").map(Number);
    return Array.from({ length: SLOTS[unit] }, (_, place) => {
      const ago = SLOTS[unit] - 1 - place;
      const date = unit === "days" ? Date.UTC(year, month - 1, day - ago) : Date.UTC(year, month - 1 - ago);
      return new Date(date).toISOString().slice(0, unit === "days" ? 10 : 7);
    });
  }

  function shown(name) {
    const form = name.length > 7 ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" };
    return new Intl.DateTimeFormat(language, { timeZone: "UTC", ...form }).format(new Date(name));
  }

  return { panel };
})();
