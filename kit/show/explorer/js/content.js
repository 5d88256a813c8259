// What an explorer shows: keyframes that are here, modes, feature sets, points by number and by index.

import { pointOfIndex } from "./data.js";
import { same } from "./maths.js";
import { cameraTitle } from "./numbers.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./maths.js").View} View
 * @typedef {{name: string, title: string, kind: string, branch: number, per_set: boolean,
 *   label: string, array: string, column: number, columns: number, query: boolean, low?: number,
 *   high?: number}} Mode see modes.py
 * @typedef {{background: number[], no_value: number[], correct: number[], wrong: number[],
 *   accent: number[], divider: number[], frustum: number[]}} Stage colours, see scales.py
 * @typedef {{modes: Mode[], sets: import("./data.js").FeatureSet[],
 *   classes: {names: string[], colours: Record<string, number[][]>, ignore: number},
 *   pairs: number[][], scales: Record<string, string[]>, colour_maps: string[], series: string[],
 *   pages: Record<string, Stage>, keyframes: {token: string, scene: string, count: number}[],
 *   point_size: {metres: number, least: number, most: number, without_value: number},
 *   similarity_low: Record<string, number>, notes: string[], header: import("./data.js").Header,
 *   can_ask: boolean, state: (keyof State)[], colour_state: string[]}} Setup see payload.py
 * @typedef {{mode: string, feature_set: string, side_by_side: boolean, keyframe: number,
 *   picked: number[], negatives: number[], picked_in: number, cosine: "centred" | "plain",
 *   threshold: number | null, thresholds: Record<string, number>, components: number[], hidden_classes: number[], view: View,
 *   point_size: number, density: number, background: "dark" | "light", shading: boolean,
 *   frusta: boolean, boxes: boolean, colour_map: string, palette: string,
 *   similarity_range: "auto" | "fixed", compare_with: string, swipe_with: string,
 *   swipe: number}} State the traits of widget.py
 */

const MOST_LOADED = 4; // keyframes that are kept decoded

export class Content {
  /** @type {Setup} */
  setup;
  /** @type {State} */
  state;
  /** @type {Data | null} */
  data;
  /** @type {Map<number, Data>} */
  loaded = new Map();
  /** @type {import("./painter.js").Painter | null} */
  cloud;
  /** @type {import("./steps.js").Steps} */
  steps;

  /** Keep a keyframe decoded, and forget those not shown for longest. @param {Data} data */
  remember(data) {
    this.loaded.delete(data.keyframe);
    this.loaded.set(data.keyframe, data);
    for (const [number, old] of this.loaded) {
      if (this.loaded.size <= MOST_LOADED) break;
      if (old === this.data || old === data || number === this.state.picked_in) continue;
      this.forget(old);
      this.loaded.delete(number);
    }
  }

  /** @param {Data} data */
  forget(data) {
    for (const bitmap of data.bitmaps?.values() || []) bitmap.then((each) => each?.close());
  }

  /**
   * A camera's photograph, decoded once; null if it cannot be read.
   * @this {Explorer} @param {Data} data @param {number} number @returns {Promise<ImageBitmap | null>}
   */
  bitmapOf(data, number) {
    const bitmaps = (data.bitmaps ||= new Map());
    const blob = () => new Blob([/** @type {BlobPart} */ (data.arrays[`image/${number}`])]);
    /** @returns {null} */
    const failed = () => {
      const { name } = data.cameras.find((camera) => camera.number === number);
      this.tell(`image ${name}`, `The image of ${cameraTitle(name)} cannot be read`);
      return null;
    };
    if (!bitmaps.has(number)) bitmaps.set(number, createImageBitmap(blob()).catch(failed));
    return bitmaps.get(number);
  }

  mode() {
    return this.setup.modes.find((mode) => mode.name === this.state.mode) || this.setup.modes[0];
  }

  /** The threshold of a mode, whose name can be any text; null: none. @param {string} name */
  thresholdOf(name) {
    const { thresholds } = this.state;
    return Object.hasOwn(thresholds, name) ? thresholds[name] : null;
  }

  /** Modes of queries that were asked in words. */
  queries() {
    return this.setup.modes.filter(({ query }) => query);
  }

  shownSet() {
    return Math.max(this.setup.sets.findIndex((set) => set.name === this.state.feature_set), 0);
  }

