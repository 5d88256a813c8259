// Points selected by a box in an image or by a lasso in the cloud, and their statistics.

import { meanCosine, nearestTo, surfaceOf } from "./data.js";
import { button, icon, make, press, row, slider } from "./dom.js";
import { pointsInside } from "./finding.js";
import { cameraTitle, countOf, plainNumber, withCommas } from "./numbers.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {{picture: Picture, box: number[][], limit: number, most: number, count: number}} Source
 */

const MOST_CLASSES = 5; // of the statistics
const NEAREST = 100; // points outside of the selection whose classes are counted

export class Selection {
  /** @param {Explorer} explorer */
  constructor(explorer) {
    this.explorer = explorer;
    /** @type {Set<number>} */
    this.numbers = new Set();
    /** @type {Source | null} the box that the points come from */
    this.source = null;
    this.card = make("div", "kx-card kx-selection");
    this.card.hidden = true;
  }

  /**
   * Points in a box of an image, only those at the surface that the camera sees.
   * @param {Picture} picture @param {number[][]} box @param {number | null} farthest metres
   */
  ofBox(picture, box, farthest = null) {
    const inside = picture.inside(box);
    const { kept, farthest: limit } = surfaceOf(inside, farthest);
    const depths = inside.map(({ depth }) => depth);
    this.source = { picture, box, limit, most: depths.length ? Math.max(...depths) : 0, count: inside.length };
    this.explorer.select(Int32Array.from(kept, ({ point }) => point), picture.camera.name);
  }

  /**
   * Points under a lasso, corners in CSS pixels of a panel.
   * @param {number[][]} corners @param {import("./painter.js").Panel} panel
   */
  ofLasso(corners, panel) {
    const { explorer } = this;
    if (!explorer.cloud) return;
    const ratio = explorer.pixels;
    const [width, height] = [panel.width / ratio, panel.height / ratio];
    const matrix = explorer.cloud.matrixOf(explorer.state.view, panel);
    const { position } = explorer.data.arrays;
    this.source = null;
    explorer.select(pointsInside(position, matrix, width, height, corners, explorer.visibility(panel.number)), "cloud");
  }

  /** @param {Int32Array} points numbers of the points, among those drawn */
  set(points) {
    this.numbers = new Set(points);
    if (!points.length) this.source = null;
    this.show(points);
  }

  clear() {
    if (this.numbers.size) this.explorer.select(new Int32Array(0), "cloud");
  }

  /** @param {Int32Array} points */
  show(points) {
    const { card, explorer, source } = this;
    card.hidden = !points.length;
    if (!points.length) return card.replaceChildren();
    const title = source ? `${withCommas(points.length)} points in ${cameraTitle(source.picture.camera.name)}` : `${withCommas(points.length)} points`;
    const clear = button(icon("close"), "Clear the selection (Escape)", () => this.clear(), "kx-tool kx-clear");
    /** @type {Node[]} */
    const rows = [make("div", "kx-card-head", make("strong", "", title), clear)];
    if (source) rows.push(...this.depthRows());
    card.replaceChildren(...rows, ...statisticRows(explorer, points));
  }

  /** How deep the box reaches, and whether it takes points behind others. */
  depthRows() {
    const { picture, box, limit, most } = this.source;
    const again = (/** @type {number | null} */ farthest) => this.ofBox(picture, box, farthest);
    const through = limit === Infinity;
    const input = slider(0, Math.ceil(most), 0.5, through ? most : limit, "The box takes points up to this depth", (value) => again(value));
    const { node } = row("depth to", input, through ? "all" : `${plainNumber(limit)} m`);
    const all = press(button("through", "Take points behind others too", () => again(through ? null : Infinity)), through);
    node.append(make("span", "kx-segments", all));
    return [node];
  }
}

/** Classes, heights and the mean cosine of selected points. @param {Explorer} explorer @param {Int32Array} points */
function statisticRows(explorer, points) {
  const { arrays } = explorer.data;
  const heights = Float32Array.from(points, (point) => arrays.position[3 * point + 2]).sort();
  const rows = [];
  if (arrays.labels) rows.push(...classBars(explorer, countOf(points.map((point) => arrays.labels[point])), points.length));
  const facts = [`height ${plainNumber(heights[0])} to ${plainNumber(heights.at(-1))} m`];
  const features = explorer.cloud?.features[explorer.shownSet()];
  const cosine = features && meanCosine(features, points);
  if (cosine !== null && features) facts.push(`mean cosine ${cosine.toFixed(2)} (${explorer.setup.sets[explorer.shownSet()].name})`);
  return [...rows, make("p", "kx-small", facts.join(" · ")), ...nearestRows(explorer, points)];
}

/** The classes of the points outside of a selection that are most similar to it. @param {Explorer} explorer @param {Int32Array} points */
function nearestRows(explorer, points) {
  const { labels } = explorer.data.arrays;
  const features = explorer.cloud?.features[explorer.shownSet()];
  const nearest = labels && features ? nearestTo(features, points, NEAREST) : [];
  if (!nearest.length) return [];
  const counts = countOf(nearest.map((point) => labels[point]));
  const title = `Nearest outside (${nearest.length} points)`;
  return [make("p", "kx-small", title), make("div", "kx-nearest", ...classBars(explorer, counts.slice(0, 3), nearest.length))];
}

/** @param {Explorer} explorer @param {[number, number][]} counts label and count, the most frequent first @param {number} total */
export function classBars(explorer, counts, total) {
  const { names } = explorer.setup.classes;
  return counts.slice(0, MOST_CLASSES).map(([label, count]) => {
    const bar = make("span", "kx-bar-fill");
    bar.style.width = `${(100 * count) / total}%`;
    const [red, green, blue] = explorer.classColours()[label] || [128, 128, 128];
    bar.style.background = `rgb(${red}, ${green}, ${blue})`;
    return make("div", "kx-stat", make("span", "kx-name", names[label] || "not scored"), make("span", "kx-bar-track", bar), make("span", "kx-value", withCommas(count)));
  });
}
