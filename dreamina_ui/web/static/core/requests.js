/* Requests that cost money. Each has an id made here, and is repeated under that id until the server has answered. */

import { connection } from "./connection.js";
import { get, isOurs, outcomeOf, quota, request, requester } from "./http.js";
import { parse, session } from "./storage.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Outcome} Outcome */

/**
 * @typedef {object} Press
 * @property {string} id
 * @property {string} path
 * @property {any} body null if it was too large to be stored
 * @property {boolean} [isOwnKey]
 * @property {string} [requester] who the visitor was at the click: somebody else must not repeat it
 * @property {number} at ms since 1970
 * @property {number} attempts
 */
/** @typedef {Press & {key: string, retry: () => void, result: Promise<Outcome>}} OpenPress */
/** @typedef {{matches(path: string): boolean, unknown(): void, done(outcome: Outcome): unknown}} Handler */

const STORED = "presses";
const PAUSES_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const TIMEOUT_MS = 60000;
const MAX_AGE_MS = 3600000; // nobody expects a job to start hours after the click

/** @type {Map<string, OpenPress>} */
const open = new Map();
let earlier = readStored(); // not answered when the page was left; nothing repeats them yet
/** @type {() => boolean | undefined} */
let ownKeyIsGiven = () => undefined;

/**
 * @param {() => boolean | undefined} isGiven whether the page shows that the visitor's own key pays; undefined until
 *   the server has said it
 */
export function setOwnKey(isGiven) {
  ownKeyIsGiven = isGiven;
}

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Send a request. Until the server has responded, the same request is the same press: another click only repeats it
 * sooner. Whose key pays is decided by the click, too: a key given or removed before a repeat changes nothing.
 * @param {string} path
 * @param {any} body
 * @param {() => void} [unknown] called after an attempt without a response, when nobody knows whether it arrived
 * @param {(isStored: boolean) => void} [stored] called with whether a reload would still know the request
 * @returns {Promise<Outcome>}
 */
export function send(path, body, unknown = () => {}, stored = () => {}) {
  const key = keyOf({ path, body });
  const same = [...open.values()].find((press) => press.key === key);
  if (same) {
    same.retry();
    return same.result;
  }
  const known = earlier.find((press) => keyOf(press) === key && !isOld(press));
  const press = known ?? { id: newId(), path, body, isOwnKey: ownKeyIsGiven(), requester: requester(), at: Date.now(), attempts: 0 };
  const result = begin(press, unknown);
  stored(store());
  return result;
}

/** @param {{path: string, body: any}} press */
function keyOf({ path, body }) {
  return JSON.stringify([path, body]);
}

/** @param {Press} press */
function isOld(press) {
  return Date.now() - press.at > MAX_AGE_MS;
}

/**
 * @param {Press} press
 * @param {() => void} unknown
 */
function begin(press, unknown) {
  const begun = /** @type {OpenPress} */ (Object.assign(press, { key: keyOf(press), retry: () => {} }));
  earlier = earlier.filter(({ id }) => id !== press.id);
  open.set(press.id, begun);
  store();
  begun.result = repeat(begun, unknown).finally(() => {
    open.delete(press.id);
    store();
  });
  return begun.result;
}

/**
 * @param {OpenPress} press
 * @param {() => void} unknown
 * @returns {Promise<Outcome>}
 */
async function repeat(press, unknown) {
  for (;;) {
    // The machine may have slept for hours between two attempts; a body that was not stored cannot be sent again.
    if (isOld(press)) return (await findResult(press, { refusal: words.request_failed })) ?? { refusal: words.press_unknown };
    press.attempts += 1;
    store();
    const outcome = press.body === null ? await findResult(press, { refusal: words.request_failed }) : await attempt(press);
    if (outcome) return outcome;
    unknown();
    await pause(press);
  }
}

/**
 * @param {OpenPress} press
 * @returns {Promise<Outcome | null>} null when nothing came that our server wrote
 */
async function attempt(press) {
  try {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (press.requester) headers["X-Dreamina-Requester"] = press.requester;
    const response = await request(press.path, {
      method: "POST",
      headers,
      body: JSON.stringify({ ...press.body, press_id: press.id, own_key: press.isOwnKey }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!isOurs(response) || response.status === 408) return null;
    if (response.status === 401) connection.setSignedOut(true);
    const value = await response.json();
    const outcome = outcomeOf(response, value);
    if (response.ok) return outcome;
    if (outcome.kind === "other_requester") {
      quota().catch(() => {}); // the next click is that of the person who is signed in now
      return outcome;
    }
    // Refused before anything was looked up: an earlier attempt may have arrived.
    const isUnread = response.status === 401 || (response.status === 429 && value.detail);
    if (isUnread && press.attempts > 1) return null;
    return response.status >= 500 ? findResult(press, outcome) : outcome; // it may have failed behind the row's writing
  } catch {
    return null;
  }
}

/**
 * What the server has of a request.
 * @param {OpenPress} press
 * @param {Outcome} nothing the outcome if it has none
 * @returns {Promise<Outcome | null>} null when it does not say
 */
async function findResult(press, nothing) {
  try {
    const { job, batch } = await get(`presses/${press.id}`);
    const card = press.path === "batches" ? batch : job;
    return card ? { answer: card } : nothing;
  } catch {
    return null;
  }
}

/** @param {OpenPress} press */
function pause(press) {
  const ms = PAUSES_MS[Math.min(press.attempts, PAUSES_MS.length) - 1];
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    press.retry = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
  });
}

// Returns whether the bodies are stored, too: a large batch may not fit, but its id does.
function store() {
  const unanswered = [...open.values(), ...earlier];
  if (!unanswered.length) return session.set(STORED, null);
  /** @type {(withBody: boolean) => string} */
  const text = (withBody) => JSON.stringify(unanswered.map((press) => (
    { ...storedPart(press), body: withBody ? press.body : null })));
  if (session.set(STORED, text(true))) return true;
  session.set(STORED, text(false));
  return false;
}

/** @param {Press} press */
function storedPart({ id, path, isOwnKey, requester: tag, at, attempts }) {
  return { id, path, isOwnKey, requester: tag, at, attempts };
}

/** @returns {Press[]} */
function readStored() {
  const stored = parse(session.get(STORED));
  return Array.isArray(stored) ? stored.filter((press) => press?.id && press.path) : [];
}

/**
 * Repeat what was not answered when the page was left.
 * @param {Handler[]} handlers
 */
export function resume(handlers) {
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
