// The names and colours of a legend's squares by the kind of the mode, and which kinds have a bar.

import { countOf, plainNumber } from "./numbers.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {{text: string, colour: string, count?: number, label?: number}} Swatch colour as in CSS;
 *   label: of a class
 */

const WITH_BAR = ["number", "score", "similarity", "pair"];

/** Whether the colours of a mode are those of a colour bar. @param {string} kind */
export const hasBar = (kind) => WITH_BAR.includes(kind);

/** @param {number[]} colour */
const css = (colour) => `rgb(${colour.join(", ")})`;

/** The squares of the present mode. @param {Explorer} x @returns {Swatch[]} */
export function swatchesOf(x) {
  const { kind } = x.mode();
  if (kind === "labels" || kind === "predictions") return classSwatches(x, kind);
  if (kind === "errors") return errorSwatches(x);
  if (kind === "segments") return segmentSwatches(x);
  return kind === "features" ? componentSwatches(x) : [];
}

/** The classes of the keyframe. @param {Explorer} x @param {string} what labels or predictions @returns {Swatch[]} */
export function classSwatches(x, what) {
  const counts = x.classCounts(what);
  const found = x.setup.classes.names.map((text, label) => ({ text, label, count: counts[label] || 0 }));
  return found.filter(({ count }) => count).map((each) => ({ ...each, colour: css(x.classColours()[each.label]) }));
}

/** Nothing without labels or predictions. @param {Explorer} x @returns {Swatch[]} */
export function errorSwatches(x) {
  const { correct, wrong } = x.errorCounts();
  const style = x.style();
  if (correct + wrong === 0) return [];
  return [{ text: "wrong", colour: css(style.wrong), count: wrong }, { text: "correct", colour: css(style.correct), count: correct }];
}

/** @param {Explorer} x @returns {Swatch[]} */
export function segmentSwatches(x) {
  const counts = Object.fromEntries(countOf(x.segments || []));
  const { series } = x.setup;
  return x.queries().map(({ title }, i) => ({ text: title, colour: series[i % series.length], count: counts[i] || 0 }));
}

/** @param {Explorer} x @returns {Swatch[]} */
function componentSwatches(x) {
  const colours = ["#e05a4f", "#45a868", "#4f7fe0"]; // as the dots of the legend, explorer.css
  if (!x.setup.sets[x.shownSet()]?.channels) return [];
  return x.state.components.map((component, i) => ({ text: `component ${component + 1}`, colour: colours[i] }));
}

/**
 * The range of the colours of each panel, where panels have ranges of their own: those of a
 * similarity begin at the median of each set.
 * @param {Explorer} x @returns {{name: string, range: string}[]}
 */
export function rangesOf(x) {
  const numbers = x.shownSets();
  const isAsked = x.mode().kind === "similarity" && numbers.some((number) => x.lastPicks?.[number]?.length);
  if (numbers.length < 2 || !isAsked || x.state.similarity_range !== "auto") return [];
  return numbers.map((number) => {
    const [low, high] = x.cloud?.panels.get(number)?.limits || [0, 1];
    return { name: x.setup.sets[number].name, range: `${plainNumber(low)} to ${plainNumber(high)}` };
  });
}
