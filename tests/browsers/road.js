/* The main road through the page, in a browser other than Chromium: node road.js firefox|webkit URL

   Jobs stand still until somebody moves the service's clock. So the road prints `sent` whenever jobs wait for that, and
   `done` when they are. It prints each step, and exits with 1 at the first one that fails. */

import { Firefox } from "./firefox.js";
import { WebKit } from "./webkit.js";

const STEP_S = 300; // far more than any step takes: only a step that hangs fails
const SETTINGS = new URLSearchParams({ size: "1024x1024(1:1)", force_single: "true" }); // what the service draws soonest
const VIEWER = "document.querySelector('dialog.viewer[open]')";

const [name, url] = process.argv.slice(2);
const prompt = `a lighthouse in ${name}`;
const browser = await (name === "firefox" ? Firefox : WebKit).start();

/** Wait until an expression is true in the page. @param {string} expression */
async function until(expression) {
  const deadline = Date.now() + 1000 * STEP_S;
  while (!(await browser.evaluate(`Boolean(${expression})`))) {
    if (Date.now() > deadline) throw new Error(`never true: ${expression}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Click what an expression gives, once it can be clicked. @param {string} expression */
async function click(expression) {
  await until(`(() => { const node = ${expression}; return node?.checkVisibility() && !node.disabled; })()`);
  await browser.click(expression);
}

/** @param {string} selector */
const one = (selector) => `document.querySelector(${JSON.stringify(selector)})`;
/** @param {string} selector @param {string} text */
const withText = (selector, text) => `[...document.querySelectorAll(${JSON.stringify(selector)})].find((node) => node.checkVisibility() && node.textContent.includes(${JSON.stringify(text)}))`;
/** @param {string} node an expression */
const isLoaded = (node) => `((image) => image?.complete && image.naturalWidth > 0)(${node})`;

/** @param {string} text */
async function writePrompt(text) {
  await click(one("#field-prompt textarea"));
  await browser.press("a", { withControl: true });
  await browser.type(text);
}

const steps = {
  "generate": async () => {
    await browser.open(`${url}/#${SETTINGS}`);
    await until(one("#link-note")); // says that the settings are filled in
    await browser.watchErrors();
    await writePrompt(prompt);
    await click(one("#generate"));
    await until(`${withText(".stage", prompt)} && document.querySelector('.stage .job[data-state="queued"]')`);
    console.log("sent");
  },
  "stage": async () => {
    await until(isLoaded(`${withText(".stage .job[data-state=done]", prompt)}?.querySelector("img")`));
    console.log("done");
  },
  "view": async () => {
    await click(one(".stage .tile > .open"));
    await until(isLoaded(`${VIEWER}?.querySelector(".track img, .main img")`));
  },
  "zoom": async () => {
    await browser.press("1");
    await until(`${VIEWER}.querySelector(".position").textContent.includes("100%")`);
    await browser.press("Escape");
    await until(`!${VIEWER}`);
  },
  "library": async () => {
    await click(withText("#tabs [role=tab]", "Library"));
    await until(isLoaded(one(`#library img[alt*="${prompt}"], #library [aria-label*="${prompt}"] img`)));
    await click(one(`#library .tile[aria-label*="${prompt}"]`));
    await until(isLoaded(`${VIEWER}?.querySelector(".main img")`));
    await browser.press("Escape");
    await until(`!${VIEWER}`);
  },
  "batch": async () => {
    await click(withText("#tabs [role=tab]", "Batch"));
    await click(one("#batch-prompts, #batch textarea"));
    await browser.type(`${prompt}, {dawn|dusk}`);
    await click(withText("#batch button[data-paid]:not(:disabled)", "2"));
    await until("document.querySelectorAll('#batch td:is([data-state=queued], [data-state=running])').length === 2");
    console.log("sent");
    await until("[...document.querySelectorAll('#batch td[data-state=done] img')].filter((image) => image.naturalWidth).length === 2");
    console.log("done");
  },
  "cancel": async () => {
    await click(withText("#tabs [role=tab]", "Create"));
    await writePrompt(`${prompt} at noon`);
    await click(one("#generate"));
    await click(withText('.stage .job[data-state="queued"] button', "Cancel"));
    await until(`[...document.querySelectorAll('.job[data-state="cancelled"]')].some((job) => job.textContent.includes("at noon"))`);
  },
  "errors": async () => {
    const errors = await browser.errors();
    if (errors.length) throw new Error(errors.join("\n"));
  },
};

let step = "";
try {
  for (const [title, run] of Object.entries(steps)) {
    step = title;
    await run();
    console.log(`step: ${title}`);
  }
} catch (error) {
  console.log(`failed at ${step}: ${error}`);
  console.log(await browser.evaluate("location.href + ' ' + document.body.innerText.slice(0, 1500)").catch(String));
  process.exitCode = 1;
} finally {
  await browser.stop();
}
