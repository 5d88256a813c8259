// What the colours of an explorer depend on, and the colours of the cells of its images.

import { componentsOf, cosineTo, derived, featureOf } from "./data.js";
import { canvasOf } from "./dom.js";
import { showPanels } from "./headings.js";
import { clamp } from "./maths.js";
import { rgbOf, scaleTable } from "./numbers.js";
import { segmentsOf } from "./asking.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/**
 * Features of the picked points in a set, each with its weight in the similarity.
 * @param {Explorer} x
 * @param {number} number
 */
export function picksOf(x, number) {
  const source = x.loaded.get(x.state.picked_in);
  const set = x.setup.sets[number];
  if (!source || !set?.channels) return [];
  if (!x.cloud.features[number]) return [];
  const features = source === x.data ? x.cloud.features[number] : derived(source.arrays, "", `/${number}`, set);
  const weighted = (/** @type {number[]} */ indices, /** @type {number} */ sign) => {
    const found = indices.map((index) => x.pointOf(index, source)).filter((point) => point >= 0)
      .map((point) => featureOf(features, point)).filter((feature) => feature.length > 0);
    return found.map((feature) => ({ feature, weight: sign / found.length }));
  };
  return [...weighted(x.state.picked, 1), ...weighted(x.state.negatives, -1)];
}

/** The table of class colours; hidden classes have alpha 0. @param {Explorer} x @param {string} kind */
function classTable(x, kind) {
  const table = new Uint8Array(1024).fill(255);
  if (kind === "segments") {
    const { series } = x.setup;
    x.queries().forEach((_, i) => table.set([...rgbOf(series[i % series.length]), 255], 4 * i));
    return table;
  }
  const hidden = new Set(x.state.hidden_classes);
  x.classColours().forEach((colour, label) => table.set([...colour, hidden.has(label) ? 0 : 255], 4 * label));
  return table;
}

/**
 * The range of the mode's colours; null: chosen from the scores.
 * @param {Explorer} x @param {import("./content.js").Mode} mode @returns {[number, number] | null}
 */
function limitsOf(x, mode) {
  if (mode.kind !== "similarity") return [mode.low ?? 0, mode.high ?? 1];
  return x.state.similarity_range === "auto" ? null : [x.setup.similarity_low[x.state.cosine], 1];
}

/** Compute the colours of the sets that are shown. @param {Explorer} x */
export function recolour(x) {
  const mode = x.mode();
  const style = x.style();
  const numbers = [...new Set([...x.shownSets(), x.shownSet()])];
  const picks = Object.fromEntries(numbers.map((number) => [number, mode.kind === "similarity" ? picksOf(x, number) : []]));
  if (mode.kind === "segments") colourSegments(x);
  const { picked, negatives, picked_in: from, cosine, hidden_classes: hidden } = x.state;
  const job = {
    mode, picks,
    asked: JSON.stringify([picked, negatives, from, x.loaded.has(from), cosine, x.data.keyframe, hidden]),
    limits: limitsOf(x, mode), classTable: classTable(x, mode.kind), plain: cosine === "plain",
    threshold: ["score", "similarity"].includes(mode.kind) ? x.state.threshold : null,
    components: x.state.components, scale: x.scaleName(), pair: "",
    noValue: style.no_value, correct: style.correct, wrong: style.wrong,
  };
  const [own, other] = x.pairOf();
  for (const number of numbers) x.cloud.colour(number, { ...job, pair: mode.kind === "pair" ? x.pairName(own, other) : "" });
  [x.lastPicks, x.threshold] = [picks, job.threshold];
  x.limits = x.cloud.panels.get(x.shownSet()).limits;
  if (x.cloud.isColoured(x.shownSet())) x.imagesStale = true;
  else x.background.start();
}

/**
 * All points of a large cloud have their colours: images and legend follow.
 * @param {Explorer} x @returns {boolean} whether something was left to do
 */
export function recoloured(x) {
  const { cloud } = x;
  if (x.readVersion === cloud.version) return false;
  x.readVersion = cloud.version;
  x.limits = cloud.panels.get(x.shownSet()).limits;
  x.background.tasks = [
    ...x.shownSets().map((number) => () => { cloud.read(number); }),
    () => { if (!x.legend.isDragged) x.legend.show(); },
    () => showPanels(x),
    ...[...x.pictures, x.largePicture].map((picture) => () => picture?.draw()),
  ];
  return true;
}

/** The best query of each point, on the GPU as a label. @param {Explorer} x */
function colourSegments(x) {
  const queries = x.queries().map((mode) => ({
    scores: x.data.arrays[mode.array] || new Float32Array(x.data.count).fill(-Infinity),
    threshold: x.thresholdOf(mode.name) ?? mode.low + 0.5 * (mode.high - mode.low),
  }));
  x.segments = segmentsOf(queries, x.data.count, x.setup.classes.ignore);
  x.cloud.buffer("segments", x.segments);
}

/**
 * Colours of the cells of an image's feature map, if it has one and the first set is shown.
 * @param {Explorer} x
 * @param {import("./maths.js").Camera} camera
 */
export function mapColours(x, camera) {
  const { kind } = x.mode();
  const number = x.shownSet();
  if (!camera.map_size || number !== 0 || !["features", "similarity"].includes(kind)) return null;
  const picks = x.lastPicks?.[0] || [];
  if (kind === "similarity" && !picks.length) return null;
  const set = x.setup.sets[0];
  const [rows, columns] = camera.map_size;
  const cells = (x.data.cells ||= new Map());
  if (!cells.has(camera.number)) cells.set(camera.number, derived(x.data.arrays, `map/${camera.number}/`, "", set));
  const features = cells.get(camera.number);
  const pixels = new Uint32Array(rows * columns);
  const bytes = new Uint8Array(pixels.buffer);
  const table = scaleTable(x.setup.scales[x.scaleName()]);
  for (let i = 0; i < pixels.length; i++) {
    if (kind === "features") bytes.set([...componentsOf(features, i, set, x.state.components), 255], 4 * i);
    else {
      const score = picks.reduce((sum, { feature, weight }) => sum + weight * cosineTo(feature, features, i, set, x.state.cosine === "plain"), 0);
      if (x.threshold !== null && score < x.threshold) continue;
      const ratio = clamp((score - x.limits[0]) / (x.limits[1] - x.limits[0]), 0, 1);
      const at = 4 * Math.round(ratio * 255);
      bytes.set([...table.subarray(at, at + 3), 255 * (0.35 + 0.65 * ratio)], 4 * i); // similar cells are less transparent
    }
  }
  return { canvas: canvasOf(pixels, columns, rows), cells: true };
}
