// Shapes in space: camera frusta with their images, and boxes of annotated objects.

import { isInside, unproject } from "./maths.js";

/** @typedef {import("./maths.js").Camera} Camera */

const FRUSTUM = 1.5; // depth of a frustum's image, metres
const ALPHA = { photo: 0.94, line: 0.95 };

/**
 * Lines (position and colour, 7 numbers a corner) and photographs of the shapes that are switched on.
 * @param {{cameras: Camera[], boxes: import("./data.js").Box[]}} data @param {{frusta: boolean, boxes: boolean}} shown
 * @param {(label: number) => number[]} colourOf a class @param {number[]} lineColour of frusta
 */
export function shapesOf(data, shown, colourOf, lineColour) {
  /** @type {number[]} */
  const lines = [];
  const quads = [];
  if (shown.frusta) {
    for (const camera of data.cameras.filter(({ K }) => K)) {
      const corners = frustumCorners(camera, FRUSTUM);
      quads.push({ number: camera.number, alpha: ALPHA.photo, corners: quadOf(corners) });
      corners.forEach((corner, i) => {
        segmentLine(lines, camera.eye, corner, lineColour);
        segmentLine(lines, corner, corners[(i + 1) % 4], lineColour);
      });
    }
  }
  if (shown.boxes) for (const box of data.boxes) for (const [a, b] of edgesOf(box.corners)) segmentLine(lines, a, b, colourOf(box.label));
  return { lines: Float32Array.from(lines), quads };
}

/**
 * The corners of a camera's image in space: left top, right top, right bottom, left bottom.
 * @param {Camera} camera @param {number} depth metres
 */
export function frustumCorners(camera, depth) {
  const { width, height } = camera;
  return [[0, 0], [width, 0], [width, height], [0, height]].map(([u, v]) => unproject(camera, u, v, depth));
}

/**
 * A photograph as a strip of two triangles, with its place in the image as colour.
 * @param {number[][]} corners
 */
function quadOf([a, b, c, d]) {
  return Float32Array.from([...a, 0, 0, 0, 0, ...b, 1, 0, 0, 0, ...d, 0, 1, 0, 0, ...c, 1, 1, 0, 0]);
}

/** @param {number[]} lines @param {number[]} a @param {number[]} b @param {number[]} colour */
function segmentLine(lines, a, b, [red, green, blue]) {
  for (const corner of [a, b]) lines.push(...corner, red / 255, green / 255, blue / 255, ALPHA.line);
}

/**
 * The twelve edges of a box, and an arrow on its floor to where its front is.
 * @param {number[][]} corners
 */
function edgesOf(corners) {
  const pairs = [];
  for (let i = 0; i < 8; i++) for (const bit of [1, 2, 4]) if (!(i & bit)) pairs.push([corners[i], corners[i | bit]]);
  const middle = (/** @type {number[]} */ ...which) => [0, 1, 2].map((axis) => which.reduce((sum, i) => sum + corners[i][axis], 0) / which.length);
  pairs.push([middle(0, 1, 2, 3), middle(1, 3)]);
  return pairs;
}

/**
 * The number of the camera whose image in space is under a pixel, the nearest; -1 for none.
 * @param {Camera[]} cameras @param {(point: number[]) => number[] | null} toPixel
 * @param {number[]} place @param {number[]} eye of the view
 */
export function frustumAt(cameras, toPixel, place, eye) {
  let [found, least] = [-1, Infinity];
  cameras.forEach((camera, number) => {
    if (!camera.K) return;
    const corners = frustumCorners(camera, FRUSTUM);
    const pixels = corners.map(toPixel);
    if (!pixels.every(Boolean) || !isInside(place, pixels)) return;
    const far = Math.hypot(...eye.map((value, axis) => corners.reduce((sum, corner) => sum + corner[axis] / 4, -value)));
    if (far < least) [found, least] = [number, far];
  });
  return found;
}
