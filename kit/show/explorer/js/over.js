// What is drawn over the points of a frame: rings, lines between panels, names of boxes, the lasso.

import { nameTags } from "./marks.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./maths.js").View} View
 */

/** Rings around points with a mark, and lines between panels. @param {Explorer} x @param {View} view */
export function drawRings(x, view) {
  const marks = x.marks();
  /** @type {import("./rings.js").Ring[]} */
  const rings = [];
  for (const panel of x.panels) {
    const draw = x.placing(view, panel);
    for (const { point, kind } of marks) draw(x.data.arrays.position.subarray(3 * point, 3 * point + 3), (left, y) => rings.push({ x: left, y, kind }));
    if (panel.x) rings.push({ x: panel.x, y: 0, kind: "line" });
  }
  x.cloud.rings.draw(rings, x.style().divider, x.pixels);
}

/** The cloud and what lies over it as a frame of a film. @param {Explorer} x @param {CanvasRenderingContext2D} film */
export function drawFrame(x, film) {
  for (const canvas of x.over.hidden ? [x.canvas] : [x.canvas, x.over]) film.drawImage(canvas, 0, 0, film.canvas.width, film.canvas.height);
}

/** Names of boxes and the lasso, on a canvas over the picture. @param {Explorer} x @param {View} view */
export function drawOver(x, view) {
  const named = x.state.boxes && (!x.moving || x.film) ? x.data.boxes : [];
  x.over.hidden = !named.length && !x.lasso; // a layer less to compose
  if (x.over.hidden) return;
  const context = x.over.getContext("2d");
  context.clearRect(0, 0, x.over.width, x.over.height);
  for (const panel of x.panels) nameTags(context, named, view, x.placing(view, panel), x.pixels);
  x.lasso?.draw(context, x.pixels);
}
