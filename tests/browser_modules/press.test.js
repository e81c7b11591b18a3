import assert from "node:assert/strict";
import test from "node:test";
import { Press } from "../../dreamina_ui/web/static/core/press.js";

/** A window whose time stands still, with a button in it. */
function open() {
  /** @type {(() => void) | null} */
  let timer = null;
  const target = new EventTarget();
  const press = new Press(target, (act) => { timer = act; });
  const send = (name, closest) => {
    const event = new Event(name);
    Object.defineProperty(event, "target", { value: { closest: () => closest } });
    target.dispatchEvent(event);
  };
  return { press, send, pass: () => timer?.() };
}

test("nothing is rendered between the press of a button and its release", () => {
  const { press, send, pass } = open();
  let count = 0;
  const render = press.after(() => { count += 1; });
  render();
  assert.equal(count, 1);
  send("pointerdown", {});
  render();
  render();
  assert.equal(count, 1);
  send("pointerup", {});
  assert.equal(count, 1, "the click follows the release");
  pass();
  assert.equal(count, 2, "both were one");
  render();
  assert.equal(count, 3);
});

test("a press beside all buttons holds up nothing", () => {
  const { press, send } = open();
  let count = 0;
  send("pointerdown", null);
  press.after(() => { count += 1; })();
  assert.equal(count, 1);
});