  isSwiped() {
    const { swipe_with: other, side_by_side: all } = this.state;
    return Boolean(other) && !all && this.mode().per_set && this.setup.sets.findIndex(({ name }) => name === other) !== this.shownSet();
  }

  /** Sets that are drawn, by number: several only where the mode depends on the set. */
  shownSets() {
    const { sets } = this.setup;
    if (this.isSwiped()) return [this.shownSet(), sets.findIndex(({ name }) => name === this.state.swipe_with)];
    const all = this.state.side_by_side && this.mode().per_set && sets.length > 1;
    return all ? this.steps.entries.map((entry) => this.steps.current(entry)) : [this.shownSet()];
  }

  /** Show one set, all side by side, or two with a line between them. @this {Explorer} @param {string} value */
  compare(value) {
    const other = /^swipe:([^]*)$/.exec(value)?.[1] ?? "";
    const own = this.setup.sets[this.shownSet()].name;
    /** @type {Partial<State>} */
    const changes = { side_by_side: value === "side", swipe_with: other };
    if (other && other === own) changes.feature_set = this.setup.sets.find(({ name }) => name !== other).name;
    this.change(changes);
  }

  /** The array of the cosines of two sets, or null. @param {string} a @param {string} b */
  pairName(a, b) {
    const [i, j] = [a, b].map((name) => this.setup.sets.findIndex((set) => set.name === name)).sort((p, q) => p - q);
    return this.setup.pairs.some((pair) => same(pair, [i, j])) ? `agreement/${i}/${j}` : null;
  }

  /** The shown set, and the one it is compared with. */
  pairOf() {
    const own = this.setup.sets[this.shownSet()]?.name;
    const { compare_with: asked } = this.state;
    const other = this.pairName(own, asked) ? asked : this.setup.sets.find(({ name }) => name !== own && this.pairName(own, name))?.name;
    return [own, other ?? ""];
  }

  /** @param {number} number of the feature set */
  hasFeature(number) {
    const length = this.cloud?.features[number]?.length;
    const isShown = this.visibility(number);
    return (/** @type {number} */ point) => Boolean(length) && length[point] > 0 && isShown(point);
  }

  /** @param {number} point */
  indexOf(point) {
    return this.data.arrays.index ? this.data.arrays.index[point] : point;
  }

  /** @param {number} index */
  pointOf(index, data = this.data) {
    return pointOfIndex(data, index);
  }

  /** A function of a point: whether the class it is coloured by is not hidden. @param {number} number of the feature set */
  visibility(number = this.shownSet()) {
    const { kind } = this.mode();
    const hidden = new Set(this.state.hidden_classes);
    const { labels } = this.data.arrays;
    const predicted = this.data.arrays[`predicted/${number}`];
    const classes = kind === "segments" ? null : kind === "predictions" ? predicted : labels;
    if (!classes || !hidden.size) return () => true;
    return (/** @type {number} */ point) => !hidden.has(classes[point]);
  }

  /** A flag for each point: whether a camera sees it. @param {number} number of the camera */
  seenBy(number) {
    const seen = (this.data.seen ||= new Map());
    if (!seen.has(number)) {
      const flags = new Uint8Array(this.data.count);
      for (const point of this.data.arrays[`pairs/${number}/point`]) flags[point] = 1;
      seen.set(number, flags);
    }
    return seen.get(number);
  }

  classColours() {
    return this.setup.classes.colours[this.state.palette];
  }

  /** The name of the colour scale of the mode. */
  scaleName() {
    const { kind, query } = this.mode();
    return `${kind === "similarity" || query ? "similarity" : this.state.colour_map} ${this.state.background}`;
  }

  /** How many points each class has. @param {string} what labels or predictions */
  classCounts(what) {
    const name = what === "labels" ? "labels" : `predicted/${this.shownSet()}`;
    /** @type {Record<number, number>} */
    const counts = {};
    for (const label of this.data.arrays[name] || []) counts[label] = (counts[label] || 0) + 1;
    return counts;
  }

  errorCounts() {
    const { arrays } = this.data;
    const predicted = arrays[`predicted/${this.shownSet()}`];
    const { ignore } = this.setup.classes;
    let [correct, wrong] = [0, 0];
    if (!arrays.labels || !predicted) return { correct, wrong };
    arrays.labels.forEach((label, i) => {
      if (label === ignore || predicted[i] === ignore) return;
      if (label === predicted[i]) correct++;
      else wrong++;
    });
    return { correct, wrong };
  }
}
