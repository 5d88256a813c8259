// The WebGL contexts of all explorers on a page. Browsers allow about 16 and take away the oldest;
// so explorers that are out of sight give theirs back, keep a still picture, and draw again when
// they are looked at.

const MOST_CONTEXTS = 8; // contexts of explorers on one page
const KEY = Symbol.for("kit.explorers");

/** The explorers with a context, the one looked at last at the end; shared by all scripts of the page. */
function living() {
  return (globalThis[KEY] ||= []);
}

/** An explorer got a context, or is looked at: others may have to give theirs back. */
export function looked(x) {
  const all = living();
  const at = all.indexOf(x);
  if (at >= 0) all.splice(at, 1);
  all.push(x);
  const hidden = all.filter((each) => each !== x && !each.visible);
  const spare = all.length - MOST_CONTEXTS;
  for (const each of hidden.slice(0, Math.max(spare, 0))) each.rest();
}

/** An explorer has no context any more. */
export function gone(x) {
  const all = living();
  const at = all.indexOf(x);
  if (at >= 0) all.splice(at, 1);
}

/** How many explorers of the page have a context. */
export const countLiving = () => living().length;
