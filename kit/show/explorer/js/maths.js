// Views, projections and small vector maths. Nothing here knows the page or the GPU.

/**
 * @typedef {number[]} Vector three numbers, metres in the lidar frame
 * @typedef {{target: Vector, distance: number, azimuth: number, elevation: number, fov: number,
 *   camera?: string}} View degrees; azimuth 0 looks along y, 90 along x
 * @typedef {{width: number, height: number, K: number[], matrix: number[], eye: Vector,
 *   azimuth: number, elevation: number, fov: number, name: string, number: number,
 *   map_size?: number[]}} Camera K (3, 3) and T_cam_lidar (4, 4) row by row
 */

export const NEAR = 0.2; // metres; closer points are cut off
const FAR = 3000;

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** @param {unknown} a @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** @param {number} degrees */
export const radians = (degrees) => (degrees * Math.PI) / 180;

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** @param {Vector} a @param {Vector} b @param {number} times @returns {Vector} */
export const add = (a, b, times = 1) => a.map((value, i) => value + times * b[i]);

/**
 * Axes and eye of a view; the eye is above the target by the elevation.
 * @param {View} view
 */
export function axesOf(view) {
  const [az, el] = [radians(view.azimuth), radians(view.elevation)];
  const ahead = [Math.sin(az) * Math.cos(el), Math.cos(az) * Math.cos(el), -Math.sin(el)];
  const right = [Math.cos(az), -Math.sin(az), 0];
  const up = [
    right[1] * ahead[2] - right[2] * ahead[1],
    right[2] * ahead[0] - right[0] * ahead[2],
    right[0] * ahead[1] - right[1] * ahead[0],
  ];
  return { ahead, right, up, eye: add(view.target, ahead, -view.distance) };
}

/**
 * Focal length in half panel heights; fov spans the shorter side of the panel.
 * @param {View} view @param {number} aspect width by height
 */
export const focalOf = (view, aspect) => Math.min(aspect, 1) / Math.tan(radians(view.fov) / 2);

const DEPTH = [(FAR + NEAR) / (FAR - NEAR), (-2 * FAR * NEAR) / (FAR - NEAR)];

/**
 * Clip matrix of a view, column-major: OpenGL's perspective times look-at.
 * @param {View} view @param {number} aspect width by height
 */
export function clipMatrix(view, aspect) {
  const { ahead, right, up, eye } = axesOf(view);
  const focal = focalOf(view, aspect);
  const [a, b] = DEPTH;
  const matrix = new Float32Array(16);
  for (let k = 0; k < 3; k++) {
    matrix.set([(focal / aspect) * right[k], focal * up[k], a * ahead[k], ahead[k]], 4 * k);
  }
  const [x, y, z] = [dot(right, eye), dot(up, eye), dot(ahead, eye)];
  matrix.set([(-focal / aspect) * x, -focal * y, -a * z + b, -z], 12);
  return matrix;
}

/**
 * Where a camera's image lies in a panel, as large as fits: left, top, and pixels of the panel for
 * one of the image.
 * @param {Camera} camera @param {number} width @param {number} height
 */
export function imageBox(camera, width, height) {
  const scale = Math.min(width / camera.width, height / camera.height);
  return { left: (width - scale * camera.width) / 2, top: (height - scale * camera.height) / 2, scale };
}

/**
 * Clip matrix of a camera's own view: its points fall on their pixels of the image in `imageBox`.
 * @param {Camera} camera @param {number} width @param {number} height of the panel
 */
export function cameraMatrix(camera, width, height) {
  const { left, top, scale } = imageBox(camera, width, height);
  const { K, matrix: T } = camera;
  const [a, b] = DEPTH;
  const matrix = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    const [x, y, z] = [0, 1, 2].map((row) => T[4 * row + column]);
    const u = scale * (K[0] * x + K[1] * y + K[2] * z) + left * z;
    const v = scale * (K[4] * y + K[5] * z) + top * z;
    matrix.set([(2 * u) / width - z, z - (2 * v) / height, a * z + (column === 3 ? b : 0), z], 4 * column);
  }
  return matrix;
}

/**
 * Pixel of a point in a panel of `width` x `height`; null behind the eye.
 * @param {ArrayLike<number>} matrix @param {ArrayLike<number>} point
 * @param {number} width @param {number} height
 */
export function pixelOf(matrix, point, width, height) {
  const clip = [0, 1, 3].map(
    (row) =>
      matrix[row] * point[0] + matrix[4 + row] * point[1] + matrix[8 + row] * point[2] + matrix[12 + row],
  );
  if (clip[2] <= NEAR) return null;
  return [(clip[0] / clip[2] + 1) * 0.5 * width, (1 - clip[1] / clip[2]) * 0.5 * height];
}

/**
 * The point that a pixel of a camera sees at a depth (z in the camera frame, metres).
 * @param {Camera} camera @param {number} u @param {number} v @param {number} depth
 */
export function unproject({ K, matrix: T }, u, v, depth) {
  const y = ((v - K[5]) / K[4]) * depth;
  const x = ((u - K[2]) * depth - K[1] * y) / K[0];
  const off = [x - T[3], y - T[7], depth - T[11]];
  return [0, 1, 2].map((axis) => T[axis] * off[0] + T[4 + axis] * off[1] + T[8 + axis] * off[2]);
}

/**
 * A view on the way from one to another; the eye moves, and turns by the shorter way.
 * @param {View} from @param {View} to @param {number} ratio 0 to 1 @returns {View}
 */
export function mixViews(from, to, ratio) {
  const smooth = ratio * ratio * (3 - 2 * ratio);
  const mix = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * smooth;
  const turn = ((to.azimuth - from.azimuth + 540) % 360) - 180;
  const view = {
    azimuth: from.azimuth + turn * smooth,
    elevation: mix(from.elevation, to.elevation),
    fov: mix(from.fov, to.fov),
    distance: mix(from.distance, to.distance),
    target: to.target,
  };
  const [start, end] = [axesOf(from).eye, axesOf(to).eye];
  const eye = start.map((value, i) => mix(value, end[i]));
  return { ...view, target: add(eye, axesOf(view).ahead, view.distance) };
}

/**
 * Whether a place lies inside a polygon, by the even-odd rule.
 * @param {number[]} place @param {number[][]} corners
 */
export function isInside([x, y], corners) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [[x0, y0], [x1, y1]] = [corners[i], corners[j]];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  }
  return inside;
}
