// @ts-check
/* Earlier prompts, which Alt+Up and Alt+Down put into the form; apart from the DOM. */

export class PromptHistory {
  constructor() {
    this.index = -1; // -1: what was typed
    this.typed = "";
    this.shown = "";
  }

  /** The prompt that a step leads to; null at the ends.
   * @param {1 | -1} step 1 to an older prompt @param {string} current what the field shows
   * @param {string[]} prompts of the jobs, the newest first
   * @returns {string | null} */
  move(step, current, prompts) {
    if (this.index >= 0 && current !== this.shown) this.index = -1; // somebody typed meanwhile
    if (this.index < 0) this.typed = current;
    const older = [...new Set(prompts)].filter((prompt) => prompt && prompt !== this.typed);
    const next = this.index + step;
    if (next < -1 || next >= older.length) return null;
    this.index = next;
    this.shown = next < 0 ? this.typed : older[next];
    return this.shown;
  }
}
