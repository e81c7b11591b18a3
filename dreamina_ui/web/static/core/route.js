/* The part of the page's URL behind `#/`: which tab, which filters, which image is open. */

/**
 * @typedef {object} Route
 * @property {string} tab
 * @property {string | null} image `${job_id}/${index}` of the image in the viewer
 * @property {Record<string, string>} query everything else, such as the library's filters
 */

const TABS = ["create", "library", "batch", "admin"];

/**
 * @param {string} hash such as "#/library?q=fox&image=0123/2"
 * @returns {Route | null} null for another kind of fragment, such as a link with settings
 */
export function readRoute(hash) {
  if (hash === "" || hash === "#") return { tab: TABS[0], image: null, query: {} };
  if (!hash.startsWith("#/")) return null;
  const [tab, text = ""] = hash.slice(2).split(/\?(.*)/s);
  const { image = null, ...query } = Object.fromEntries(new URLSearchParams(text));
  return { tab: TABS.includes(tab) ? tab : TABS[0], image, query };
}

/**
 * @param {Route} place
 * @returns {string} such as "#/library?q=fox&image=0123/2"
 */
export function writeRoute({ tab, image, query }) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  if (image) search.set("image", image);
  const text = String(search).replaceAll("%2F", "/");
  return `#/${tab}${text && `?${text}`}`;
}
