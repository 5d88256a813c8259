// The arrays of a keyframe, quantised features, and the cosine between them.

import { clamp } from "./maths.js";
import { bestOf } from "./numbers.js";
import { atOnce } from "./slices.js";

/**
 * @typedef {Float32Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array} Numbers
 * @typedef {{type: Kind, start: number, count: number} & Partial<Coding>} Place of an array in the
 *   bytes of a keyframe
 * @typedef {{stored: Kind, columns: number, delta: boolean, step?: number, low?: number, to?: Kind,
 *   none?: number}} Coding see compact.py
 * @typedef {{name: string, label: number, corners: number[][], top: number[]}} Box
 * @typedef {{keyframe: number, count: number, spread: number, part: number, missing: string[], boxes: Box[],
 *   cameras: import("./maths.js").Camera[], arrays: Record<string, Place>}} Header see payload.py; where
 *   `part` is less than the count, points are in the order of order.py and come part by part
 * @typedef {{position: Float32Array, intensity: Float32Array, index?: Int32Array,
 *   labels?: Uint8Array, colour?: Uint8Array} & Record<string, Numbers>} Arrays
 * @typedef {{arrays: Arrays, bitmaps?: Map<number, Promise<ImageBitmap | null>>,
 *   even: boolean, seen?: Map<number, Uint8Array>, cells?: Map<number, Features>, places?: Int32Array}} Decoded
 * @typedef {Omit<Header, "arrays"> & Decoded} Data a keyframe that is here
 * @typedef {{direction: Int8Array, scale: Float32Array, length: Float32Array, channels: number,
 *   mean: Float64Array, rest: Float32Array}} Features rest: scale, length, norm and part along the
 *   mean of each point, as far as `derive` was called
 * @typedef {{own: Float32Array, length: number, norm: number, along: number}} Feature
 * @typedef {{name: string, predictions: boolean, channels: number, width: number, mean: number[],
 *   mean_square: number, error_mean: number, error_99: number, component_weights: number[],
 *   component_starts: number[], group?: string, label?: string}} FeatureSet see payload.py; without
 *   features only name and channels 0
 */

/** @typedef {"float32" | "int32" | "int16" | "int8" | "uint8" | "uint16"} Kind of numbers */

const MOST_COMPARED = 100_000; // points that are compared with a selection

const ARRAYS = {
  float32: Float32Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
};

/**
 * The arrays of a keyframe's payload, as views into its bytes.
 * @param {Header} header @param {Uint8Array} bytes
 */
export const decode = (header, bytes) => atOnce(decoding(header, bytes));

/**
 * The same as a generator, for `inSlices`.
 * @param {Header} header @param {Uint8Array} bytes @returns {Generator<unknown, Data>}
 */
export function* decoding(header, bytes) {
  const aligned = bytes.byteOffset % 4 ? bytes.slice() : bytes;
  const arrays = Object.create(null); // names of scores come from data: nothing is inherited
  for (const [name, place] of Object.entries(header.arrays)) {
    const { type, start, count } = place;
    const { buffer, byteOffset } = aligned;
    if (place.stored) arrays[name] = yield* unpacking(new Uint8Array(buffer, byteOffset + start, count), /** @type {Coding} */ (place));
    else arrays[name] = new ARRAYS[type](/** @type {ArrayBuffer} */ (buffer), byteOffset + start, count);
  }
  return { ...header, arrays, even: header.part < header.count };
}

/** Bytes of a payload: its arrays, each filled up to a multiple of four. @param {Header} header */
export function sizeOf({ arrays }) {
  const ends = Object.values(arrays).map(({ type, start, count }) => start + count * ARRAYS[type].BYTES_PER_ELEMENT);
  return 4 * Math.ceil(Math.max(0, ...ends) / 4);
}

/**
 * An array of a saved page, see compact.py: planes of bytes for each column, differences from row to
 * row, steps of numbers.
 * @param {Uint8Array} planes @param {Coding} coding
 */
export const unpack = (planes, coding) => atOnce(unpacking(planes, coding));

/** @param {Uint8Array} planes @param {Coding} coding @returns {Generator<unknown, Numbers>} */
function* unpacking(planes, { stored, columns, delta, step, low = 0, to, none }) {
  const Stored = ARRAYS[stored];
  const size = Stored.BYTES_PER_ELEMENT;
  const rows = planes.length / size / columns;
  const values = new Stored(rows * columns);
  const bytes = new Uint8Array(values.buffer);
  for (let column = 0, at = 0; column < columns; column++) {
    for (let byte = 0; byte < size; byte++) {
      for (let row = 0; row < rows; row++) bytes[size * (row * columns + column) + byte] = planes[at++];
      yield;
    }
  }
  if (delta) for (let i = columns; i < values.length; i++) values[i] += values[i - columns];
  if (!step) return values;
  const scaled = new ARRAYS[to || "float32"](values.length);
  for (let i = 0; i < values.length; i++) {
    scaled[i] = values[i] === none ? -32768 : low + values[i] * step;
    if (i % 1_000_000 === 0) yield;
  }
  return scaled;
}

