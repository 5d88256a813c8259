// Numbers and names as text, colours of scales, statistics of scores.

import { clamp } from "./maths.js";

/** @param {number} value */
export const plainNumber = (value) =>
  Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);

/** @param {number} count */
export const withCommas = (count) => count.toLocaleString("en-US");

/** @param {string} name of a camera, e.g. CAM_FRONT_LEFT */
export const cameraTitle = (name) => name.replace(/^CAM_/, "").replaceAll("_", " ").toLowerCase();

/** @param {string} hex "#rrggbb" */
export const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Red, green and blue from 0..255 to 0..1. @param {number[]} rgb */
export const ratios = (rgb) => rgb.map((value) => value / 255);

/**
 * 256 colours between evenly spaced stops, four bytes each.
 * @param {string[]} stops
 */
export function scaleTable(stops) {
  const colours = stops.map(rgbOf);
  const table = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (colours.length - 1);
    const left = Math.min(Math.floor(at), colours.length - 2);
    for (let c = 0; c < 3; c++) {
      const [low, high] = [colours[left][c], colours[left + 1][c]];
      table[4 * i + c] = Math.round(low + (high - low) * (at - left));
    }
    table[4 * i + 3] = 255;
  }
  return table;
}

/**
 * The range of a similarity: from the median, which is dim, to the largest but for two in a thousand.
 * @param {ArrayLike<number>} scores @param {(i: number) => boolean} has
 * @returns {[number, number]}
 */
export function similarityLimits(scores, has) {
  const step = Math.max(1, Math.floor(scores.length / 50_000));
  const kept = [];
  for (let i = 0; i < scores.length; i += step) if (has(i)) kept.push(scores[i]);
  if (!kept.length) return [0, 1];
  const sorted = Float32Array.from(kept).sort();
  const low = percentile(sorted, 0.5);
  return [low, Math.max(percentile(sorted, 0.998), low + 0.02)];
}

/** @param {ArrayLike<number>} sorted @param {number} ratio 0 to 1 */
export function percentile(sorted, ratio) {
  const at = ratio * (sorted.length - 1);
  const left = Math.floor(at);
  const right = Math.min(left + 1, sorted.length - 1);
  return sorted[left] + (sorted[right] - sorted[left]) * (at - left);
}

/**
 * The points with the largest scores, the best first.
 * @param {ArrayLike<number>} scores @param {number} k @param {(i: number) => boolean} has
 */
export function bestOf(scores, k, has) {
  /** @type {number[]} */
  let found = [];
  let bound = -Infinity;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] <= bound || !has(i)) continue;
    found.push(i);
    if (found.length < 4 * k) continue;
    found = found.sort((a, b) => scores[b] - scores[a]).slice(0, k);
    bound = scores[found[k - 1]];
  }
  return found.sort((a, b) => scores[b] - scores[a]).slice(0, k);
}

/**
 * How often each value occurs, the most frequent first.
 * @param {Iterable<number>} values @returns {[number, number][]} value and count
 */
export function countOf(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/**
 * The ratio of points to draw, so that a frame takes about `target` milliseconds.
 * @param {number} ratio of the last frame @param {number} spent on it, milliseconds
 * @param {number} least ratio
 */
export function nextRatio(ratio, spent, target = 28, least = 0.02) {
  return clamp(ratio * clamp(target / Math.max(spent, 1), 0.25, 1.15), least, 1);
}
