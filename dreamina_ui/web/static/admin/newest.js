/* Which overview is the newest: one that was asked for before a change must not be shown after it. */

export class Newest {
  #changes = 0; // those that began and those that ended

  /**
   * Note that a request is sent.
   * @param {boolean} isChange whether it changes something, and not only reads
   * @returns {() => boolean} call it once with the response: whether that is to be shown
   */
  begin(isChange) {
    if (isChange) this.#changes += 1;
    const known = this.#changes;
    return () => {
      if (!isChange) return known === this.#changes;
      this.#changes += 1;
      return true;
    };
  }
}
