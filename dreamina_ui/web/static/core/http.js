/* Requests to our own routes. They name the visitor where the browser blocks our cookies: in a frame of another site,
 * such as a Space's. */

import { connection } from "./connection.js";
import { language, root } from "./facts.js";
import { local } from "./storage.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Outcome} Outcome */
/** @typedef {import("./types.js").Quota} Quota */

const IDENTITY = "visitor";
const FIRST_MS = 5000;
const MARKER = "X-Dreamina-UI"; // a header of every response that our server wrote

/** @type {Promise<Quota | null> | null} */
let firstQuota = null;
let requesterTag = "";

export function identity() {
  return local.get(IDENTITY) ?? ""; // without storage the server will refuse, and say why
}

/** Who the visitor is to the server, as it last said; "" before it has, or without an identity. */
export function requester() {
  return requesterTag;
}

/** @param {Response} response */
export function isOurs(response) {
  return response.headers.has(MARKER);
}

/**
 * A URL below `dreamina/`.
 * @param {string} path
 * @param {Record<string, any>} [query] empty values are left out
 */
export function url(path, query = {}) {
  const made = new URL(path, root);
  for (const [name, value] of Object.entries(query)) if (value) made.searchParams.set(name, String(value));
  return made;
}

/**
 * @param {string} path
 * @param {RequestInit & {query?: Record<string, any>}} [options]
 * @returns {Promise<Response>}
 */
export async function request(path, { query, ...options } = {}) {
  const headers = new Headers(options.headers);
  // The first response shows whether the server knows the visitor; what changes something waits for it.
  if (options.method === "POST") await firstResponse();
  if (identity()) headers.set("X-Dreamina-Visitor", identity());
  headers.set("Accept-Language", language);
  const response = await fetch(url(path, { language, ...query }), { ...options, headers });
  if (response.status === 401) connection.setSignedOut(true);
  else if (response.ok && isOurs(response)) connection.setSignedOut(false);
  return response;
}

/**
 * A GET of JSON. Rejects for any other response than a good one; the error's `status` is that of our server, or 0.
 * @param {string} path
 * @param {Record<string, any>} [query]
 * @returns {Promise<any>}
 */
export async function get(path, query = {}) {
  const response = await request(path, { query });
  if (!response.ok || !isOurs(response)) throw Object.assign(new Error(`${path}: ${response.status}`), { status: isOurs(response) ? response.status : 0 });
  return response.json();
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Outcome>}
 */
export async function post(path, body) {
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
    return outcomeOf(response, await response.json());
  } catch {
    return { refusal: words.request_failed };
  }
}

/**
 * @param {Response} response
 * @param {any} value its JSON
 * @returns {Outcome}
 */
export function outcomeOf(response, value) {
  if (response.ok) return { answer: value };
  const { message, action, facts, kind, retry_after_s: retryAfterS } = value ?? {};
  const refusal = message || (response.status === 401 ? words.signed_out : words.request_failed);
  return { refusal, action, facts, kind, retryAfterS, status: response.status };
}

/**
 * What the visitor may still do today. Rejects without a connection.
 * @returns {Promise<Quota>}
 */
export async function quota() {
  const first = await firstResponse();
  firstQuota = Promise.resolve(null); // the next call requests it again
  return first ?? askQuota();
}

// A proxy that holds the response back must not hold back a click on Generate.
function firstResponse() {
  const late = new Promise((resolve) => setTimeout(resolve, FIRST_MS, null));
  firstQuota ??= Promise.race([askQuota().catch(() => null), late]);
  return firstQuota;
}

/** @returns {Promise<Quota>} */
async function askQuota() {
  const left = await get("left");
  requesterTag = left.requester ?? "";
  if (left.identity && !identity()) local.set(IDENTITY, left.identity);
  return left;
}
