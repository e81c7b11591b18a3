import assert from "node:assert/strict";
import { mock, test } from "node:test";

const page = Object.assign(new EventTarget(), {
  hidden: true,
  getElementById: () => ({ textContent: '{"languages": {}, "models": {}, "words": {}}' }),
});
const job = { job_id: "1", version: 1, active: true, created_at: 1, outputs: [] };
const headers = new Headers({ "X-Dreamina-UI": "1" });

class Stream extends EventTarget {
  static open = new Set();

  constructor() {
    super();
    Stream.open.add(this);
  }

  close() {
    Stream.open.delete(this);
  }
}

Object.assign(globalThis, {
  document: page,
  localStorage: { getItem: () => null },
  window: Object.assign(new EventTarget(), { setTimeout: (...args) => setTimeout(...args) }),
  EventSource: Stream,
  fetch: async () => ({ ok: true, status: 200, headers, json: async () => [job] }),
});
mock.timers.enable({ apis: ["setTimeout"] });
Object.defineProperty(globalThis, "navigator", { value: { language: "en" }, configurable: true });
const { startWatching } = await import("../../dreamina_ui/web/static/core/stream.js");

/** Let everything that waits for a response go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** @param {boolean} hidden */
function setHidden(hidden) {
  page.hidden = hidden;
  page.dispatchEvent(new Event("visibilitychange"));
}

test("a tab that was hidden and shown several times in a row keeps its stream", async () => {
  startWatching();
  setHidden(true);
  setHidden(true);
  await settle();
  assert.equal(Stream.open.size, 0, "a hidden tab polls");
  setHidden(false);
  assert.equal(Stream.open.size, 1);
  for (let tick = 0; tick < 3; tick += 1) {
    for (const stream of Stream.open) stream.dispatchEvent(new MessageEvent("ping"));
    mock.timers.tick(6000);
    await settle();
  }
  assert.equal(Stream.open.size, 1, "a timer of the hidden time has closed it");
});
