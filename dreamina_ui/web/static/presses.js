/* Requests that cost money. Each has an id made here, and is repeated under that id until the server has answered. */
"use strict";

dreamina.presses = (() => {
  const { language, address, isOurs, session, signedOut } = dreamina;
  const STORED = "presses";
  const PAUSES_MS = [1000, 2000, 4000, 8000, 15000, 30000];
  const TIMEOUT_MS = 60000;
  const MAX_AGE_MS = 3600000; // nobody expects a job to start hours after the click
  const open = new Map(); // press_id -> {id, path, body, isOwnKey, key, at, attempts, retry, result}
  let earlier = readStored(); // not answered when the page was left; nothing repeats them yet

  function newId() {
    if (crypto.randomUUID) return crypto.randomUUID();
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /* Send a request; returns {answer} or {refusal}, as `post` does.
   * Until the server has responded, the same request is the same press: another click only repeats it sooner.
   * Whose key pays is decided by the click, too: a key given or removed before a repeat changes nothing.
   * `unknown` is called after an attempt without a response, when nobody knows whether it arrived. */
  function send(path, body, unknown = () => {}) {
    const key = keyOf({ path, body });
    const same = [...open.values()].find((press) => press.key === key);
    if (same) {
      same.retry();
      return same.result;
    }
    const unanswered = earlier.find((press) => keyOf(press) === key && !isOld(press));
    const isOwnKey = dreamina.ownKey?.isGiven();
    return begin(unanswered ?? { id: newId(), path, body, isOwnKey, at: Date.now(), attempts: 0 }, unknown);
  }

  function keyOf({ path, body }) {
    return JSON.stringify([path, body]);
  }

  function isOld(press) {
    return Date.now() - press.at > MAX_AGE_MS;
  }

  function begin(press, unknown) {
    Object.assign(press, { key: keyOf(press), retry: () => {} });
    earlier = earlier.filter(({ id }) => id !== press.id);
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
      // The machine may have slept for hours between two attempts.
      if (isOld(press)) return (await lookUp(press, { refusal: dreamina.words.request_failed })) ?? { refusal: dreamina.words.press_unknown };
      press.attempts += 1;
      store();
      const outcome = await attempt(press);
      if (outcome) return outcome;
      unknown();
      await pause(press);
    }
  }

  // {answer} or {refusal}; null when nothing came that our server wrote.
  async function attempt(press) {
    try {
      const reply = await fetch(address(press.path, { language }), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...press.body, press_id: press.id, own_key: press.isOwnKey }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (!isOurs(reply) || reply.status === 408) return null;
      if (reply.status === 401) signedOut();
      const value = await reply.json();
      if (reply.ok) return { answer: value };
      // Refused before anything was looked up: an earlier attempt may have arrived.
      const isAtTheDoor = reply.status === 401 || (reply.status === 429 && value.detail);
      if (isAtTheDoor && press.attempts > 1) return null;
      const refusal = { refusal: value.message || dreamina.words.request_failed };
      return reply.status >= 500 ? lookUp(press, refusal) : refusal; // it may have failed behind the row's writing
    } catch {
      return null;
    }
  }

  // What the server has of a request: {answer}, or `nothing`; null when it does not say.
  async function lookUp(press, nothing) {
    try {
      const reply = await fetch(address(`presses/${press.id}`, { language }), { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!reply.ok || !isOurs(reply)) return null;
      const { job, batch } = await reply.json();
      const answer = press.path === "batches" ? batch : job;
      return answer ? { answer } : nothing;
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
    const unanswered = [...open.values(), ...earlier]
      .map(({ id, path, body, isOwnKey, at, attempts }) => ({ id, path, body, isOwnKey, at, attempts }));
    session.set(STORED, unanswered.length ? JSON.stringify(unanswered) : null);
  }

  function readStored() {
    try {
      const presses = JSON.parse(session.get(STORED));
      return presses.filter((press) => press.id && press.path);
    } catch {
      return []; // damaged: nothing is known
    }
  }

  /* Repeat what was not answered when the page was left. `handlers` by the end of the path:
   * {matches(path), unknown(), done(outcome)}. */
  function resume(handlers) {
    for (const press of earlier) {
      const handler = handlers.find(({ matches }) => matches(press.path));
      if (!handler) continue;
      handler.unknown();
      begin(press, handler.unknown).then(handler.done);
    }
    earlier = [];
    store();
  }

  window.addEventListener("online", () => open.forEach((press) => press.retry()));

  return { send, resume };
})();
