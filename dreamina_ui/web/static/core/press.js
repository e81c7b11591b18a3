/*
 * Nothing is rendered while a button is being pressed: a click is lost if its element moves, or goes, before the release.
 */

const PRESSABLE = "button, a, summary, label, [role=button]";
const TAP_MS = 80; // how much later than the release of a finger its click may come
const MAX_MS = 2000; // a release outside the window is not always reported

export class Press {
  /** @type {Set<() => void>} */
  #waiting = new Set();
  #isDown = false;
  #timer = 0;
  #wait;

  /**
   * @param {EventTarget} target whose pointer events count
   * @param {(act: () => void, ms: number) => any} [wait]
   */
  constructor(target, wait = (act, ms) => setTimeout(act, ms)) {
    this.#wait = wait;
    target.addEventListener("pointerdown", (event) => {
      const { target: node } = event;
      if (!(/** @type {Element | null} */ (node)?.closest?.(PRESSABLE))) return;
      this.#isDown = true;
      this.#releaseAfter(MAX_MS);
    }, true);
    for (const name of ["pointerup", "pointercancel", "blur"]) {
      target.addEventListener(name, (event) => this.#releaseAfter(/** @type {PointerEvent} */ (event).pointerType === "touch" ? TAP_MS : 0), true);
    }
  }

  /** @param {number} ms */
  #releaseAfter(ms) {
    if (!this.#isDown) return;
    clearTimeout(this.#timer);
    this.#timer = this.#wait(() => this.#release(), ms);
  }

  #release() {
    this.#isDown = false;
    const acts = [...this.#waiting];
    this.#waiting.clear();
    acts.forEach((act) => act());
  }

  /**
   * The same function, which waits until the button is released; several calls meanwhile become one.
   * @param {() => unknown} act
   */
  after(act) {
    return () => {
      if (this.#isDown) this.#waiting.add(act);
      else act();
    };
  }
}

export const press = new Press(typeof window === "undefined" ? new EventTarget() : window);
