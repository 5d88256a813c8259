// Modules that know no page: views, numbers, data, links, segments.

import assert from "node:assert/strict";
import { test } from "node:test";

const from = (name) => import(new URL(`../../../../kit/show/explorer/js/${name}.js`, import.meta.url));
const { add, axesOf, cameraMatrix, clipMatrix, dot, isInside, mixViews, pixelOf, unproject } = await from("maths");
const { bestOf, countOf, nextRatio, percentile, scaleTable, similarityLimits } = await from("numbers");
const { cosineTo, decode, derived, featureOf, meanAgreement, meanCosine, nearestTo, pointOfIndex, surfaceOf, unpack } = await from("data");
const { linkOf, stateOf } = await from("links");
const { segmentsOf } = await from("asking");
const { entriesOf } = await from("steps");
const { bytesOf } = await from("text85");
const close = (a, b, error = 1e-4) => a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < error, `${a} is not ${b}`));

const VIEW = { target: [1, 2, 3], distance: 10, azimuth: 30, elevation: 20, fov: 50 };
// Looks along y from (0.1, 0.2, 0.5); 260 px focal length, the principal point off the middle.
const CAMERA = {
  width: 480, height: 240, K: [260, 0, 230, 0, 250, 130, 0, 0, 1],
  matrix: [1, 0, 0, -0.1, 0, 0, -1, 0.5, 0, 1, 0, -0.2, 0, 0, 0, 1],
};

test("the target of a view is in the middle, and what is up is above", () => {
  const matrix = clipMatrix(VIEW, 2);
  close(pixelOf(matrix, VIEW.target, 800, 400), [400, 200]);
  assert.ok(pixelOf(matrix, add(VIEW.target, [0, 0, 1]), 800, 400)[1] < 200);
  const { ahead, right, up, eye } = axesOf(VIEW);
  close([dot(ahead, right), dot(ahead, up), dot(up, up)], [0, 0, 1]);
  assert.equal(pixelOf(matrix, add(eye, ahead, -1), 800, 400), null);
});

test("a camera's own view puts points on their pixels", () => {
  const point = [1.1, 10.2, -0.5]; // camera frame: x 1, y 1, z 10
  const [u, v] = [260 * 0.1 + 230, 250 * 0.1 + 130];
  for (const [width, height, scale, left, top] of [[960, 480, 2, 0, 0], [480, 480, 1, 0, 120], [960, 240, 1, 240, 0]]) {
    close(pixelOf(cameraMatrix(CAMERA, width, height), point, width, height), [left + scale * u, top + scale * v], 1e-3);
  }
  close(unproject(CAMERA, u, v, 10), point);
});

test("a flight begins and ends at its views and turns by the shorter way", () => {
  const to = { ...VIEW, azimuth: -170, target: [5, 5, 5] };
  const from = { ...VIEW, azimuth: 170 };
  close(axesOf(mixViews(from, to, 0)).eye, axesOf(from).eye);
  close(axesOf(mixViews(from, to, 1)).eye, axesOf(to).eye);
  assert.equal(mixViews(from, to, 0.5).azimuth, 180);
});

test("inside of a polygon by hand", () => {
  const corners = [[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]];
  assert.deepEqual([[5, 2], [5, 8], [1, 7], [11, 1]].map((place) => isInside(place, corners)), [true, false, true, false]);
});

test("scales, percentiles, ranges, the best and counts by hand", () => {
  close([...scaleTable(["#000000", "#ffffff"]).subarray(4 * 128, 4 * 128 + 4)], [128, 128, 128, 255]);
  assert.equal(percentile([0, 1, 2, 3], 0.5), 1.5);
  const scores = Float32Array.from({ length: 1001 }, (_, i) => i / 1000);
  close(similarityLimits(scores, () => true), [0.5, 0.998]);
  assert.deepEqual(similarityLimits(scores, () => false), [0, 1]);
  assert.deepEqual(bestOf([3, 9, 1, 9.5, 7], 2, (i) => i !== 3), [1, 4]);
  assert.deepEqual(bestOf(scores, 3, () => true), [1000, 999, 998]);
  assert.deepEqual(countOf([4, 2, 4]), [[4, 2], [2, 1]]);
});

test("the number of points follows the time of a frame, also below five frames a second", () => {
  let ratio = 1;
  for (let frame = 0; frame < 8; frame++) ratio = nextRatio(ratio, 700 * ratio);
  assert.ok(700 * ratio < 40 && 700 * ratio > 15);
  for (let frame = 0; frame < 60; frame++) ratio = nextRatio(ratio, 5 * ratio);
  assert.equal(ratio, 1);
});

test("arrays are decoded, and a name can be any text", () => {
  const bytes = new Uint8Array(Float32Array.of(1.5, 2.5).buffer);
  const { arrays } = decode({ arrays: { constructor: { type: "float32", start: 4, count: 1 } } }, bytes);
  assert.deepEqual([...arrays.constructor], [2.5]);
  assert.equal(arrays.toString, undefined);
});

test("arrays of saved pages are unpacked: planes, differences, steps", () => {
  // Rows (1, -2), (258, -1): columns 1, 257 and -2, 1 as differences, low bytes before high bytes.
  const planes = Uint8Array.of(1, 1, 0, 1, 254, 1, 255, 0);
  const coding = { stored: "int16", columns: 2, delta: true };
  assert.deepEqual([...unpack(planes, coding)], [1, -2, 258, -1]);
  close([...unpack(planes, { ...coding, step: 0.5, low: 10 })], [10.5, 9, 139, 9.5]);
  const missing = unpack(Uint8Array.of(128, 2), { stored: "int8", columns: 1, step: 516, to: "int16", none: -128 });
  assert.deepEqual([...missing], [-32768, 1032]);
});

