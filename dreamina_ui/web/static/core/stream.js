/* The stream of the visitor's jobs: one per page, closed when no job is active or the tab is hidden. */

import { connection } from "./connection.js";
import { facts, language, root } from "./facts.js";
import { identity, isOurs, request, url } from "./http.js";
import { jobs } from "./jobs.js";

const HIDDEN_PAUSE_MS = 10000;
const FIRST_EVENT_MS = 7000; // a stream without any event is held back by something in between
const SILENCE_MS = 25000; // the server sends an event at least every 10 s
const POLL_MS = 2500;
const HELD_BACK_MS = 300000; // how long no new stream is tried
const PROBE_MS = 10000;
const PROBE_OFFLINE_MS = 3000;
const REOPEN_MS = 3000;

/** @type {EventSource | null} */
let stream = null;
let watchAgain = false;
let hiddenTimer = 0;
let silenceTimer = 0;
let pollTimer = 0;
let pollUntil = 0;

/** Tells who shows what depends on the jobs, such as the quota: `refresh` when it should be asked for again. */
export const refreshes = new EventTarget();

/** Show the jobs as they are, and each change of them. Call it after anything that starts or changes a job. */
export function watch() {
  clearTimeout(hiddenTimer); // else it would close the stream of a tab that is visible again
  if (document.hidden) {
    pollHidden();
    return;
  }
  refreshes.dispatchEvent(new Event("refresh"));
  if (stream) watchAgain = true;
  else if (performance.now() < pollUntil) poll();
  else openStream();
}

function openStream() {
  let isBroken = false; // then silence has another reason than being held back
  const opened = new EventSource(url("events", { language, visitor: identity() }));
  stream = opened;
  /** @type {(name: string, handle: (event: MessageEvent) => void) => void} */
  const listen = (name, handle) => opened.addEventListener(name, (event) => {
    isBroken = false;
    expectEvent(SILENCE_MS, reopen);
    handle(event);
  });
  expectEvent(FIRST_EVENT_MS, () => (isBroken ? reopen() : fallBack()));
  listen("jobs", (event) => show(JSON.parse(event.data)));
  listen("ping", () => connection.setOffline(false));
  listen("rest", () => {
    close();
    show([]);
    if (watchAgain) watch();
    watchAgain = false;
  });
  opened.addEventListener("open", () => connection.setOffline(false));
  opened.addEventListener("error", () => {
    isBroken = true;
    connection.setOffline(true);
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser reconnects
    close();
    poll(); // its response tells whether the visitor is signed out
    setTimeout(watch, REOPEN_MS);
  });
}

/** @param {import("./types.js").Job[]} cards */
function show(cards) {
  connection.setOffline(false);
  jobs.update(cards);
}

/**
 * @param {number} ms
 * @param {() => void} missed
 */
function expectEvent(ms, missed) {
  clearTimeout(silenceTimer);
  silenceTimer = window.setTimeout(missed, ms);
}

// A connection may be dead without a sign: a new one shows the jobs as they are.
function reopen() {
  close();
  watch();
}

// Something in between holds the stream back: poll for some time.
function fallBack() {
  close();
  pollUntil = performance.now() + HELD_BACK_MS;
  poll();
}

function close() {
  clearTimeout(silenceTimer);
  stream?.close();
  stream = null;
}

async function fetchJobs() {
  try {
    const response = await request("jobs", { signal: AbortSignal.timeout(15000) });
    if (!isOurs(response)) throw new Error(String(response.status));
    connection.setOffline(false);
    if (response.ok) show(await response.json());
  } catch {
    connection.setOffline(true);
  }
}

async function poll() {
  clearTimeout(pollTimer);
  await fetchJobs();
  clearTimeout(pollTimer); // of another call meanwhile
  const next = () => (performance.now() < pollUntil ? poll() : watch());
  if (jobs.anyActive() && !document.hidden && !stream) pollTimer = window.setTimeout(next, POLL_MS);
}

// A browser has six connections per server: a hidden tab closes its stream and polls now and then.
async function pollHidden() {
  clearTimeout(hiddenTimer);
  close();
  await fetchJobs();
  clearTimeout(hiddenTimer); // of another call meanwhile
  if (document.hidden && jobs.anyActive()) hiddenTimer = window.setTimeout(pollHidden, HIDDEN_PAUSE_MS);
}

// With no job active nothing else would notice that the server is away.
async function probe() {
  if (!document.hidden && !stream && !jobs.anyActive()) {
    const wasOffline = connection.isOffline;
    try {
      const health = new URL("../healthz", root);
      const response = await fetch(health, { cache: "no-store", signal: AbortSignal.timeout(8000) });
      connection.setOffline(!isOurs(response));
      if (wasOffline && isOurs(response)) watch();
    } catch {
      connection.setOffline(true);
    }
  }
  setTimeout(probe, connection.isOffline ? PROBE_OFFLINE_MS : PROBE_MS);
}

/** Begin to show the jobs, for as long as the page is open. */
export function startWatching() {
  if (!facts.models) return;
  watch();
  setTimeout(probe, PROBE_MS);
  document.addEventListener("visibilitychange", watch);
  window.addEventListener("offline", () => connection.setOffline(true));
  window.addEventListener("online", watch);
  window.addEventListener("pageshow", (event) => event.persisted && reopen());
}
