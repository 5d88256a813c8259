// The names over the panels, and the place of the line between two of them.

import { make } from "./dom.js";
import { rangesOf } from "./swatches.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/** Names over the panels, and the line of a swipe. @param {Explorer} x */
export function showPanels(x) {
  const shown = x.shownSets();
  const swiped = x.isSwiped();
  const ranges = rangesOf(x);
  const heading = (/** @type {number} */ number, /** @type {number} */ i) => make("span", "", x.setup.sets[number].name, ...ranges.slice(i, i + 1).map(({ range }) => make("small", "", range)));
  x.headings.replaceChildren(...(shown.length > 1 ? shown : []).map((number, i) => make("div", "kx-heading", heading(number, i))));
  x.headings.style.gridTemplateColumns = swiped ? `minmax(0, ${x.state.swipe}fr) minmax(0, ${1 - x.state.swipe}fr)` : "";
  x.swipeNode.hidden = !swiped;
  if (!swiped) return;
  x.swipeNode.style.left = `${100 * x.state.swipe}%`;
  x.swipeNode.setAttribute("aria-valuenow", String(Math.round(100 * x.state.swipe)));
}
