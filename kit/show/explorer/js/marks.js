// Rings around points on images (those on the cloud are in rings.js), and names of boxes.

import { axesOf } from "./maths.js";

/** @typedef {{name: string, top: number[]}} Named a box */

// Sizes in pixels of the page: the radius of a ring on the cloud, and its strokes and dot; ratios of the
// radius: of a ring under the pointer, and half the bar of a negative one.
export const RING = { radius: 9, wide: 4.5, narrow: 2.2, dot: 2, hover: 0.7, bar: 0.6 };
const RINGS = { positive: "#ffffff", negative: "#111111", hover: "#ffffff" };

/**
 * A ring that is visible on any background: light in a dark one, or dark in a light one.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y
 * @param {number} radius @param {"positive" | "negative" | "hover"} kind @param {number} ratio
 */
export function ring(context, x, y, radius, kind, ratio) {
  const light = kind !== "negative";
  for (const [width, colour] of [[RING.wide, light ? "#111111" : "#ffffff"], [RING.narrow, RINGS[kind]]]) {
    context.beginPath();
    context.arc(x, y, kind === "hover" ? radius * RING.hover : radius, 0, 2 * Math.PI);
    if (kind === "negative") {
      context.moveTo(x - radius * RING.bar, y);
      context.lineTo(x + radius * RING.bar, y);
    }
    context.lineWidth = Number(width) * ratio;
    context.strokeStyle = String(colour);
    context.stroke();
  }
  if (kind !== "positive") return;
  context.beginPath();
  context.arc(x, y, RING.dot * ratio, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
}

const FARTHEST = 60; // metres from the eye, to which boxes have their names written

/**
 * Names of boxes, the nearest first; a name that would cover another one is left out.
 * @param {CanvasRenderingContext2D} context @param {Named[]} boxes @param {import("./maths.js").View} view @param {(at: number[], call: (left: number, y: number) => void) => void} draw @param {number} ratio
 */
export function nameTags(context, boxes, view, draw, ratio) {
  const { eye } = axesOf(view);
  const far = (/** @type {Named} */ { top }) => Math.hypot(top[0] - eye[0], top[1] - eye[1], top[2] - eye[2]);
  /** @type {number[][]} */
  const taken = [];
  context.font = `500 ${11 * ratio}px Inter, "Helvetica Neue", Arial, sans-serif`;
  for (const { name, top } of boxes.filter((box) => far(box) < FARTHEST).sort((a, b) => far(a) - far(b))) {
    draw(top, (left, y) => {
      const half = context.measureText(name).width / 2 + 6 * ratio;
      const covers = (/** @type {number[]} */ [x, low, width]) => Math.abs(x - left) < half + width && Math.abs(low - y) < 18 * ratio;
      if (taken.some(covers)) return;
      taken.push([left, y, half]);
      nameTag(context, name, left, y, half, ratio);
    });
  }
}

/**
 * A name on a dark pill, its lower middle at (x, y).
 * @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y @param {number} half @param {number} ratio
 */
function nameTag(context, text, x, y, half, ratio) {
  const height = 17 * ratio;
  context.fillStyle = "rgba(12, 15, 20, 0.78)";
  context.beginPath();
  context.roundRect(x - half, y - height, 2 * half, height, 5 * ratio);
  context.fill();
  context.fillStyle = "#ffffff";
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.fillText(text, x, y - height / 2 + ratio);
}
