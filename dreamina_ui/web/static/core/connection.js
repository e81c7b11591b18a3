/* Whether the server can be reached, and whether the visitor is signed in. */

class Connection extends EventTarget {
  isOffline = false;
  isSignedOut = false;

  /** @param {boolean} isOffline */
  setOffline(isOffline) {
    if (this.isOffline === isOffline) return;
    this.isOffline = isOffline;
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Another tab may sign in again.
   * @param {boolean} isSignedOut
   */
  setSignedOut(isSignedOut) {
    if (this.isSignedOut === isSignedOut) return;
    this.isSignedOut = isSignedOut;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();
