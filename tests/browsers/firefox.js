/* Firefox, driven over WebDriver BiDi. */

import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";

export const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find((path) => existsSync(path)) ?? "firefox";

export class Firefox {
  static async start() {
    const browser = await puppeteer.launch({ browser: "firefox", executablePath: process.env.FIREFOX || FIREFOX, protocol: "webDriverBiDi",
      defaultViewport: { width: 1440, height: 900 }, extraPrefsFirefox: { "intl.accept_languages": "en-US" } });
    return new Firefox(browser, await browser.newPage());
  }

  #errors = /** @type {string[]} */ ([]);

  /** @param {import("puppeteer-core").Browser} browser @param {import("puppeteer-core").Page} page */
  constructor(browser, page) {
    this.browser = browser;
    this.page = page;
    page.on("pageerror", (error) => this.#errors.push(String(error)));
    page.on("console", (said) => { if (said.type() === "error") this.#errors.push(said.text()); });
  }

  /** @param {string} url */
  open(url) {
    return this.page.goto(url, { waitUntil: "domcontentloaded" });
  }

  /** @param {string} expression */
  evaluate(expression) {
    return this.page.evaluate(expression);
  }

  /** @param {string} expression */
  async click(expression) {
    await /** @type {any} */ (await this.page.evaluateHandle(expression)).click();
  }

  /** @param {string} text */
  type(text) {
    return this.page.keyboard.type(text);
  }

  /** @param {import("puppeteer-core").KeyInput} key */
  async press(key, { withControl = false } = {}) {
    if (withControl) await this.page.keyboard.down("Control");
    await this.page.keyboard.press(key);
    if (withControl) await this.page.keyboard.up("Control");
  }

  watchErrors() {} // from the start

  errors() {
    return this.#errors;
  }

  stop() {
    return this.browser.close();
  }
}
