/* Batches: the form, the table that is shown before anything is sent, and the progress of each batch. */
"use strict";

dreamina.batch = (() => {
  const { words, language, say, element, address, post, tell, usd, watch } = dreamina;
  const LOOK_MS = 4000;
  const LOOK_SOON_MS = 1000;
  const EXAMPLE = { example: "{red|blue} fox", escape: "\\{" };
  let form = null; // {box, prompts, fields, repeats, problem, show, modelId, inputs}
  let table = null;

  function button(text, press, attributes = {}) {
    const node = element("button", { type: "button", ...attributes }, text);
    node.addEventListener("click", () => press(node));
    return node;
  }

  /* --- the form */

  function build(home) {
    form = {
      home,
      modelId: null,
      inputs: new Map(), // key -> a function that returns the selected values
      box: element("details"),
      prompts: element("textarea", { id: "batch-prompts", rows: 5, spellcheck: "true", dir: "auto", "aria-describedby": "batch-hint" }),
      fields: element("div", { class: "batch-fields" }),
      repeats: element("input", { id: "batch-repeats", type: "number", min: 1, step: 1, value: 1, inputmode: "numeric" }),
      problem: element("p", { class: "problem", role: "alert" }),
      show: button(words.batch_table, showTable, { class: "main" }),
    };
    form.box.append(
      element("summary", {}, words.batch),
      element("label", { for: "batch-prompts" }, words.batch_prompts), form.prompts,
      element("p", { id: "batch-hint", class: "hint" }, say("batch_hint", EXAMPLE)),
      form.fields,
      element("label", { class: "batch-repeats", for: "batch-repeats" }, words.batch_repeats, " ", form.repeats),
      form.problem, form.show,
    );
    form.box.addEventListener("toggle", refresh);
    document.addEventListener("dreamina-model", refresh);
    home.replaceChildren(form.box);
  }

  // Show the fields of the selected model, and its prompt as the first line.
  async function refresh() {
    const { modelId, values } = dreamina.current();
    if (!form.box.open || modelId === form.modelId) return;
    const before = form.modelId;
    form.modelId = modelId;
    try {
      const reply = await fetch(address("batch/fields", { model_id: modelId, language }));
      if (!reply.ok) throw new Error(reply.status);
      const found = await reply.json();
      if (form.modelId !== modelId) return;
      if (!form.prompts.value.trim() && found.prompt) form.prompts.value = protect(values[found.prompt] || "");
      form.inputs.clear();
      form.fields.replaceChildren(...found.fields.map((field) => (field.choices.length ? choices(field) : numbers(field))));
    } catch {
      form.modelId = before;
      form.problem.textContent = words.request_failed;
    }
  }

  // Turn a prompt of the main form into one line and escape its braces, which are no variables there.
  function protect(prompt) {
    return String(prompt).replace(/[\\{|}]/g, "\\$&").replace(/\s*\n\s*/g, " ");
  }

  function choices(field) {
    const boxes = field.choices.map(({ value, label }) => {
      const box = element("input", { type: "checkbox" });
      return { value, box, label: element("label", {}, box, " ", label) };
    });
    form.inputs.set(field.key, () => boxes.filter(({ box }) => box.checked).map(({ value }) => value));
    return element("fieldset", {},
      element("legend", {}, field.title),
      element("div", { class: "batch-choices" }, ...boxes.map(({ label }) => label)),
      element("p", { class: "hint" }, words.batch_as_form));
  }

  // A comma separates two numbers, unless the language uses it as the decimal mark.
  function numbersIn(text) {
    const between = words.decimal_mark === "," ? /[\s;、，]+/ : /[\s;,、，]+/;
    return text.split(between).filter(Boolean).map((one) => {
      const value = Number(one.replace(words.decimal_mark, "."));
      return isNaN(value) ? one : value;
    });
  }

  function numbers(field) {
    const id = `batch-${[...form.inputs.keys()].length}`;
    const input = element("input", { id, type: "text", inputmode: "text", autocomplete: "off", "aria-describedby": `${id}-hint` });
    form.inputs.set(field.key, () => numbersIn(input.value));
    return element("div", {},
      element("label", { for: id }, field.title), input,
      element("p", { id: `${id}-hint`, class: "hint" }, words.batch_numbers));
  }

  function wishes() {
    const { modelId, values } = dreamina.current();
    const several = [...form.inputs].map(([key, read]) => [key, read()]).filter(([, chosen]) => chosen.length);
    const repeats = form.repeats.value === "" ? 1 : Number(form.repeats.value);
    return { model_id: modelId, inputs: values, text: form.prompts.value, values: Object.fromEntries(several), repeats };
  }

  /* --- the table */

  async function showTable() {
    form.problem.textContent = "";
    form.show.disabled = true;
    await refresh();
    const asked = wishes();
    const { answer, refusal } = await post("batch/plan", asked);
    form.show.disabled = false;
    if (refusal) {
      form.problem.textContent = refusal;
      return form.prompts.focus();
    }
    openTable(asked, answer);
  }

  // The lines of the text that may not mean what they look like.
  function notices(entries) {
    return element("section", { class: "batch-notices", role: "note" },
      element("h3", {}, words.batch_notices),
      element("ul", {}, ...entries.map(({ message }) => element("li", { dir: "auto" }, message))));
  }

  function openTable(asked, plan) {
    const rows = plan.jobs.map((job, place) => element("tr", {},
      element("td", {}, String(place + 1)),
      element("td", {}, element("span", { class: "prompt", dir: "auto" }, job.prompt), element("span", { class: "settings" }, job.settings)),
      element("td", {}, job.expected_usd === null ? words.unknown : usd(job.expected_usd))));
    const total = plan.expected_usd === null ? words.batch_price_unknown : say("batch_price", { price: usd(plan.expected_usd) });
    const cost = plan.play_money ? say("price_play", { price: total }) : total;
    const title = [say("batch_jobs", { count: plan.count }), cost, plan.own_key && words.batch_own_key].filter(Boolean).join(" · ");
    const goesToday = plan.jobs_today !== null && plan.jobs_today < plan.count;
    table = {
      wishes: { ...asked, digest: plan.digest },
      dialog: element("dialog", { class: "batch-table", "aria-labelledby": "batch-title" }),
      problem: element("p", { class: "problem", role: "alert" }),
      start: dreamina.guard.arm(button(say("batch_start", { count: plan.count }), start, { class: "main" })),
    };
    const { dialog } = table;
    const heading = element("h2", { id: "batch-title" }, title);
    dialog.append(
      heading,
      ...(goesToday ? [element("p", {}, say("batch_left", { count: plan.jobs_today }))] : []),
      ...(plan.notices.length ? [notices(plan.notices)] : []),
      element("div", { class: "batch-rows", tabindex: 0, role: "region", "aria-labelledby": "batch-title" },
        element("table", {},
          element("thead", {}, element("tr", {},
            element("th", { scope: "col" }, "#"),
            element("th", { scope: "col" }, words.batch_column_job),
            element("th", { scope: "col" }, words.batch_column_price))),
          element("tbody", {}, ...rows))),
      table.problem,
      element("div", { class: "batch-actions" }, table.start, button(words.close, () => dialog.close())),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      form.show.focus();
    });
    document.body.append(dialog);
    dreamina.guard.openDialog(dialog, heading);
  }

  async function start(node) {
    const { dialog, problem, wishes: sent } = table;
    node.disabled = true;
    problem.textContent = "";
    const outcome = await dreamina.presses.send("batches", sent, () => { problem.textContent = words.batch_unknown; });
    node.disabled = false;
    if (outcome.refusal && dialog.isConnected) {
      problem.textContent = outcome.refusal;
      return;
    }
    dialog.close();
    started(outcome);
  }

  function started({ answer, refusal }) {
    if (refusal) return tell(refusal);
    seen.add(answer.batch_id);
    tell(say("batch_started", { count: answer.total }));
    show([answer]);
    strips.get(answer.batch_id)?.node.scrollIntoView({ block: "nearest" });
    look();
  }

  /* --- progress */

  const seen = new Set(); // batches that were active while this page was open: their end is shown, too
  const strips = new Map(); // batch_id -> {node, parts, data}
  let timer = 0;
  let looking = false;
  let lookAgain = false;

  async function look() {
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    clearTimeout(timer);
    try {
      const reply = await fetch(address("batches", { language }));
      const batches = reply.ok ? await reply.json() : [];
      if (!lookAgain) show(batches); // otherwise it may be older than the response to a click
    } catch { /* the connection notice says that the server cannot be reached */ }
    looking = false;
    if (lookAgain) {
      lookAgain = false;
      return look();
    }
    // A job that the dispatcher just submitted has no card yet, and no stream reports it.
    const going = [...strips.values()].map(({ data }) => data).filter((data) => data.state === "running" || data.counts.running);
    const soon = going.some((data) => !data.counts.running);
    if (going.length && !document.hidden) timer = setTimeout(look, soon ? LOOK_SOON_MS : LOOK_MS);
  }

  function show(batches) {
    const home = document.getElementById("batches");
    if (!home) return;
    for (const data of batches) {
      if (data.active) seen.add(data.batch_id);
      if (!seen.has(data.batch_id)) continue;
      const known = strips.get(data.batch_id);
      const strip = known || newStrip(data);
      const sent = data.total - data.counts.waiting;
      if (sent !== strip.sent && data.active) watch(false);
      strip.sent = sent;
      strip.data = data;
      strips.set(data.batch_id, strip);
      if (!strip.node.isConnected) home.append(strip.node);
      fill(strip);
    }
  }

  function newStrip({ batch_id: batchId, created_at: createdAt }) {
    const time = new Date(createdAt * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    const title = say("batch_title", { time });
    const parts = {
      summary: element("span", { class: "summary" }),
      progress: element("progress", { "aria-label": title }),
      message: element("p", { class: "message", role: "status" }),
      refusals: element("ul", { class: "refusals" }),
      pause: button(words.batch_pause, (node) => act(batchId, "pause", node)),
      resume: button(words.batch_continue, (node) => act(batchId, "resume", node)),
      cancel: button(words.batch_cancel, () => askCancel(batchId)),
      sure: element("span", { class: "sure", role: "alertdialog", "aria-label": words.batch_cancel, hidden: true }),
      close: button(words.close, () => {
        seen.delete(batchId);
        strips.get(batchId).node.remove();
        strips.delete(batchId);
      }),
    };
    const node = element("section", { class: "batch", "aria-label": title, "data-batch-id": batchId, tabindex: -1 },
      element("p", {}, element("strong", {}, title), " ", parts.summary), parts.progress, parts.message, parts.refusals,
      element("div", { class: "batch-actions" }, parts.pause, parts.resume, parts.cancel, parts.sure, parts.close));
    return { node, parts, sent: 0 };
  }

  function fill({ node, parts, data }) {
    const { counts, total } = data;
    node.dataset.state = data.state;
    parts.summary.textContent = data.summary;
    parts.progress.max = total;
    parts.progress.value = total - counts.waiting - counts.running;
    if (parts.message.textContent !== data.message) parts.message.textContent = data.message;
    parts.message.hidden = !data.message;
    parts.refusals.hidden = !data.refusals.length;
    parts.refusals.replaceChildren(...data.refusals.map(({ prompt, reason }) => (
      element("li", {}, element("strong", { dir: "auto" }, say("batch_refusal", { prompt })), " ", reason))));
    parts.pause.hidden = data.state !== "running";
    parts.resume.hidden = data.state !== "paused";
    parts.cancel.hidden = !counts.waiting || !parts.sure.hidden;
    if (!counts.waiting) parts.sure.hidden = true;
    parts.close.hidden = data.active;
  }

  function askCancel(batchId) {
    const strip = strips.get(batchId);
    const { sure, cancel } = strip.parts;
    const back = () => {
      sure.hidden = true;
      fill(strip);
    };
    const no = button(words.keep_waiting, () => {
      back();
      cancel.focus();
    });
    const yes = button(say("batch_cancel_sure", { count: strip.data.counts.waiting }), async (node) => {
      await act(batchId, "cancel", node);
      back();
      focusOn(strip);
    });
    sure.replaceChildren(yes, no);
    sure.hidden = false;
    cancel.hidden = true;
    no.focus();
  }

  // The button with the focus is hidden now: focus the next one.
  function focusOn({ node, parts }) {
    const next = [parts.pause, parts.resume, parts.close].find((one) => !one.hidden) || node;
    next.focus();
  }

  async function act(batchId, action, node) {
    node.disabled = true;
    const { answer, refusal } = await post(`batches/${batchId}/${action}`, {});
    node.disabled = false;
    if (refusal) return tell(refusal);
    if (action === "cancel") tell(say("batch_not_sent", { count: answer.not_sent }));
    show([answer]);
    focusOn(strips.get(batchId));
    look();
  }

  /* --- updates */

  dreamina.onCard(() => {
    clearTimeout(timer);
    if (strips.size) timer = setTimeout(look, 300); // many cards may change at once
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && strips.size) look(); });

  // Gradio builds the page after this script has run, or before.
  function begin() {
    const home = document.getElementById("batch");
    if (!home || !document.getElementById("batches")) return false;
    build(home);
    look();
    return true;
  }
  if (!begin()) {
    new MutationObserver((_, observer) => begin() && observer.disconnect())
      .observe(document.documentElement, { childList: true, subtree: true });
  }

  return { look, started };
})();
