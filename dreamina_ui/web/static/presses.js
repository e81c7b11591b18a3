/* Requests that cost money. Each has an id made here, and is repeated under that id until the server has answered. */
"use strict";

dreamina.presses = (() => {
  const { language, address, isOurs, session, signedOut } = dreamina;
  const STORED = "presses";
  const PAUSES_MS = [1000, 2000, 4000, 8000, 15000, 30000];
  const TIMEOUT_MS = 60000;
  const MAX_AGE_MS = 3600000; // nobody expects a job to start hours after the click
  const open = new Map(); // press_id -> {id, path, body, key, at, attempts, retry, result}

  function newId() {
    if (crypto.randomUUID) return crypto.randomUUID();
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /* Send a request; returns {answer} or {refusal}, as `post` does.
   * Until the server has responded, the same request is the same press: another click only repeats it sooner.
   * `unknown` is called after an attempt without a response, when nobody knows whether it arrived. */
  function send(path, body, unknown = () => {}) {
    const key = JSON.stringify([path, body]);
    const same = [...open.values()].find((press) => press.key === key);
    if (same) {
      same.retry();
      return same.result;
    }
    return begin({ id: newId(), path, body, at: Date.now(), attempts: 0 }, unknown);
  }

  function begin(press, unknown) {
    Object.assign(press, { key: JSON.stringify([press.path, press.body]), retry: () => {} });
    open.set(press.id, press);
    store();
    press.result = repeat(press, unknown).finally(() => {
      open.delete(press.id);
      store();
    });
    return press.result;
  }

  async function repeat(press, unknown) {
    for (;;) {
      press.attempts += 1;
      store();
      const outcome = await attempt(press);
      if (outcome) return outcome;
      unknown();
      if (Date.now() - press.at > MAX_AGE_MS) return { refusal: dreamina.words.press_unknown };
      await pause(press);
    }
  }

  // {answer} or {refusal}; null when nothing came that our server wrote.
  async function attempt(press) {
    try {
      const reply = await fetch(address(press.path, { language }), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...press.body, press_id: press.id }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (!isOurs(reply) || reply.status === 408) return null;
      if (reply.status === 401) {
        signedOut();
        if (press.attempts > 1) return null; // an earlier attempt may have arrived
      }
      const value = await reply.json();
      return reply.ok ? { answer: value } : { refusal: value.message || dreamina.words.request_failed };
    } catch {
      return null;
    }
  }

  function pause(press) {
    const ms = PAUSES_MS[Math.min(press.attempts, PAUSES_MS.length) - 1];
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      press.retry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function store() {
    const unanswered = [...open.values()].map(({ id, path, body, at, attempts }) => ({ id, path, body, at, attempts }));
    session.set(STORED, unanswered.length ? JSON.stringify(unanswered) : null);
  }

  /* Repeat what was not answered when the page was left. `handlers` by the end of the path:
   * {matches(path), unknown(), done(outcome)}. */
  function resume(handlers) {
    let stored = [];
    try {
      stored = JSON.parse(session.get(STORED)) || [];
    } catch { /* damaged: nothing is known */ }
    for (const press of stored) {
      const handler = handlers.find(({ matches }) => matches(press.path));
      if (!handler || open.has(press.id) || Date.now() - press.at > MAX_AGE_MS) continue;
      handler.unknown();
      begin(press, handler.unknown).then(handler.done);
    }
    store();
  }

  window.addEventListener("online", () => open.forEach((press) => press.retry()));

  return { send, resume };
})();
