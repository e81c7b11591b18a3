/* The visitor's jobs: cards that are updated by the server's stream, and the draft that survives a reload. */
"use strict";

const dreamina = (() => {
  const facts = JSON.parse(document.currentScript.dataset.page);
  const root = new URL("../../", document.currentScript.src); // the base URL of our own routes, below any root path
  const language = navigator.language in facts.languages ? navigator.language : "en"; // the server chose it
  const plurals = new Intl.PluralRules(language);
  const words = {}; // the texts of this language, once `ready`
  const MARKER = "X-Dreamina-UI"; // a header of every response that our server wrote
  const HIDDEN_PAUSE_MS = 10000;
  const FIRST_EVENT_MS = 7000; // a stream without any event is held back by something in between
  const SILENCE_MS = 25000; // the server sends an event at least every 10 s
  const POLL_MS = 2500;
  const HELD_BACK_MS = 300000; // how long no new stream is tried
  const PROBE_MS = 10000;
  const PROBE_OFFLINE_MS = 3000;
  const cards = new Map(); // job_id -> {data, at, node}
  const additions = [];
  let canSubmit;
  const submitReady = new Promise((resolve) => { canSubmit = resolve; }); // presses.js is loaded
  let frame = null;
  let stream = null;
  let watchAgain = false;
  let pressed = false;
  let hiddenTimer = 0;
  let silenceTimer = 0;
  let pollTimer = 0;
  let pollUntil = 0;

  /* --- the visitor's identity where the browser blocks our cookies: in a frame of another site, such as a Space's */

  const IDENTITY = "visitor";
  const plainFetch = window.fetch;

  /* What the browser stores has the installation in its name: other installations may share the origin.
   * A browser without storage stores nothing. */
  function storageOf(open) {
    const name = (key) => `dreamina.${facts.installation}.${key}`;
    const attempt = (use) => {
      try {
        return use(open());
      } catch {
        return null;
      }
    };
    return {
      // The second name is that of version 1.0.
      get: (key) => attempt((storage) => storage.getItem(name(key)) ?? storage.getItem(`dreamina.${key}`)),
      set: (key, value) => attempt((storage) => {
        if (value !== null) return storage.setItem(name(key), value);
        storage.removeItem(name(key));
        storage.removeItem(`dreamina.${key}`);
      }),
    };
  }

  const local = storageOf(() => localStorage);
  const session = storageOf(() => sessionStorage);

  function identity() {
    return local.get(IDENTITY) || ""; // without storage the server will refuse, and say why
  }

  const ready = loadWords();

  // The first response shows whether the server knows the visitor; requests that change something wait for it.
  let firstLeft = askLeft().catch(() => null);

  window.fetch = async (resource, options) => {
    const request = new Request(resource, options);
    if (!request.url.startsWith(root.href)) return plainFetch(request);
    if (request.method === "POST") await firstLeft;
    if (identity()) request.headers.set("X-Dreamina-Visitor", identity());
    request.headers.set("Accept-Language", language);
    const response = await plainFetch(request);
    if (response.status === 401) signedOut();
    else if (response.ok && isOurs(response)) signedOut(false);
    return response;
  };

  function isOurs(response) {
    return response.headers.has(MARKER);
  }

  async function askLeft() {
    const headers = identity() ? { "X-Dreamina-Visitor": identity() } : {};
    const reply = await plainFetch(address("left", { language }), { headers });
    if (!reply.ok) throw new Error(reply.status);
    const left = await reply.json();
    if (left.identity && !identity()) local.set(IDENTITY, left.identity);
    return left;
  }

  /* --- texts */

  // The server reads the cookie when the page is loaded; a frame without cookies puts the language in the URL.
  function chooseLanguage(chosen) {
    const policy = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
    const prefix = location.protocol === "https:" ? "__Host-" : "";
    const cookie = `${prefix}dreamina_language_${facts.installation}=${chosen}`;
    document.cookie = `${cookie}; Path=/; Max-Age=31536000; ${policy}`;
    const place = new URL(location);
    place.searchParams.delete("language");
    if (!document.cookie.split("; ").includes(cookie)) place.searchParams.set("language", chosen);
    if (place.href === location.href) location.reload();
    else location.replace(place);
  }

  // An immutable file. Nothing can be shown without texts, so the request is repeated until it succeeds.
  async function loadWords() {
    for (;;) {
      try {
        const reply = await plainFetch(new URL(facts.languages[language].words, root));
        if (reply.ok) return Object.assign(words, await reply.json());
      } catch { /* no connection: repeated in a moment */ }
      await new Promise((wait) => setTimeout(wait, 2000));
    }
  }

  function buildSwitch() {
    const home = document.getElementById("language");
    const options = Object.entries(facts.languages).map(([code, { name }]) =>
      element("option", { value: code, lang: code, selected: code === language }, name));
    const choice = element("select", { "aria-label": words.language }, ...options);
    choice.addEventListener("change", () => chooseLanguage(choice.value));
    home?.replaceChildren(choice);
  }

  function number(value) {
    return value.toLocaleString(language);
  }

  // A duration in its natural unit.
  function spanOf(seconds, digits = 0) {
    const [size, unit] = [[3600, "hour"], [60, "minute"], [1, "second"]].find(([size]) => seconds >= 2 * size || size === 1);
    const form = { style: "unit", unit, unitDisplay: "short", minimumFractionDigits: digits, maximumFractionDigits: digits };
    return (seconds / size).toLocaleString(language, form);
  }

  // Numbers are formatted for the language; `{count:job|jobs}` is the singular or the plural.
  function say(key, values = {}) {
    return words[key].replace(/\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}/g, (_, name, one, others) => {
      const value = values[name];
      if (one !== undefined) return plurals.select(value) === "one" ? one : others;
      return typeof value === "number" ? number(value) : value;
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

  // Line icons in the color of the text; where there is no room, the text beside one is for screen readers only.
  const ICONS = {
    open: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
    download: "M12 4v11m-5-5 5 5 5-5M4 20h16",
    input: "M20 12v7a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h7M4 17l5-5 4 4 2-2 5 5M18 2v7m-3.5-3.5h7",
    compare: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  };

  function iconAnd(name, text) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.append(document.createElementNS(svg.namespaceURI, "path"));
    svg.firstChild.setAttribute("d", ICONS[name]);
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("class", "icon");
    return [svg, element("span", {}, text)];
  }

  /* --- the stream: one per page, closed when no job is active or the tab is hidden */

  async function watch(byPress = true) {
    pressed = pressed || byPress;
    await ready;
    if (document.hidden) return pollHidden();
    showLeft();
    askPrices();
    if (stream) {
      watchAgain = true;
      return;
    }
    if (performance.now() < pollUntil) return poll();
    openStream();
  }

  function openStream() {
    let isBroken = false; // then silence has another reason than being held back
    const listen = (name, handle) => stream.addEventListener(name, (event) => {
      isBroken = false;
      expectEvent(SILENCE_MS, reopen);
      handle(event);
    });
    stream = new EventSource(address("events", { language, visitor: identity() }));
    expectEvent(FIRST_EVENT_MS, () => (isBroken ? reopen() : fallBack()));
    listen("jobs", (event) => show(JSON.parse(event.data)));
    listen("ping", () => setOffline(false));
    listen("rest", () => {
      close();
      settle();
      if (watchAgain) {
        watchAgain = false;
        watch(false);
      }
    });
    stream.addEventListener("open", () => setOffline(false));
    stream.addEventListener("error", () => {
      isBroken = true;
      setOffline(true);
      if (stream?.readyState !== EventSource.CLOSED) return; // the browser reconnects
      close();
      poll(); // its response tells whether the visitor is signed out
      setTimeout(() => watch(false), 3000);
    });
  }

  function expectEvent(ms, missed) {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(missed, ms);
  }

  // A connection may be dead without a sign: a new one shows the jobs as they are.
  function reopen() {
    close();
    watch(false);
  }

  // Something in between holds the stream back: poll for some time.
  function fallBack() {
    close();
    pollUntil = performance.now() + HELD_BACK_MS;
    poll();
  }

  function close() {
    clearTimeout(silenceTimer);
    if (stream) stream.close();
    stream = null;
  }

  function anyActive() {
    return [...cards.values()].some((card) => card.data.active);
  }

  async function fetchJobs() {
    try {
      const reply = await fetch(address("jobs", { language }), { signal: AbortSignal.timeout(15000) });
      if (!isOurs(reply)) throw new Error(reply.status);
      setOffline(false);
      if (reply.ok) show(await reply.json());
    } catch {
      setOffline(true);
    }
  }

  async function poll() {
    clearTimeout(pollTimer);
    await fetchJobs();
    settle();
    clearTimeout(pollTimer); // of another call meanwhile
    const next = () => (performance.now() < pollUntil ? poll() : watch(false));
    if (anyActive() && !document.hidden && !stream) pollTimer = setTimeout(next, POLL_MS);
  }

  // A browser has six connections per server: a hidden tab closes its stream and polls now and then.
  async function pollHidden() {
    clearTimeout(hiddenTimer);
    close();
    await fetchJobs();
    if (document.hidden && anyActive()) hiddenTimer = setTimeout(pollHidden, HIDDEN_PAUSE_MS);
  }

  // With no job active nothing else would notice that the server is away.
  async function probe() {
    const isIdle = !document.hidden && !stream && !anyActive();
    if (isIdle) {
      const wasOffline = frame && !frame.offline.hidden;
      try {
        const reply = await plainFetch(new URL("../healthz", root), { cache: "no-store", signal: AbortSignal.timeout(8000) });
        setOffline(!isOurs(reply));
        if (wasOffline && isOurs(reply)) watch(false);
      } catch {
        setOffline(true);
      }
    }
    setTimeout(probe, frame && !frame.offline.hidden ? PROBE_OFFLINE_MS : PROBE_MS);
  }

  // Say that the visitor is signed out, with a link; another tab may sign in again.
  function signedOut(is = true) {
    const known = document.getElementById("signed-out");
    if (!is) return known?.remove();
    if (known || !words.signed_out) return;
    const link = element("a", { href: address("sign-in", { language }) }, words.sign_in_again);
    document.body.prepend(element("div", { id: "signed-out", role: "alert" }, `${words.signed_out} `, link));
  }

  function setOffline(isOffline) {
    if (frame) frame.offline.hidden = !isOffline;
  }

  /* --- cards */

  function build() {
    const home = document.getElementById("jobs");
    if (!home) return false;
    if (frame && frame.home === home) return true;
    frame = {
      isEmpty: frame?.isEmpty,
      home,
      offline: frame?.offline || element("div", { id: "connection", role: "status", hidden: true }, words.offline),
      empty: element("p", { class: "empty", hidden: true }, words.no_jobs),
      live: frame?.live || element("div", { class: "sr-only", role: "status", "aria-live": "polite", id: "job-status" }),
      list: element("ol", { class: "job-list", "aria-label": words.pictures }),
    };
    home.replaceChildren(frame.empty, frame.list);
    document.body.append(frame.live); // outside of the tabs: screen readers skip hidden content
    document.body.prepend(frame.offline);
    return true;
  }

  function show(jobs) {
    setOffline(false);
    if (!build()) return;
    for (const data of jobs) {
      const known = cards.get(data.job_id);
      if (known && known.data.version > data.version) continue;
      const card = known || { node: newCard(data) };
      const before = known && known.data.state + known.data.message;
      card.data = data;
      card.at = performance.now();
      cards.set(data.job_id, card);
      if (!known) place(card);
      fill(card);
      // The jobs that were there when the page opened are not announced, and neither is each queue position.
      if (known ? before !== data.state + data.message : frame.isEmpty !== undefined) announce(data);
    }
    settle();
    tick();
  }

  // Show or hide the note that there are no jobs.
  function settle() {
    if (!build()) return;
    frame.isEmpty = ![...cards.values()].some((card) => !card.data.put_aside);
    frame.empty.hidden = !frame.isEmpty;
    document.dispatchEvent(new Event("dreamina:jobs"));
  }

  function place(card) {
    const later = [...frame.list.children].find((node) => Number(node.dataset.createdAt) < card.data.created_at);
    frame.list.insertBefore(card.node, later || null);
    if (pressed && card.data.active) {
      pressed = false;
      if (card.node.getBoundingClientRect().top > innerHeight - 80) card.node.scrollIntoView({ block: "start" });
    }
  }

  function announce(data) {
    frame.live.textContent = [shorten(data.prompt), data.state_text, data.message].filter(Boolean).join(". ");
  }

  function shorten(text) {
    const letters = [...text];
    return letters.length > 60 ? letters.slice(0, 60).join("") + "…" : text;
  }

  function newCard(data) {
    const node = element("li", { class: "job", "data-job-id": data.job_id, "data-created-at": data.created_at });
    const part = (name, tag = "p") => element(tag, { class: name });
    const parts = {
      prompt: part("prompt"),
      settings: part("settings"),
      given: element("ul", { class: "given", "aria-label": words.given, hidden: true }),
      state: part("state"),
      elapsed: part("elapsed", "span"),
      progress: element("progress", { max: 1, "aria-label": say("progress", { prompt: shorten(data.prompt) }) }),
      message: part("message"),
      detail: element("p", { class: "detail", lang: "en" }),
      outputs: part("outputs", "div"),
      actions: part("actions", "div"),
      rest: part("rest", "div"),
      cancel: element("button", { type: "button", class: "cancel" }, words.cancel),
      fetchAgain: element("button", { type: "button", class: "fetch-again" }, words.fetch_again),
      facts: part("facts"),
    };
    parts.prompt.setAttribute("dir", "auto");
    parts.stateText = element("span");
    parts.state.append(parts.stateText, parts.elapsed);
    parts.cancel.addEventListener("click", () => act(data.job_id, "cancel", parts.cancel, words.cancelling));
    parts.fetchAgain.addEventListener("click", () => act(data.job_id, "fetch-again", parts.fetchAgain, words.fetch_again));
    parts.actions.append(parts.cancel, parts.fetchAgain);
    const size = /(\d+) × (\d+)/.exec(data.settings);
    if (size) node.style.setProperty("--ratio", `${size[1]} / ${size[2]}`); // of the picture's placeholder
    node.append(parts.outputs, parts.prompt, parts.settings, parts.given, parts.state, parts.progress, parts.message, parts.detail,
      element("div", { class: "acts" }, parts.actions, parts.rest), parts.facts);
    node.parts = parts;
    return node;
  }

  function fill(card) {
    const { data, node } = card;
    const { parts } = node;
    node.dataset.state = data.state;
    parts.prompt.textContent = data.prompt;
    parts.settings.textContent = [data.model, data.settings].filter(Boolean).join(" · ");
    fillGiven(parts.given, data.given);
    parts.stateText.textContent = data.state_text;
    parts.message.textContent = data.message;
    parts.message.hidden = !data.message;
    parts.detail.textContent = data.detail;
    parts.detail.hidden = !data.detail;
    parts.facts.textContent = [data.request_id && data.state !== "done" && say("request_id", data), costOf(data), data.own_key && words.own_key_job].filter(Boolean).join(" · ");
    parts.progress.hidden = !data.active;
    parts.fetchAgain.hidden = !data.can_fetch_again;
    parts.cancel.hidden = !data.can_cancel;
    if (data.can_cancel && !card.asking) {
      setBusy(parts.cancel, data.cancelling, data.cancelling ? words.cancelling : words.cancel);
    }
    if (data.can_fetch_again) setBusy(parts.fetchAgain, false, words.fetch_again);
    node.hidden = data.put_aside;
    if (node.dataset.rest !== data.state) {
      node.dataset.rest = data.state;
      parts.rest.replaceChildren(...(data.active || data.state === "done" ? [] : [restActions(data)]));
    }
    data.outputs.forEach((output) => fillOutput(parts.outputs, output, data.outputs.length > 1));
    const there = new Set(data.outputs.map((output) => String(output.index)));
    [...parts.outputs.children].forEach((figure) => there.has(figure.dataset.index) || figure.remove());
    additions.forEach((add) => add(node, data));
  }

  // Let another script add to each card, now and whenever the card changes.
  function onCard(add) {
    additions.push(add);
    for (const { node, data } of cards.values()) add(node, data);
  }

  function fillGiven(list, paths) {
    if (list.dataset.now === paths.join()) return;
    list.dataset.now = paths.join();
    list.hidden = !paths.length;
    list.replaceChildren(...paths.map((path, place) => element("li", {}, thumbnail(path, place + 1))));
  }

  function fillOutput(grid, output, isOneOfSeveral) {
    const old = grid.querySelector(`[data-index="${output.index}"]`);
    if (old && old.dataset.state === output.state) return;
    const figure = element("figure", { "data-index": output.index, "data-state": output.state });
    if (output.state !== "kept") {
      figure.append(element("figcaption", {}, [output.alt, output.facts].filter(Boolean).join(": ")));
    } else {
      const original = new URL(output.original, root);
      if (output.kind === "image") {
        const [preview, thumbnail] = [new URL(output.preview, root), new URL(output.thumbnail, root)];
        const picture = element("img", {
          src: preview,
          srcset: `${thumbnail} 400w, ${preview} 1280w`,
          sizes: isOneOfSeveral ? "(max-width: 700px) 46vw, 210px" : "(max-width: 700px) 92vw, 420px",
          alt: output.alt,
          width: output.width,
          height: output.height,
          loading: "lazy",
        });
        figure.append(element("a", { href: original, target: "_blank", rel: "noopener" }, picture));
      } else if (output.kind === "file") {
        figure.append(element("div", { class: "file-tile", role: "img", "aria-label": output.alt }, output.facts));
      } else {
        figure.append(element("video", { src: original, controls: true, preload: "metadata", "aria-label": output.alt }));
      }
      const download = new URL(original);
      download.search = "?download=1";
      const number = output.index + 1;
      const link = (icon, text, to, more) => element("a", { href: to, "aria-label": `${text}: ${number}`, title: text, ...more }, ...iconAnd(icon, text));
      figure.append(
        element("figcaption", {},
          link("open", words.open_original, original, { target: "_blank", rel: "noopener" }),
          link("download", words.download, download, { download: true }),
          ...[inputButton(output, `${words.use_as_input}: ${number}`)].filter(Boolean),
          element("span", { class: "file-facts" }, output.facts)),
      );
    }
    if (old) old.replaceWith(figure);
    else grid.append(figure);
  }

  function setBusy(button, isBusy, text) {
    button.textContent = text;
    button.disabled = isBusy;
  }

  async function act(jobId, action, button, busyText, body = {}, send = post) {
    const card = cards.get(jobId);
    const idleText = button.textContent;
    setBusy(button, true, busyText);
    if (frame) frame.live.textContent = busyText;
    if (card) card.asking = true;
    const { answer, refusal } = await send(`jobs/${jobId}/${action}`, body);
    if (card) card.asking = false;
    if (refusal) {
      setBusy(button, false, idleText);
      tell(refusal);
      if (card) {
        card.node.parts.message.textContent = refusal;
        card.node.parts.message.hidden = false;
      }
    } else {
      show([answer]);
    }
    watch(false);
    return answer;
  }

  // Send a POST; returns {answer}, or {refusal}: a text for the visitor.
  async function post(path, body) {
    try {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
      const reply = await fetch(address(path, { language }), options);
      const value = await reply.json();
      return reply.ok ? { answer: value } : { refusal: value.message || words.request_failed };
    } catch {
      return { refusal: words.request_failed };
    }
  }

  function address(path, query = {}) {
    const found = new URL(path, root);
    for (const [name, value] of Object.entries(query)) if (value) found.searchParams.set(name, value);
    return found;
  }

  // Show a short note at the bottom of the window, with an undo button if there is an `undo`.
  function tell(text, undo = null) {
    let note = document.getElementById("dreamina-note");
    if (!note) {
      note = element("div", { id: "dreamina-note", role: "status", "aria-live": "polite" });
      document.body.append(note);
    }
    clearTimeout(note.timer);
    note.replaceChildren(element("span", {}, text));
    if (undo) {
      const button = element("button", { type: "button" }, words.undo);
      button.addEventListener("click", () => { note.replaceChildren(); undo(); });
      note.append(button);
    }
    note.timer = setTimeout(() => note.replaceChildren(), undo ? 30000 : 8000);
  }

  // The actions for a settled job: attach its request, submit it again, archive it.
  function restActions(data, done = () => {}) {
    const box = element("div", { class: "rest-actions" });
    const button = (text, press) => {
      const node = element("button", { type: "button" }, text);
      node.addEventListener("click", () => press(node));
      box.append(node);
      return node;
    };
    if (data.is_unclear) {
      const label = element("label", {}, words.attach_label);
      const input = element("input", { type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false" });
      label.append(input);
      box.append(label);
      button(words.attach, async (node) => {
        if (input.value.trim()) done(await act(data.job_id, "attach", node, words.attach, { request_id: input.value.trim() }));
      });
    }
    const again = (node, body) => {
      const send = (path, body) => dreamina.presses.send(path, body, () => tell(words.press_unknown));
      return act(data.job_id, "submit-again", node, node.textContent, body, send).then(done);
    };
    // The service accepted nothing, so a new request cannot be charged twice.
    if (["try_again", "add_funds"].includes(data.action)) {
      button(words.try_again, (node) => again(node, {})).dataset.paid = "";
    }
    if (data.is_unclear) {
      button(words.submit_again, (node) => {
        const sure = element("div", { class: "sure", role: "alertdialog", "aria-label": words.submit_again_sure });
        const yes = element("button", { type: "button" }, words.submit_again_sure);
        const no = element("button", { type: "button" }, words.keep_waiting);
        dreamina.guard.arm(yes).addEventListener("click", () => again(yes, { may_charge_twice: true }));
        no.addEventListener("click", () => { sure.replaceWith(node); node.focus(); });
        sure.append(yes, no);
        node.replaceWith(sure);
        no.focus();
      });
    }
    if (["submit_unclear", "failed", "cancelled"].includes(data.state)) {
      const text = data.put_aside ? words.bring_back : words.put_aside;
      button(text, (node) => act(data.job_id, "put-aside", node, text, { back: data.put_aside }).then(done));
    }
    return box;
  }

  // The cost of a job as a text; "" while it may still cost nothing.
  function costOf(data) {
    if (data.cost_usd === null) return data.cost_is_unknown ? words.cost_unknown : "";
    return data.is_play ? say("play_money", { usd: usd(data.cost_usd) }) : usd(data.cost_usd);
  }

  function usd(amount) {
    return amount.toLocaleString(language, { style: "currency", currency: "USD", maximumFractionDigits: 4 });
  }

  // The elapsed time advances between two messages.
  function tick() {
    for (const { data, at, node } of cards.values()) {
      const since = data.active ? (performance.now() - at) / 1000 : 0;
      const seconds = data.elapsed_s + since;
      node.parts.elapsed.textContent = " · " + spanOf(seconds, seconds < 10 && !data.active ? 1 : 0);
      if (!data.active) continue;
      const bar = node.parts.progress;
      if (data.state === "running") bar.value = Math.min(0.97, (data.run_s + since) / Math.max(data.expected_s, 0.1));
      else if (data.state === "saving") bar.value = 0.98;
      else bar.removeAttribute("value");
      bar.style.setProperty("--done", bar.hasAttribute("value") ? bar.value : 0);
    }
  }

  /* --- the form */

  // Show the remaining quota below Generate; nothing where there is no limit.
  async function showLeft() {
    const button = document.getElementById("generate");
    if (!button) return;
    try {
      const left = (await firstLeft) || (await askLeft());
      firstLeft = null; // the next call requests it again
      let note = document.getElementById("left-today");
      if (!note) {
        note = element("p", { id: "left-today", class: "counter" });
        (document.getElementById("price") || button).after(note);
      }
      note.classList.toggle("stopped", Boolean(left.stopped));
      note.textContent = left.stopped || (left.jobs_today === null ? "" : say("left_today", { count: left.jobs_today }));
      if (left.is_owner && !document.getElementById("owner-link")) {
        document.getElementById("top").append(element("a", { id: "owner-link", href: address("owner", { language }) }, words.open_owner));
      }
    } catch { /* the note is optional: the server enforces the limits */ }
  }

  // Gradio passes the form's values as one list: the model, then every model's fields in order.
  const allFields = facts.models.flatMap((model) => model.fields.map((field) => ({ ...field, model })));
  const hasPictureField = facts.models.some(pictureField);
  let chosen = facts.models[0];
  let held = null; // the latest values; null until the draft is restored
  let untouched = []; // the form's initial values
  let formIsReady;
  const formReady = new Promise((resolve) => { formIsReady = resolve; }); // resolved when the draft is restored

  const modelOf = (modelId) => facts.models.find((model) => model.model_id === modelId);
  const valueOf = (model, field) => held?.[1 + allFields.findIndex((one) => one.model === model && one.key === field.key)];

  function pictureField(model) {
    return model.fields.find((field) => field.file_kind === "image");
  }

  // Accept new values: show the form of their model, and everything that depends on them.
  function hold(values) {
    held = values;
    const before = chosen;
    chosen = modelOf(values[0]) || chosen;
    if (chosen !== before) document.dispatchEvent(new Event("dreamina-model"));
    facts.models.forEach((model, place) => {
      document.getElementById(`form-${place}`)?.toggleAttribute("data-chosen", model === chosen);
    });
    allFields.forEach((field, place) => count(field, values[place + 1]));
    showGiven();
    showPrice();
    return values;
  }

  // Generate was clicked with these values. A refusal is shown beside the button until the next click.
  function press(values) {
    send(values);
    return [];
  }

  let sending = 0;

  async function send(values) {
    hold(values);
    const { modelId: model_id, values: inputs } = current();
    tellProblem("");
    setSending(1);
    await submitReady;
    const outcome = await dreamina.presses.send("generate", { model_id, inputs }, () => tellProblem(words.press_unknown));
    setSending(-1);
    submitted(outcome);
  }

  function submitted({ answer, refusal }) {
    tellProblem(refusal ?? "");
    if (answer) {
      pressed = true;
      show([answer]);
    }
    watch(Boolean(answer));
  }

  function setSending(more) {
    sending += more;
    document.getElementById("generate")?.setAttribute("aria-busy", sending > 0);
  }

  function tellProblem(text) {
    let note = document.getElementById("press-problem");
    if (!note) {
      note = element("p", { id: "press-problem", class: "problem", role: "alert" });
      document.getElementById("generate").before(note);
    }
    note.textContent = text;
  }

  function keepDraft(values) {
    if (!held) return [];
    const drafts = {};
    allFields.forEach((field, place) => { (drafts[field.model.model_id] ??= {})[field.parameter] = values[place + 1]; });
    local.set("draft", JSON.stringify({ model_id: values[0], drafts }));
    if (values[0] === chosen.model_id) hold(values); // otherwise `changeModel` is called next, and needs the previous one
    return [];
  }

  async function restoreDraft(values) {
    await ready;
    untouched = values;
    setTimeout(formIsReady); // after Gradio has set the returned values
    return hold(draftOver(values));
  }

  function draftOver(values) {
    let draft = {};
    try {
      draft = JSON.parse(local.get("draft")) || {};
    } catch { /* a damaged draft is ignored */ }
    const drafts = draft.drafts || { [chosen.model_id]: draft }; // drafts of early versions have no models
    const restored = allFields.map((field, place) => {
      const kept = drafts[field.model.model_id]?.[field.parameter];
      return typeof kept === typeof values[place + 1] && fits(field, kept) ? kept : values[place + 1];
    });
    return [modelOf(draft.model_id) ? draft.model_id : values[0], ...restored];
  }

  function fits(field, value) {
    return value !== undefined && (!field.choices.length || [value].flat().every((one) => field.choices.includes(one)));
  }

  // Another model was selected: its form takes over texts that it does not have yet.
  function changeModel(values) {
    if (!held || values[0] === chosen.model_id) return held || values; // changed by a script
    const before = chosen;
    const words = allFields.map((field, place) => {
      const value = values[place + 1];
      const same = allFields.findIndex((one) => one.model === before && one.parameter === field.parameter);
      const isFree = field.is_text && (value === "" || value === untouched[place + 1]);
      const goesAlong = same >= 0 && allFields[same].is_text && values[same + 1] !== untouched[same + 1];
      return field.model.model_id === values[0] && isFree && goesAlong ? values[same + 1] : value;
    });
    return hold([values[0], ...words]);
  }

  // The values of the selected model's form: {modelId, values by schema key}.
  function current() {
    const values = chosen.fields.map((field) => [field.key, valueOf(chosen, field)]);
    return { modelId: chosen.model_id, values: Object.fromEntries(values) };
  }

  // Settings from a picture or a link, for the form to take.
  let brought = null;

  // Shows the note `told` with an undo button; calls `done` when the form has the settings.
  function useSettings(modelId, parameters, told = words.settings_taken, done = () => {}) {
    if (!modelOf(modelId)) return tell(say("settings_other_model", { model: modelId || words.unknown }));
    const before = held;
    bring({ modelId, parameters }, () => {
      if (told) tell(told, () => bring({ values: before }));
      done();
    });
  }

  function bringDraft() {
    bring({ values: draftOver(untouched) });
  }

  function bring(what, done = () => {}) {
    brought = { ...what, done };
    document.querySelector("#tabs button[role=tab]")?.click();
    setTimeout(() => document.getElementById("take-settings")?.click(), 100);
  }

  function takeSettings(values) {
    if (!brought) return values;
    const { modelId, parameters, values: earlier, done } = brought;
    brought = null;
    setTimeout(done);
    if (earlier) return hold(earlier);
    return hold([modelId, ...allFields.map((field, place) => {
      const value = field.model.model_id === modelId ? parameters[field.parameter] : undefined;
      return fits(field, value) ? asTyped(field, value) : values[place + 1];
    })]);
  }

  // A value in its component's format.
  function asTyped(field, value) {
    if (field.typed_as === "lines" && Array.isArray(value)) return value.join("\n");
    return field.typed_as === "json" && typeof value !== "string" ? JSON.stringify(value) : value;
  }

  // A button that uses a generated picture as an input; null where no model takes pictures.
  function inputButton(output, label = words.use_as_input) {
    if (!hasPictureField || output.kind !== "image") return null;
    const button = element("button", { type: "button", class: "use-as-input", "aria-label": label, title: words.use_as_input }, ...iconAnd("input", words.use_as_input));
    button.addEventListener("click", async () => {
      const { answer, refusal } = await post("given/link", { file: output.file_key });
      if (refusal) return tell(refusal);
      button.closest("dialog")?.close();
      const model = pictureField(chosen) ? chosen : facts.models.find(pictureField);
      const field = pictureField(model);
      const isList = field.value_type === "array";
      const value = isList ? [...addressesIn(valueOf(model, field)), answer.address] : answer.address;
      // Next, the visitor describes what to do with it.
      const next = model.fields.find((one) => one.is_text) || field;
      const focus = () => document.querySelector(`#${next.id} :is(textarea, input)`)?.focus();
      useSettings(model.model_id, { [field.parameter]: value }, words.input_taken, focus);
    });
    return button;
  }

  /* --- input files by URL: the server checks them while the visitor types */

  const looks = new Map(); // model, field and URL -> {thumbnail} or {refusal}; null while it is being checked
  let lookTimer = 0;

  const addressesIn = (text) => [...new Set(String(text ?? "").split("\n").map((line) => line.trim()).filter(Boolean))];

  function showGiven() {
    clearTimeout(lookTimer);
    lookTimer = setTimeout(lookAtNext, 500);
    for (const field of chosen.fields.filter((one) => one.holds_urls)) {
      const node = document.getElementById(field.id);
      if (!node) continue;
      let list = node.querySelector(".given");
      if (!list) {
        list = element("ul", { class: "given", "aria-label": words.given, "aria-live": "polite" });
        node.append(list);
      }
      const there = addressesIn(valueOf(chosen, field)).slice(0, 20);
      const told = there.map((url, place) => [url, place, looks.get(lookKey(field, url))]).filter(([, , look]) => look);
      const now = JSON.stringify(told);
      if (list.dataset.now === now) continue;
      list.dataset.now = now;
      list.replaceChildren(...told.map(([url, place, look]) => {
        if (look.thumbnail) return element("li", {}, thumbnail(look.thumbnail, place + 1));
        return look.refusal ? element("li", { class: "refused" }, `${url}: ${look.refusal}`) : "";
      }));
    }
  }

  function lookKey(field, url) {
    return JSON.stringify([chosen.model_id, field.key, url]);
  }

  function thumbnail(path, number) {
    return element("img", { src: address(path), alt: say("input_alt", { number }), loading: "lazy" });
  }

  // One at a time: submitting checks all of them at once.
  async function lookAtNext() {
    for (const field of chosen.fields.filter((one) => one.holds_urls)) {
      const url = addressesIn(valueOf(chosen, field)).slice(0, 20).find((one) => !looks.has(lookKey(field, one)));
      if (!url) continue;
      const key = lookKey(field, url);
      looks.set(key, null);
      const { answer, refusal } = await post("given/look", { model_id: chosen.model_id, field: field.key, address: url });
      looks.set(key, answer ? { thumbnail: answer.thumbnail } : { refusal });
      if (refusal) setTimeout(() => looks.delete(key), 30000); // it may be fixed meanwhile
      showGiven();
      return;
    }
  }

  /* --- the price, below Generate */

  const PRICES_MS = 600000; // how long prices are cached: a page may stay open for days
  let prices = null;
  let pricesAt = 0;

  // An own key may have other prices: then they are requested `anew`.
  async function askPrices(anew = false) {
    const known = prices && Object.values(prices.models).every(Boolean);
    if (!anew && known && performance.now() < pricesAt + PRICES_MS) return;
    pricesAt = performance.now();
    try {
      prices = await (await fetch(address("prices"))).json();
      showPrice();
    } catch { /* the note is optional */ }
  }

  function showPrice() {
    const button = document.getElementById("generate");
    if (!button || !prices) return;
    let note = document.getElementById("price");
    if (!note) {
      note = element("p", { id: "price", class: "counter" });
      button.after(note);
    }
    note.textContent = priceText(prices.models[chosen.model_id]);
  }

  function priceText(price) {
    if (!price) return words.price_unknown;
    const one = usd(price.one_usd);
    const field = chosen.fields.find((each) => each.parameter === price.switch);
    let text = say("price_each", { price: one });
    if (!["image", "output", "picture"].includes(price.unit)) text = say("price_unit", { price: one, unit: price.unit });
    else if (field && valueOf(chosen, field)) text = say("price_one", { price: one });
    else if (field) text = say("price_most", { price: usd(price.most_usd), count: price.most_files });
    return prices.play_money ? say("price_play", { price: text }) : text;
  }

  // Characters as the service counts them: code points, not UTF-16 code units.
  function count(field, value) {
    const node = document.getElementById(field.id);
    if (!field.max_length || !node) return;
    let counter = node.querySelector(".counter");
    if (!counter) {
      counter = element("p", { class: "counter", id: `counter-${field.id}` });
      node.append(counter);
      const box = node.querySelector("textarea, input");
      if (box) box.setAttribute("aria-describedby", counter.id);
    }
    const letters = [...String(value ?? "")].length;
    const tooLong = letters > field.max_length;
    counter.textContent = say(tooLong ? "too_long" : "counter", { count: letters, limit: field.max_length });
    counter.classList.toggle("too-long", tooLong);
  }

  document.addEventListener("visibilitychange", () => watch(false));
  window.addEventListener("offline", () => setOffline(true));
  window.addEventListener("online", () => watch(false));
  window.addEventListener("pageshow", (event) => event.persisted && watch(false));
  setInterval(tick, 1000);

  // What the server had not answered when the page was left.
  function resumePresses() {
    dreamina.presses.resume([
      { matches: (path) => path === "generate", unknown: () => tellProblem(words.press_unknown), done: submitted },
      { matches: (path) => path.endsWith("/submit-again"), unknown: () => tell(words.press_unknown), done: submitted },
      { matches: (path) => path === "batches", unknown: () => tell(words.batch_unknown), done: (outcome) => dreamina.batch.started(outcome) },
    ]);
  }

  // Gradio renders the page after the scripts have run.
  function whenThere(id, begin) {
    const find = () => {
      const node = document.getElementById(id);
      if (node) begin(node);
      return Boolean(node);
    };
    if (!find()) new MutationObserver((_, observer) => find() && observer.disconnect()).observe(document.documentElement, { childList: true, subtree: true });
  }

  ready.then(() => {
    const begin = () => {
      if (!document.getElementById("generate") || !build()) return false;
      buildSwitch();
      watch(false);
      setTimeout(probe, PROBE_MS);
      submitReady.then(resumePresses);
      return true;
    };
    if (begin()) return;
    new MutationObserver((_, observer) => begin() && observer.disconnect())
      .observe(document.documentElement, { childList: true, subtree: true });
  });

  return {
    watch, show, isEmpty: () => frame?.isEmpty, whenThere, press, keepDraft, restoreDraft, changeModel, takeSettings, useSettings, bringDraft, current, inputButton, restActions,
    onCard, askPrices, costOf, usd, spanOf, formReady, bring, tellProblem, isOurs, signedOut, local, session, canSubmit,
    facts, words, language, ready, say, number, element, iconAnd, address, identity, post, tell, shorten,
  };
})();
window.dreamina = dreamina;
// Gradio inserts head scripts in any order: the scripts that depend on this one are inserted here, in order.
dreamina.ready.then(() => {
  for (const path of dreamina.facts.scripts) {
    const script = document.createElement("script");
    script.src = dreamina.address(path);
    script.async = false;
    if (path.endsWith("/presses.js")) script.addEventListener("load", dreamina.canSubmit);
    document.head.append(script);
  }
});
