// Explorers of one page that share view, keyframe and picks: see linking.py. A drag moves all of them
// at once; that their values are equal in Python, too, is Python's part.

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./content.js").State} State
 */

const LINKED = /** @type {const} */ (["keyframe", "negatives", "picked", "picked_in", "view"]);
const ALL = Symbol.for("kit.linked");

/** All explorers of the page, also those of other scripts. @returns {Set<Explorer>} */
function onPage() {
  const page = /** @type {Record<symbol, Set<Explorer>>} */ (/** @type {unknown} */ (globalThis));
  return (page[ALL] ||= new Set());
}

/** @param {Explorer} x */
export const enter = (x) => onPage().add(x);

/** @param {Explorer} x */
export const leave = (x) => onPage().delete(x);

/** @param {Explorer} x */
function othersOf(x) {
  const group = x.model.get("linked");
  return group ? [...onPage()].filter((other) => other !== x && other.model.get("linked") === group) : [];
}

/** The view is being moved: the others follow in the same frame. @param {Explorer} x */
export function moveOthers(x) {
  for (const other of othersOf(x)) {
    other.flight = null;
    other.state.view = { ...x.state.view };
    other.followed = undefined;
    if (other.follow.value) other.follow.value = "";
    other.setMoving();
    other.redraw();
  }
}

/** Values were changed: the others get them. @param {Explorer} x @param {string[]} names @param {(x: Explorer) => void} fly to a new view */
export function changeOthers(x, names, fly) {
  const linked = LINKED.filter((name) => names.includes(name));
  for (const other of linked.length ? othersOf(x) : []) {
    if (linked.includes("view")) fly(other);
    for (const name of linked) {
      const value = structuredClone(x.state[name]);
      Object.assign(other.state, { [name]: value });
      other.model.set(name, value);
    }
    other.refresh(linked);
  }
}
