// What large clouds need: work in slices, points found without the GPU, places of points.

import assert from "node:assert/strict";
import { test } from "node:test";

const from = (name) => import(new URL(`../../../../kit/show/explorer/js/${name}.js`, import.meta.url));
const { farthestFirst, pointUnder, pointsInside } = await from("finding");
const { derive, derived, featureOf, featuresOf, pointOfIndex, sizeOf } = await from("data");
const { atOnce, inSlices } = await from("slices");
const { clipMatrix, isInside, pixelOf } = await from("maths");

const VIEW = { target: [0, 0, 0], distance: 30, azimuth: 20, elevation: 30, fov: 50 };
const [WIDTH, HEIGHT] = [640, 360];

/** Numbers from 0 to 1, the same every time. */
function random(seed) {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

function cloud(count, seed = 1) {
  const next = random(seed);
  return Float32Array.from({ length: 3 * count }, (_, i) => (next() - 0.5) * (i % 3 === 2 ? 6 : 40));
}

/** The point whose disc covers a pixel nearest to (x, y) from below, by looking at every disc. */
function slowly(position, matrix, x, y, { radius, size, spread, least, most }, isShown) {
  const seen = [];
  for (let point = 0; point < position.length / 3; point++) {
    const at = position.subarray(3 * point, 3 * point + 3);
    const pixel = pixelOf(matrix, at, WIDTH, HEIGHT);
    if (!pixel || !isShown(point)) continue;
    const w = matrix[3] * at[0] + matrix[7] * at[1] + matrix[11] * at[2] + matrix[15];
    const across = Math.min(Math.max((size * (1 + spread * Math.hypot(...at))) / w, least), most);
    const off = [pixel[0] - x, HEIGHT - pixel[1] - y];
    if (Math.max(...off.map(Math.abs)) <= radius + 0.5) seen.push({ point, off, w, half: across / 2 });
  }
  let [found, least_] = [-1, Infinity];
  for (let row = -radius; row <= radius; row++) {
    for (let column = -radius; column <= radius; column++) {
      const over = seen.filter(({ off, half }) => (column - off[0]) ** 2 + (row - off[1]) ** 2 <= half * half);
      const far = Math.hypot(column, row);
      if (over.length && far < least_) [found, least_] = [over.reduce((a, b) => (b.w < a.w ? b : a)).point, far];
    }
  }
  return found;
}

test("the point under a pixel is the one that looking at every disc finds", () => {
  const position = cloud(4000);
  const matrix = clipMatrix(VIEW, WIDTH / HEIGHT);
  const disc = { radius: 8, size: 60, spread: 0.02, least: 3, most: 17 };
  const isShown = (point) => point % 5 > 0;
  let hits = 0;
  for (let i = 0; i < 120; i++) {
    const [x, y] = [WIDTH * ((i * 0.618) % 1), HEIGHT * ((i * 0.414) % 1)];
    const found = pointUnder(position, 4000, matrix, { x, y, width: WIDTH, height: HEIGHT }, disc, isShown);
    assert.equal(found, slowly(position, matrix, x, y, disc, isShown));
    hits += found >= 0 ? 1 : 0;
  }
  assert.ok(hits > 30);
  const none = pointUnder(position, 0, matrix, { x: 320, y: 180, width: WIDTH, height: HEIGHT }, disc, isShown);
  assert.equal(none, -1);
});

test("the points inside of a lasso are those whose pixels lie in it", () => {
  const position = cloud(3000, 7);
  const matrix = clipMatrix(VIEW, WIDTH / HEIGHT);
  const corners = [[100, 60], [500, 90], [420, 300], [300, 150], [120, 280]];
  const expected = [];
  for (let point = 0; point < 3000; point++) {
    const pixel = pixelOf(matrix, position.subarray(3 * point, 3 * point + 3), WIDTH, HEIGHT);
    if (point % 3 && pixel && isInside(pixel, corners)) expected.push(point);
  }
  const found = pointsInside(position, matrix, WIDTH, HEIGHT, corners, (point) => point % 3 > 0);
  assert.ok(expected.length > 50);
  assert.deepEqual([...found], expected);
});

test("numbers are sorted from the farthest to the nearest", () => {
  assert.deepEqual([...farthestFirst(Uint16Array.from([3, 65535, 0, 3, 9]))], [1, 4, 0, 3, 2]);
  assert.deepEqual([...farthestFirst(new Uint16Array(0))], []);
});

test("points of a cloud in another order are found by their index", () => {
  const data = { count: 4, even: true, arrays: { index: Int32Array.from([7, 2, 9, 0]) } };
  assert.deepEqual([0, 1, 2, 7, 9, 12].map((index) => pointOfIndex(data, index)), [3, -1, 1, 0, 2, -1]);
});

test("features that are derived in parts are those derived at once, and a pick needs only its own", () => {
  const next = random(3);
  const arrays = {
    "direction/0": Int8Array.from({ length: 8 * 50 }, () => next() * 200 - 100),
    "scale/0": Float32Array.from({ length: 50 }, next), "length/0": Float32Array.from({ length: 50 }, next),
  };
  const set = { channels: 8, mean: Array.from({ length: 8 }, next) };
  const whole = derived(arrays, "", "/0", set);
  const parts = featuresOf(arrays, "", "/0", set);
  assert.deepEqual(featureOf(parts, 30), featureOf(whole, 30));
  derive(parts, 0, 20);
  derive(parts, 20, 50);
  assert.deepEqual(parts.rest, whole.rest);
});

test("the bytes of a payload end behind its last array", () => {
  const place = (type, start, count) => ({ type, start, count });
  assert.equal(sizeOf({ arrays: { a: place("float32", 0, 3), b: place("uint8", 12, 5) } }), 20);
  assert.equal(sizeOf({ arrays: {} }), 0);
});

test("work in slices ends with its value, and others come between the slices", async () => {
  function* steps() {
    for (let i = 0; i < 5; i++) {
      const began = performance.now();
      while (performance.now() - began < 4);
      yield;
    }
    return "done";
  }
  let between = 0;
  const counting = setInterval(() => between++, 0);
  assert.equal(await inSlices(steps(), 5), "done");
  clearInterval(counting);
  assert.ok(between >= 1);
  assert.equal(atOnce(steps()), "done");
});

test("features of any size have a texture that is about square, and parts begin with a row", async () => {
  const { layoutOf } = await from("memory");
  for (const [points, channels] of [[900, 32], [35_000, 64], [300_000, 256], [35_000, 4096], [1_000_000, 64]]) {
    const texels = (points * channels) / 4;
    const { width, rows } = layoutOf(texels);
    assert.ok(width * rows >= texels && width * (rows - 1) < texels);
    assert.ok(width <= 8192 && rows <= 8192, `${points} x ${channels}: ${width} x ${rows}`);
    assert.equal((32_768 * channels) / 4 % width, 0);
  }
});