test("cosines of quantised features are those of the vectors", () => {
  const set = { channels: 4, mean: [0, 0, 0, 0], mean_square: 0 };
  const arrays = {
    "direction/0": Int8Array.of(127, 0, 0, 0, 90, 90, 0, 0, 0, 0, 127, 0),
    "scale/0": Float32Array.of(1 / 127, 1 / 127.279, 1 / 127), "length/0": Float32Array.of(1, 1, 0),
  };
  const features = derived(arrays, "", "/0", set);
  const pick = featureOf(features, 0);
  close([cosineTo(pick, features, 0, set, false), cosineTo(pick, features, 1, set, false)], [1, Math.SQRT1_2], 1e-3);
  close([meanCosine(features, [0, 1, 2])], [(2 + 2 * Math.SQRT1_2) / 4], 1e-3); // point 2 has no feature
});

test("the nearest to a selection are outside of it and have features", () => {
  const set = { channels: 4, mean: [0, 0, 0, 0] };
  const arrays = { // along x; x and y; y; none; along x, longer
    "direction/0": Int8Array.of(127, 0, 0, 0, 90, 90, 0, 0, 0, 127, 0, 0, 127, 0, 0, 0, 60, 10, 0, 0),
    "scale/0": new Float32Array(5).fill(1 / 127), "length/0": Float32Array.of(1, 1, 1, 0, 2),
  };
  const features = derived(arrays, "", "/0", set);
  assert.deepEqual(nearestTo(features, Int32Array.of(0), 3), [4, 1, 2]);
  assert.deepEqual(nearestTo(features, Int32Array.of(2, 3), 1), [1]);
  assert.deepEqual(nearestTo(features, Int32Array.of(3), 1), []);
});

test("the mean cosine of two sets leaves out points without one of the features", () => {
  close([meanAgreement(Int16Array.of(32767, -32768, 0, -32768, 32767))], [2 / 3]);
  assert.equal(meanAgreement(Int16Array.of(-32768)), null);
  assert.equal(meanAgreement(undefined), null);
});

test("points by their index, where some are drawn", () => {
  const data = { count: 3, arrays: { index: Int32Array.of(2, 5, 9) } };
  assert.deepEqual([2, 5, 6, 9, 99].map((index) => pointOfIndex(data, index)), [0, 1, -1, 2, -1]);
  assert.equal(pointOfIndex({ count: 3, arrays: {} }, 3), -1);
});

test("a box takes the surface, not what is behind it", () => {
  const wall = Array.from({ length: 100 }, (_, i) => ({ point: i, x: i % 10, y: Math.floor(i / 10), depth: 8 }));
  const behind = wall.map((pair) => ({ ...pair, point: pair.point + 100, depth: 30 }));
  const beside = wall.map((pair) => ({ ...pair, point: pair.point + 200, x: pair.x + 60, depth: 40 }));
  const pairs = [...behind, ...wall, ...beside];
  assert.deepEqual(surfaceOf(pairs, null).kept, wall);
  assert.deepEqual(surfaceOf(pairs, 50).kept, [...wall, ...beside]);
  assert.equal(surfaceOf(pairs, Infinity).kept.length, 300);
});

test("a link gives the state back, and nothing else is one", () => {
  const state = { mode: "日本語 🚗", picked: [3, 4], threshold: null };
  assert.deepEqual(stateOf(linkOf(state)), state);
  assert.match(linkOf(state), /^#kx=[\w-]+$/);
  for (const other of ["", "#kx=", "#kx=!", "#kx=abcd", "#top"]) assert.equal(stateOf(other), null);
});

test("each point belongs to the query it exceeds most", () => {
  const queries = [{ scores: [0.9, 0.1, 0.2], threshold: 0.5 }, { scores: [0.8, 0.9, 0.1], threshold: 0.6 }];
  assert.deepEqual([...segmentsOf(queries, 3, 255)], [0, 1, 255]);
});

test("steps of a group share a button, wherever they stand", () => {
  const sets = [{ name: "t" }, { name: "s: 1", group: "s" }, { name: "r" }, { name: "s: 2", group: "s" }];
  const entries = entriesOf(sets).map(({ name, steps }) => [name, steps]);
  assert.deepEqual(entries, [["t", [0]], ["s", [1, 3]], ["r", [2]]]);
});

test("bytes as text, by hand", () => {
  assert.deepEqual([...bytesOf("00031", 4)], [0, 0, 1, 0]);
  assert.deepEqual([...bytesOf("0003100000", 5)], [0, 0, 1, 0, 0]);
});

const { History } = await from("history");

/** An explorer without a page: its state, and a history of its changes. */
function changing(state) {
  const x = { state, change(changes) { this.history.note(this.state, changes); Object.assign(this.state, changes); } };
  x.history = new History(x);
  return x;
}

test("every click is a step of its own, however quick; a slider that is dragged is one", () => {
  const x = changing({ picked: [], threshold: null, view: 1 });
  for (const picked of [[1], [1, 2], [1, 2, 3]]) x.change({ picked });
  for (const threshold of [0.1, 0.2, 0.3]) x.change({ threshold });
  const steps = [];
  for (let i = 0; i < 4; i++) {
    x.history.undo();
    steps.push([x.state.picked.length, x.state.threshold]);
  }
  assert.deepEqual(steps, [[3, null], [2, null], [1, null], [0, null]]);
});

test("a change after an undo leaves nothing to redo, a dragged slider too", () => {
  const x = changing({ threshold: null });
  x.change({ threshold: 0.1 });
  x.history.undo();
  x.change({ threshold: 0.2 });
  x.history.redo();
  assert.equal(x.state.threshold, 0.2);
});
