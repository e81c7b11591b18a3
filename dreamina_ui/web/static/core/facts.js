/* What the server wrote into this page for its modules. */

/** @typedef {import("./types.js").Facts} Facts */

const text = document.getElementById("dreamina-facts")?.textContent;

/** @type {Facts} */
export const facts = JSON.parse(text ?? "{}");

/** The base URL of our own routes, below any root path. */
export const root = new URL("../../../", import.meta.url);

/** The server chose it. */
export const language = navigator.language in facts.languages ? navigator.language : "en";
