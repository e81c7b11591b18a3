// @ts-check
/*
 * The keys of the page: one table that feeds the handlers and the list that `?` shows.
 *
 * `keys` are written as the list shows them: `Shift+R`, `Mod+Enter` (Ctrl, or Cmd on a Mac), `g c` (one after the
 * other). A `single` key is one character, which can be switched off (WCAG 2.1.4).
 */

/** @typedef {"everywhere" | "viewer" | "grid"} Scope */
/**
 * @typedef {object} KeyRow
 * @property {string[]} keys
 * @property {Scope} scope
 * @property {string} action what the handlers are registered for
 * @property {string} text key of the text that says what it does
 * @property {boolean} [single]
 * @property {boolean} [repeats] whether a held key acts again and again
 * @property {boolean} [inFields] whether it acts while somebody types
 */
/** @typedef {Pick<KeyboardEvent, "key" | "code" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey" | "repeat">} Keystroke */

const CHORD_MS = 1500; // how long the second key of two may take

/** @type {readonly KeyRow[]} */
export const KEYS = Object.freeze([
  { keys: ["/"], scope: "everywhere", action: "search", text: "key_search", single: true },
  { keys: ["g c"], scope: "everywhere", action: "go-create", text: "key_go_create", single: true },
  { keys: ["g l"], scope: "everywhere", action: "go-library", text: "key_go_library", single: true },
  { keys: ["g b"], scope: "everywhere", action: "go-batch", text: "key_go_batch", single: true },
  { keys: ["g a"], scope: "everywhere", action: "go-admin", text: "owner_go", single: true },
  { keys: ["Mod+Enter"], scope: "everywhere", action: "generate", text: "key_generate", inFields: true },
  { keys: ["Alt+ArrowUp"], scope: "everywhere", action: "older-prompt", text: "key_older_prompt", inFields: true, repeats: true },
  { keys: ["Alt+ArrowDown"], scope: "everywhere", action: "newer-prompt", text: "key_newer_prompt", inFields: true, repeats: true },
  { keys: ["h"], scope: "everywhere", action: "history", text: "key_history", single: true },
  { keys: ["?"], scope: "everywhere", action: "help", text: "key_help", single: true },

  { keys: ["ArrowLeft"], scope: "viewer", action: "previous", text: "key_previous", repeats: true },
  { keys: ["ArrowRight"], scope: "viewer", action: "next", text: "key_next", repeats: true },
  { keys: ["ArrowUp"], scope: "viewer", action: "previous-job", text: "key_previous_job", repeats: true },
  { keys: ["ArrowDown"], scope: "viewer", action: "next-job", text: "key_next_job", repeats: true },
  { keys: ["Space", "Enter"], scope: "viewer", action: "toggle-zoom", text: "key_toggle_zoom" },
  { keys: ["+", "="], scope: "viewer", action: "zoom-in", text: "key_zoom_in", single: true, repeats: true },
  { keys: ["-"], scope: "viewer", action: "zoom-out", text: "key_zoom_out", single: true, repeats: true },
  { keys: ["0"], scope: "viewer", action: "fit", text: "key_fit", single: true },
  { keys: ["1"], scope: "viewer", action: "actual-size", text: "key_actual_size", single: true },
  { keys: ["s"], scope: "viewer", action: "star", text: "key_star", single: true },
  { keys: ["Shift+1", "Shift+2", "Shift+3", "Shift+4", "Shift+5"], scope: "viewer", action: "rate", text: "key_rate", single: true },
  { keys: ["b"], scope: "viewer", action: "board", text: "key_board", single: true },
  { keys: ["d"], scope: "viewer", action: "download", text: "key_download", single: true },
  { keys: ["i"], scope: "viewer", action: "info", text: "key_info", single: true },
  { keys: ["c"], scope: "viewer", action: "compare", text: "key_compare", single: true },
  { keys: ["r"], scope: "viewer", action: "reuse", text: "key_reuse", single: true },
  { keys: ["Shift+R"], scope: "viewer", action: "rerun", text: "key_rerun", single: true },
  { keys: ["e"], scope: "viewer", action: "edit", text: "key_edit", single: true },
  { keys: ["l"], scope: "viewer", action: "share", text: "key_share", single: true },
  { keys: ["f"], scope: "viewer", action: "full-screen", text: "key_full_screen", single: true },
  { keys: ["Delete"], scope: "viewer", action: "delete", text: "key_delete" },
  { keys: ["Escape"], scope: "viewer", action: "close", text: "key_close" },

  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], scope: "grid", action: "move", text: "key_grid_move", repeats: true },
  { keys: ["Home", "End"], scope: "grid", action: "move", text: "key_grid_ends" },
  { keys: ["Enter"], scope: "grid", action: "open", text: "key_grid_open" },
  { keys: ["x"], scope: "grid", action: "select", text: "key_grid_select", single: true },
  { keys: ["s"], scope: "grid", action: "star", text: "key_star", single: true },
  { keys: ["Shift+1", "Shift+2", "Shift+3", "Shift+4", "Shift+5"], scope: "grid", action: "rate", text: "key_rate", single: true },
  { keys: ["b"], scope: "grid", action: "board", text: "key_board", single: true },
  { keys: ["d"], scope: "grid", action: "download", text: "key_download", single: true },
  { keys: ["e"], scope: "grid", action: "edit", text: "key_edit", single: true },
  { keys: ["Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"], scope: "grid", action: "select-range", text: "key_grid_range", repeats: true },
  { keys: ["Mod+a"], scope: "grid", action: "select-all", text: "key_grid_all" },
]);

