/* What the server says to the Admin tab: `spending/dashboard.py`. Nothing runs here. */

/**
 * @typedef {object} Spent
 * @property {number} jobs
 * @property {number} billed_jobs
 * @property {number} billed_usd
 * @property {number} foreseen_usd
 * @property {number} open_jobs
 * @property {number} open_usd
 * @property {number} unknown_jobs
 */

/** @typedef {{name: string, most: number | null, at_start: number | null, used: number}} Limit */
/** @typedef {{kind: string, name: string, since: number}} BlockedEntry */
/** @typedef {Record<string, any>} Guest a visitor, or the programs of an IP address */
/** @typedef {{first_at: number, last_at: number, count: number, jobs: string[], state: string, problem: string, detail: string | null}} ErrorGroup */

/**
 * @typedef {object} Overview
 * @property {{stops: {reason: string, since: number}[], shut_out: BlockedEntry[], words: string[], names: Record<string, string>}} rules
 * @property {boolean} price_is_missing
 * @property {boolean} signed_in
 * @property {Spent} today
 * @property {Spent} month
 * @property {Limit[]} limits
 * @property {Record<string, number>} states
 * @property {Guest[]} guests
 * @property {number} visitors
 * @property {ErrorGroup[]} troubles
 * @property {string[]} you hashes that are the owner's own, and cannot be blocked
 * @property {Record<string, Record<string, number | null>>} presets limits by name
 * @property {{amount: number | null, currency: string, read_at: number | null, is_low: boolean, problem: string | null} | null} balance
 * @property {{read_at: number | null, problem: string | null, models: number, left_out: Record<string, number>, offered: string[]}} catalog
 * @property {{title: string, text: string, lines: string[]}[]} notices
 */

/** @typedef {(node: HTMLButtonElement, control: string, body: object, done?: string) => Promise<boolean>} Change */

export {};
