// The WebGL contexts of all explorers on a page. Browsers allow about 16 and take away the oldest;
// so explorers that are out of sight give theirs back, keep a still picture, and draw again when
// they are in sight again.

/** @typedef {import("./explorer.js").Explorer} Explorer */

const MOST_CONTEXTS = 8; // of explorers on one page, while others are out of sight
const LIMIT = 14; // also of those in sight
const KEY = Symbol.for("kit.explorers");

/**
 * The explorers with a context, in the order in which they were last used; shared by all scripts of the page.
 * @returns {Explorer[]}
 */
function living() {
  const page = /** @type {Record<symbol, Explorer[]>} */ (/** @type {unknown} */ (globalThis));
  return (page[KEY] ||= []);
}

/**
 * An explorer got a context, or is used: others may have to give theirs back.
 * @param {Explorer} x
 */
export function markInUse(x) {
  const all = living();
  const at = all.indexOf(x);
  if (at >= 0) all.splice(at, 1);
  all.push(x);
  const others = all.filter((each) => each !== x);
  const hidden = others.filter((each) => !inSight(each));
  const spare = hidden.slice(0, Math.max(all.length - MOST_CONTEXTS, 0));
  for (const each of spare) each.giveBack();
  for (const each of others.filter((other) => !spare.includes(other)).slice(0, Math.max(living().length - LIMIT, 0))) each.giveBack();
}

/** Whether an explorer lies in the window, or so close that it soon will. @param {Explorer} x */
function inSight({ stage }) {
  const { top, bottom, width } = stage.getBoundingClientRect();
  return width > 0 && bottom > -100 && top < window.innerHeight + 100;
}

/** An explorer has no context any more. @param {Explorer} x */
export function gone(x) {
  const all = living();
  const at = all.indexOf(x);
  if (at >= 0) all.splice(at, 1);
}
