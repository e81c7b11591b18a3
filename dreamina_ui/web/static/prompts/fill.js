// @ts-check
/* What presets and wildcards make of a prompt. No DOM. */

const WILDCARD = /(\\?)__([\p{L}\p{N}](?:(?!__)[\p{L}\p{N}_-])*?)__/gu; // as in dreamina_ui/batches/wildcards.py

/** A preset's template with the prompt in it.
 * @param {string} template @param {string} prompt */
export function filled(template, prompt) {
  if (!template.includes("{prompt}")) return template;
  const text = template.split("{prompt}").join(prompt.trim());
  return prompt.trim() ? text : text.replace(/^[\s,;]+|[\s,;]+$/g, "");
}

/** Whether a batch would draw something for a text.
 * @param {string} text */
export function hasWildcards(text) {
  return [...text.matchAll(WILDCARD)].some(([, escape]) => !escape);
}

/** The choice after the one that is set.
 * @param {any[]} choices @param {any} current */
export function nextChoice(choices, current) {
  return choices.length > 1 ? choices[(choices.indexOf(current) + 1) % choices.length] : undefined;
}

/** A seed that nobody chose. */
export function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
