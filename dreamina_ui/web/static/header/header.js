/* <dreamina-header>: the name, what is special about this installation, the language, and links. */

import { element } from "../core/dom.js";
import { facts, language } from "../core/facts.js";
import { url } from "../core/http.js";
import { words } from "../core/words.js";

const TOKEN_VARIABLE = "RUNCOMFY_API_TOKEN";

export class Header extends HTMLElement {
  #links = element("nav", { class: "links", "aria-label": words.account });

  connectedCallback() {
    if (this.childElementCount) return;
    const logo = new URL("../logo.svg", import.meta.url);
    this.append(
      element("header", { id: "brand" }, element("img", { src: logo, alt: "", width: 28, height: 28 }), element("h1", {}, "Dreamina UI")),
      ...chips(),
      element("div", { id: "language" }, languageChoice()),
      this.#links,
    );
    if (facts.has_account) this.#links.append(element("a", { id: "account", href: url("sign-in") }, words.account));
  }
}

// Notes that a click opens in full.
function chips() {
  const notes = [];
  if (facts.uses_sandbox) notes.push(chip("sandbox-banner", words.demo, words.sandbox_banner));
  if (!facts.keeps_data) notes.push(chip("forgetful-banner", words.forgetful, words.forgetful_banner));
  return notes;
}

/**
 * @param {string} id
 * @param {string} name
 * @param {string} text with a {variable} to be shown as code
 */
function chip(id, name, text) {
  const [before, after = ""] = text.split("{variable}");
  const code = text.includes("{variable}") ? [element("code", {}, TOKEN_VARIABLE)] : [];
  return element("details", { id, class: "chip" }, element("summary", {}, name), element("p", {}, before, ...code, after));
}

function languageChoice() {
  const options = Object.entries(facts.languages).map(([code, { name }]) =>
    element("option", { value: code, lang: code, selected: code === language }, name));
  const choice = element("select", { "aria-label": words.language }, ...options);
  choice.addEventListener("change", () => chooseLanguage(choice.value));
  return choice;
}

/**
 * The server reads the cookie when the page is loaded; a frame without cookies puts the language in the URL.
 * @param {string} chosen
 */
function chooseLanguage(chosen) {
  const isSecure = location.protocol === "https:";
  const policy = isSecure ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  const cookie = `${isSecure ? "__Host-" : ""}dreamina_language_${facts.installation}=${chosen}`;
  document.cookie = `${cookie}; Path=/; Max-Age=31536000; ${policy}`;
  const page = new URL(location.href);
  page.searchParams.delete("language");
  if (!document.cookie.split("; ").includes(cookie)) page.searchParams.set("language", chosen);
  if (page.href === location.href) location.reload();
  else location.replace(page);
}