/** The table's name of a keystroke, such as `Shift+R`.
 * @param {Keystroke} event @returns {string} */
export function nameOf(event) {
  let key = event.key;
  // A layout without Latin letters: the letter that is printed on the key as well.
  if (/^Key[A-Z]$/.test(event.code) && !/^[\x20-\x7e]$/.test(key) && key.length === 1) key = event.code.slice(3).toLowerCase();
  if (key === " ") key = "Space";
  // A digit's other character depends on the layout; what zooms on one of them still does.
  if (/^Digit[1-5]$/.test(event.code) && /^[^\d+=\-/?]$/.test(key)) return `Shift+${event.code.slice(5)}`;
  const isLetter = /^[a-z]$/i.test(key);
  const isSymbol = key.length === 1 && !isLetter; // which symbols need Shift depends on the layout
  if (isLetter) key = event.shiftKey ? key.toUpperCase() : key.toLowerCase();
  const modifiers = [
    (event.ctrlKey || event.metaKey) && "Mod", event.altKey && "Alt", event.shiftKey && !isSymbol && "Shift",
  ];
  return [...modifiers.filter(Boolean), key].join("+");
}

/** The rating that a keystroke asks for.
 * @param {Keystroke} event */
export function ratingOf(event) {
  return Number(event.code.slice("Digit".length));
}

/** Reads keystrokes; remembers the first key of two. */
export class KeyReader {
  /** @param {readonly KeyRow[]} rows @param {() => boolean} hasSingleKeys whether single keys are switched on */
  constructor(rows = KEYS, hasSingleKeys = () => true) {
    this.rows = rows;
    this.hasSingleKeys = hasSingleKeys;
    this.first = "";
    this.firstAt = -Infinity;
  }

  /** What a keystroke asks for; null if nothing.
   * @param {Keystroke} event @param {Scope[]} scopes the innermost first @param {number} at milliseconds
   * @param {boolean} isTyping whether a field has the focus
   * @returns {KeyRow | null} */
  read(event, scopes, at, isTyping = false) {
    const name = nameOf(event);
    const chord = at - this.firstAt < CHORD_MS ? `${this.first} ${name}` : "";
    this.first = "";
    const rows = this.rows.filter((row) => scopes.includes(row.scope) && (!isTyping || row.inFields)
      && (!row.single || this.hasSingleKeys()) && (!event.repeat || row.repeats));
    const inOrder = scopes.flatMap((scope) => rows.filter((row) => row.scope === scope));
    const match = (chord && inOrder.find((row) => row.keys.includes(chord))) || inOrder.find((row) => row.keys.includes(name));
    if (match) return match;
    if (!event.repeat && inOrder.some((row) => row.keys.some((key) => key.startsWith(`${name} `)))) {
      [this.first, this.firstAt] = [name, at];
    }
    return null;
  }
}

/** The rows of the list that `?` shows, by scope, in the table's order.
 * @param {readonly KeyRow[]} rows
 * @returns {[Scope, KeyRow[]][]} */
export function rowsByScope(rows = KEYS) {
  /** @type {Map<Scope, KeyRow[]>} */
  const groups = new Map();
  for (const row of rows) groups.set(row.scope, [...(groups.get(row.scope) ?? []), row]);
  return [...groups];
}
