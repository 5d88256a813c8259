// The point under a pixel and the points inside of a lasso, found without the GPU: to draw all points
// and to wait for what was drawn takes longer.

import { NEAR, isInside } from "./maths.js";

/**
 * Number of the point whose disc is nearest to a pixel and not hidden by other discs; -1 for none.
 * @param {Float32Array} position @param {number} count of the points that are looked at
 * @param {ArrayLike<number>} matrix clip matrix of the panel
 * @param {{x: number, y: number, width: number, height: number}} place pixel from the lower left
 *   corner of the panel, and the panel's size
 * @param {{radius: number, size: number, spread: number, least: number, most: number}} disc radius
 *   in which points are found, and the sizes of points, see `Painter.pointSize`, all in pixels
 * @param {(point: number) => boolean} isShown
 * @param {Uint32Array | null} order of the points; null: that of their numbers
 */
export function pointUnder(position, count, matrix, place, disc, isShown, order = null) {
  const side = 2 * disc.radius + 1;
  const nearest = new Float32Array(side * side).fill(Infinity);
  const numbers = new Int32Array(side * side).fill(-1);
  const [a, b, c, d] = [matrix[3], matrix[7], matrix[11], matrix[15]];
  const [e, f, g, h] = [matrix[0], matrix[4], matrix[8], matrix[12]].map((v) => (v * place.width) / 2);
  const [k, l, m, n] = [matrix[1], matrix[5], matrix[9], matrix[13]].map((v) => (v * place.height) / 2);
  const [left, low] = [place.width / 2 - place.x, place.height / 2 - place.y];
  const half = side / 2;
  for (let i = 0; i < count; i++) {
    const point = order ? order[i] : i;
    const at = 3 * point;
    const [x, y, z] = [position[at], position[at + 1], position[at + 2]];
    const w = a * x + b * y + c * z + d;
    if (w < NEAR) continue;
    const across = e * x + f * y + g * z + h + left * w;
    if (across > half * w || across < -half * w) continue;
    const up = k * x + l * y + m * z + n + low * w;
    if (up > half * w || up < -half * w || !isShown(point)) continue;
    const size = Math.min(Math.max((disc.size * (1 + disc.spread * Math.hypot(x, y, z))) / w, disc.least), disc.most);
    fillDisc(nearest, numbers, side, across / w + half, up / w + half, size / 2, w, point);
  }
  return middleNumber(numbers, side);
}

/**
 * Write a disc of pixels where nothing nearer was written.
 * @param {Float32Array} nearest @param {Int32Array} numbers @param {number} side of the window
 * @param {number} x @param {number} y @param {number} radius @param {number} depth
 * @param {number} point
 */
function fillDisc(nearest, numbers, side, x, y, radius, depth, point) {
  for (let row = Math.max(Math.floor(y - radius), 0); row < Math.min(y + radius, side); row++) {
    for (let column = Math.max(Math.floor(x - radius), 0); column < Math.min(x + radius, side); column++) {
      const at = row * side + column;
      const inside = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= radius * radius;
      if (inside && depth < nearest[at]) [nearest[at], numbers[at]] = [depth, point];
    }
  }
}

/**
 * The number closest to the middle of a square window; -1 where there is none.
 * @param {ArrayLike<number>} numbers row by row @param {number} side of the window
 */
function middleNumber(numbers, side) {
  const middle = (side - 1) / 2;
  let [found, least] = [-1, Infinity];
  for (let i = 0; i < numbers.length; i++) {
    const far = Math.hypot((i % side) - middle, Math.floor(i / side) - middle);
    if (numbers[i] >= 0 && far < least) [found, least] = [numbers[i], far];
  }
  return found;
}

/**
 * Points whose pixels lie inside of a polygon.
 * @param {Float32Array} position @param {ArrayLike<number>} matrix clip matrix of the panel
 * @param {number} width @param {number} height of the panel @param {number[][]} corners
 * @param {(point: number) => boolean} isShown
 */
export function pointsInside(position, matrix, width, height, corners, isShown) {
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = [0, 0];
  const found = [];
  for (let point = 0, at = 0; at < position.length; point++, at += 3) {
    const [x, y, z] = [position[at], position[at + 1], position[at + 2]];
    const w = matrix[3] * x + matrix[7] * y + matrix[11] * z + matrix[15];
    if (w <= NEAR) continue;
    place[0] = ((matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12]) / w + 1) * 0.5 * width;
    if (place[0] < left || place[0] > right) continue;
    place[1] = (1 - (matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13]) / w) * 0.5 * height;
    if (place[1] < top || place[1] > bottom) continue;
    if (isInside(place, corners) && isShown(point)) found.push(point);
  }
  return Int32Array.from(found);
}

/**
 * Numbers sorted by their depth, the largest first; equal ones keep their order.
 * @param {ArrayLike<number>} depths below 65,536
 */
export function farthestFirst(depths) {
  const starts = new Uint32Array(65537);
  for (let i = 0; i < depths.length; i++) starts[65535 - depths[i] + 1]++;
  for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
  const order = new Uint32Array(depths.length);
  for (let i = 0; i < depths.length; i++) order[starts[65535 - depths[i]]++] = i;
  return order;
}