/**
 * Quantised features with what the cosine needs: scale, length, norm, part along the mean.
 * @param {Record<string, Numbers>} arrays @param {string} prefix @param {string} suffix of their names
 * @param {{channels: number, mean: number[]}} set @returns {Features}
 */
export function derived(arrays, prefix, suffix, set) {
  const features = featuresOf(arrays, prefix, suffix, set);
  derive(features, 0, features.scale.length);
  return features;
}

/**
 * The same without `rest`, which `derive` computes.
 * @param {Record<string, Numbers>} arrays @param {string} prefix @param {string} suffix of their names
 * @param {{channels: number, mean: number[]}} set @returns {Features}
 */
export function featuresOf(arrays, prefix, suffix, set) {
  const direction = /** @type {Int8Array} */ (arrays[`${prefix}direction${suffix}`]);
  const scale = /** @type {Float32Array} */ (arrays[`${prefix}scale${suffix}`]);
  const length = /** @type {Float32Array} */ (arrays[`${prefix}length${suffix}`]);
  const rest = new Float32Array(4 * scale.length);
  return { direction, scale, length, rest, channels: set.channels, mean: Float64Array.from(set.mean) };
}

/**
 * Compute what the cosine of points needs.
 * @param {Features} features @param {number} from @param {number} to number of the point behind the last
 */
export function derive({ direction, scale, length, rest, channels, mean }, from, to) {
  for (let i = from, at = from * channels; i < to; i++) {
    let [square, along] = [0, 0];
    for (let k = 0; k < channels; k++, at++) {
      const value = direction[at];
      square += value * value;
      along += value * mean[k];
    }
    rest[4 * i] = scale[i];
    rest[4 * i + 1] = length[i];
    rest[4 * i + 2] = scale[i] * Math.sqrt(square);
    rest[4 * i + 3] = length[i] * scale[i] * along;
  }
}

/**
 * The coordinates of one point, copied: a pick stays when another keyframe is shown.
 * @param {Features} features @param {number} point @returns {Feature}
 */
export function featureOf(features, point) {
  derive(features, point, point + 1);
  const { direction, rest, channels } = features;
  const [scale, length, norm, along] = rest.subarray(4 * point, 4 * point + 4);
  const own = direction.subarray(channels * point, channels * (point + 1));
  return { own: Float32Array.from(own, (value) => value * scale), length, norm, along };
}

/**
 * The cosine as the shader computes it, for the cells of images.
 * @param {Feature} pick @param {Features} features
 * @param {number} i @param {{mean_square: number}} set @param {boolean} plain
 */
export function cosineTo(pick, features, i, set, plain) {
  const { direction, rest, channels } = features;
  const [scale, length, norm, along] = rest.subarray(4 * i, 4 * i + 4);
  let product = 0;
  for (let k = 0; k < channels; k++) product += pick.own[k] * direction[channels * i + k];
  product *= scale;
  const within = clamp(product / Math.max(pick.norm * norm, 1e-9), 0, 1);
  const left = Math.sqrt(Math.max(1 - pick.norm ** 2, 0)) * Math.sqrt(Math.max(1 - norm ** 2, 0));
  const centred = product + left * within ** 4;
  return plain ? set.mean_square + pick.along + along + pick.length * length * centred : centred;
}

/**
 * Red, green and blue (0..255) of a feature: three components of the colours' basis.
 * @param {Features} features @param {number} i
 * @param {{component_starts: number[], component_weights: number[]}} set
 * @param {number[]} components
 */
export function componentsOf({ direction, rest, channels }, i, set, components) {
  const times = rest[4 * i] * rest[4 * i + 1];
  return components.map((component) => {
    if (component >= set.component_starts.length) return 128;
    let sum = 0;
    for (let k = 0; k < channels; k++) sum += direction[channels * i + k] * set.component_weights[component * channels + k];
    return Math.round(clamp(set.component_starts[component] + sum * times, 0, 1) * 255);
  });
}

/**
 * Mean of the unit features of points; null if none has one.
 * @param {Features} features @param {Iterable<number>} points
 */
