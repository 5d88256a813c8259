// Pointer gestures on the cloud: turn, pan, pinch, wheel, click, lasso, the line of a swipe.

import { capture } from "./dom.js";
import { clamp } from "./maths.js";
import { pan, syncView, syncViewLater, turn, zoom } from "./view.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

const STILL = 4; // pixels; a pointer that moved less has clicked
const HOVER_DELAY = 60; // milliseconds

/** @param {Explorer} x the explorer @param {HTMLCanvasElement} canvas */
export function listenToPointer(x, canvas) {
  const down = new Map();
  let [moved, pinch] = [0, 0];
  /** @type {number[] | null} */
  let middle = null;
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    capture(canvas, event);
    canvas.focus({ preventScroll: true });
    down.set(event.pointerId, [event.clientX, event.clientY]);
    [moved, pinch, middle] = [down.size > 1 ? 99 : 0, 0, null];
    x.tooltip.hide();
    if (x.lasso && down.size === 1) x.lasso.begin(event);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) return hoverLater(x, event);
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (down.size === 2) ({ apart: pinch, centre: middle } = pinched(x, [...down.values()], pinch, middle));
    else if (x.lasso) x.lasso.add(event);
    else if (moved > STILL) {
      if (event.buttons & 6 || event.shiftKey || event.ctrlKey) pan(x, dx, dy);
      else turn(x, dx, dy);
    }
  });
  const up = (/** @type {PointerEvent} */ event) => {
    const single = down.delete(event.pointerId) && down.size === 0;
    if (!single) return;
    const clicked = moved <= STILL && event.type === "pointerup" && event.button === 0;
    if (x.lasso && !clicked) x.lasso.end();
    else if (clicked) x.clickAt(event);
    else syncView(x);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => x.hover(null));
  canvas.addEventListener("wheel", (event) => wheel(x, event), { passive: false });
}

/**
 * Two fingers: their distance zooms, their middle pans.
 * @param {Explorer} x @param {number[][]} fingers @param {number} pinch their distance before; 0: none
 * @param {number[] | null} middle of them before
 */
function pinched(x, [a, b], pinch, middle) {
  const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
  const centre = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  if (pinch) zoom(x, pinch / apart);
  if (middle) pan(x, centre[0] - middle[0], centre[1] - middle[1]);
  return { apart, centre };
}

/** @param {Explorer} x @param {WheelEvent} event */
function wheel(x, event) {
  event.preventDefault();
  zoom(x, Math.exp(clamp(event.deltaY, -200, 200) * 0.0015));
  syncViewLater(x);
}

/** @param {Explorer} x @param {PointerEvent} event */
function hoverLater(x, event) {
  x.pointer = event;
  x.hoverTimer ||= setTimeout(() => {
    x.hoverTimer = 0;
    const point = x.pointer && x.data ? x.pointAt(x.pointer) : -1;
    x.hover(point < 0 ? null : [point], x.pointer);
  }, HOVER_DELAY);
}

/** A lasso that is drawn on the cloud; its points are selected when it ends. */
export class Lasso {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    /** @type {number[][]} in CSS pixels of the panel */
    this.corners = [];
    /** @type {import("./painter.js").Panel | null} */
    this.panel = null;
  }

  /** @param {MouseEvent} event */
  begin(event) {
    this.panel = this.x.panelAt(event).panel;
    this.corners = [];
    this.add(event);
  }

  /** @param {MouseEvent} event */
  add(event) {
    const { left, top } = this.x.canvas.getBoundingClientRect();
    const ratio = this.x.pixels;
    this.corners.push([event.clientX - left - this.panel.x / ratio, event.clientY - top]);
    this.x.redraw();
  }

  end() {
    const { corners, panel, x } = this;
    x.setLasso(false);
    if (corners.length > 2) x.selection.ofLasso(corners, panel);
    x.redraw();
  }

  /** @param {CanvasRenderingContext2D} context @param {number} ratio */
  draw(context, ratio) {
    if (this.corners.length < 2) return;
    context.beginPath();
    for (const [left, top] of this.corners) context.lineTo(this.panel.x + left * ratio, top * ratio);
    context.closePath();
    context.fillStyle = "rgba(120, 170, 255, 0.16)";
    context.strokeStyle = "#9cc2ff";
    context.lineWidth = 1.5 * ratio;
    context.fill();
    context.stroke();
  }
}
