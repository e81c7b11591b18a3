/* WebKitGTK, driven over WebDriver by its own driver, on a screen of its own. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

const BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf"; // the key of a reference, from the standard
/** @type {Record<string, string>} */
const KEYS = { Escape: "\uE00C", Enter: "\uE007", Control: "\uE009" };
// The one of ResizeObserver is a note, which Firefox and Chromium do not call an error: the rest comes with the next frame.
const WATCH = `window.roadErrors = [];
  addEventListener("error", ({ message }) => message.startsWith("ResizeObserver loop") || roadErrors.push(message));
  addEventListener("unhandledrejection", (event) => roadErrors.push(String(event.reason)));`;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** A screen that nobody sees; Xvfb finds a free number, and says which. */
async function startScreen() {
  const screen = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1440x1000x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const [number] = await once(/** @type {import("node:stream").Readable} */ (screen.stdio[3]), "data");
  return { screen, display: `:${String(number).trim()}` };
}

export class WebKit {
  static async start() {
    const { screen, display } = await startScreen();
    const port = await freePort();
    const driver = spawn("WebKitWebDriver", [`--port=${port}`], { env: { ...process.env, DISPLAY: display, LANG: "en_US.UTF-8", WEBKIT_DISABLE_COMPOSITING_MODE: "1" }, stdio: "ignore" });
    const browser = new WebKit(`http://127.0.0.1:${port}`, [driver, screen]);
    await browser.#begin();
    return browser;
  }

  #session = "";

  /** @param {string} base @param {import("node:child_process").ChildProcess[]} processes */
  constructor(base, processes) {
    this.base = base;
    this.processes = processes;
  }

  async #begin() {
    const options = { binary: BROWSER, args: ["--automation"] };
    const capabilities = { alwaysMatch: { browserName: "MiniBrowser", "webkitgtk:browserOptions": options } };
    for (let left = 200; ; left -= 1) {
      try {
        const { sessionId } = await this.#send("POST", "/session", { capabilities });
        this.#session = `/session/${sessionId}`;
        break;
      } catch (error) {
        if (!left || !(error instanceof TypeError)) throw error; // a TypeError: the driver does not listen yet
        await new Promise((done) => setTimeout(done, 50));
      }
    }
    await this.#send("POST", "/window/rect", { width: 1440, height: 980 });
  }

  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
  async #send(method, path, body) {
    const response = await fetch(`${this.base}${this.#session}${path}`, { method, body: body && JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    const { value } = /** @type {any} */ (await response.json());
    if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  }

  /** @param {string} url */
  open(url) {
    return this.#send("POST", "/url", { url });
  }

  /** @param {string} expression */
  evaluate(expression) {
    return this.#send("POST", "/execute/sync", { script: `return ${expression};`, args: [] });
  }

  /** @param {string} expression */
  async click(expression) {
    const reference = await this.evaluate(expression);
    await this.#send("POST", `/element/${reference[ELEMENT]}/click`, {});
  }

  /** @param {string[]} keys @param {boolean} together */
  #keys(keys, together = false) {
    const down = keys.map((value) => ({ type: "keyDown", value }));
    const up = keys.map((value) => ({ type: "keyUp", value }));
    const actions = together ? [...down, ...up.reverse()] : down.flatMap((action, index) => [action, up[index]]);
    return this.#send("POST", "/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  /** @param {string} text */
  type(text) {
    return this.#keys([...text]);
  }

  /** @param {string} key */
  press(key, { withControl = false } = {}) {
    const value = KEYS[key] ?? key;
    return withControl ? this.#keys([KEYS.Control, value], true) : this.#keys([value]);
  }

  watchErrors() { // WebDriver does not tell what the console says
    return this.evaluate(`(() => { ${WATCH} })()`);
  }

  /** @returns {Promise<string[]>} */
  errors() {
    return this.evaluate("window.roadErrors");
  }

  async stop() {
    await this.#send("DELETE", "", undefined).catch(() => undefined);
    for (const process of this.processes) process.kill();
  }
}