function meanDirection({ direction, rest, channels }, points) {
  const sum = new Float64Array(channels);
  let count = 0;
  for (const point of points) {
    const [scale, length, norm] = rest.subarray(4 * point, 4 * point + 3);
    if (!length) continue;
    for (let k = 0; k < channels; k++) sum[k] += (direction[channels * point + k] * scale) / norm;
    count++;
  }
  return count ? sum.map((value) => value / count) : null;
}

/**
 * Mean cosine of the features of points to each other: the square of the mean direction's length.
 * @param {Features} features @param {Iterable<number>} points
 */
export const meanCosine = (features, points) => meanDirection(features, points)?.reduce((all, value) => all + value ** 2, 0) ?? null;

/**
 * The points, but for the given ones, with the largest mean cosine to the given ones; of a large cloud
 * among every so many points.
 * @param {Features} features @param {Int32Array} points @param {number} k how many
 */
export function nearestTo(features, points, k) {
  const { direction, rest, channels } = features;
  const mean = meanDirection(features, points);
  if (!mean) return [];
  const count = rest.length / 4;
  const given = new Set(points);
  const scores = new Float32Array(count).fill(-Infinity);
  for (let point = 0, step = Math.ceil(count / MOST_COMPARED); point < count; point += step) {
    const [scale, length, norm] = [rest[4 * point], rest[4 * point + 1], rest[4 * point + 2]];
    if (!length || given.has(point)) continue;
    let sum = 0;
    for (let i = 0, at = channels * point; i < channels; i++) sum += mean[i] * direction[at + i];
    scores[point] = (sum * scale) / norm;
  }
  return bestOf(scores, k, (point) => scores[point] > -Infinity);
}

/**
 * Mean of the cosines of two sets over the points that have both features; null without any.
 * @param {Numbers | undefined} steps of 1/32,767; -32,768 where one of the features is missing
 */
export function meanAgreement(steps) {
  let [sum, count] = [0, 0];
  for (const step of steps || []) {
    if (step === -32768) continue;
    sum += step;
    count++;
  }
  return count ? sum / count / 32767 : null;
}

/**
 * The number of a point among those drawn by its index in the keyframe; -1 if it is not drawn.
 * @param {{count: number, even?: boolean, arrays: {index?: Int32Array}, places?: Int32Array}} data
 * @param {number} index
 */
export function pointOfIndex(data, index) {
  const { index: drawn } = data.arrays;
  if (!drawn) return index < data.count ? index : -1;
  if (data.even) return placesOf(data)[index] ?? -1;
  let [low, high] = [0, drawn.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (drawn[middle] < index) low = middle + 1;
    else high = middle;
  }
  return drawn[low] === index ? low : -1;
}

/**
 * The numbers of points by their index, -1 for those that are not drawn: computed once.
 * @param {{arrays: {index?: Int32Array}, places?: Int32Array}} data
 */
function placesOf(data) {
  if (data.places) return data.places;
  const { index } = data.arrays;
  let most = 0;
  for (let point = 0; point < index.length; point++) most = Math.max(most, index[point]);
  data.places = new Int32Array(most + 1).fill(-1);
  for (let point = 0; point < index.length; point++) data.places[index[point]] = point;
  return data.places;
}

/**
 * The points of a box in an image that lie at its surface: in each small cell those not far behind
 * the nearest, and none beyond `farthest`. Without it, about the depth of the nearest quarter.
 * @param {{point: number, x: number, y: number, depth: number}[]} pairs x and y in screen pixels,
 *   depth in metres
 * @param {number | null} farthest metres; Infinity: also points behind others
 */
export function surfaceOf(pairs, farthest) {
  if (!pairs.length || farthest === Infinity) return { kept: pairs, farthest: Infinity };
  const CELL = 6;
  const nearest = new Map();
  const keyOf = (/** @type {number} */ x, /** @type {number} */ y) => `${Math.floor(x / CELL)},${Math.floor(y / CELL)}`;
  for (const { x, y, depth } of pairs) {
    const key = keyOf(x, y);
    nearest.set(key, Math.min(nearest.get(key) ?? Infinity, depth));
  }
  const front = pairs.filter(({ x, y, depth }) => {
    let least = Infinity;
    for (const dx of [-CELL, 0, CELL]) for (const dy of [-CELL, 0, CELL]) least = Math.min(least, nearest.get(keyOf(x + dx, y + dy)) ?? Infinity);
    return depth <= least * 1.08 + 0.6;
  });
  const depths = front.map(({ depth }) => depth).sort((a, b) => a - b);
  const limit = farthest ?? depths[Math.floor(depths.length / 4)] * 1.15 + 1.5;
  return { kept: front.filter(({ depth }) => depth <= limit), farthest: limit };
}
