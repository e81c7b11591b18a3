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
/** @typedef {{at: number, job: string, state: string, problem: string, detail: string | null}} RecentError */

/**
 * @typedef {object} Overview
 * @property {{stops: {reason: string, since: number}[], shut_out: BlockedEntry[], words: string[]}} rules
 * @property {boolean} price_is_missing
 * @property {boolean} signed_in
 * @property {Spent} today
 * @property {Spent} month
 * @property {Limit[]} limits
 * @property {Record<string, number>} states
 * @property {Guest[]} guests
 * @property {number} visitors
 * @property {RecentError[]} troubles
 * @property {{title: string, text: string, lines: string[]}[]} notices
 */

/** @typedef {(node: HTMLButtonElement, control: string, body: object, done?: string) => Promise<boolean>} Change */

export {};
