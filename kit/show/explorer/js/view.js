// Moves of the view: turn, pan, zoom, fly to a camera, look from above.

import { moveOthers } from "./linking.js";
import { add, axesOf, clamp, focalOf, mixViews } from "./maths.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./maths.js").View} View
 */

const FLIGHT = 650; // milliseconds
const PAUSE = 250; // milliseconds without a turn of the wheel or a key
const STEP = { turn: 8, pan: 40, zoom: 1.15 }; // of a key: degrees, pixels, times

/**
 * The view that is drawn now: on the way to `state.view` during a flight.
 * @param {Explorer} x
 */
export function drawnView(x) {
  if (!x.flight) return x.state.view;
  const ratio = (performance.now() - x.flight.started) / FLIGHT;
  if (ratio >= 1) {
    x.flight = null;
    return x.state.view;
  }
  return mixViews(x.flight.from, x.state.view, ratio);
}

/** Begin a flight from the present view to the one that is set now. @param {Explorer} x */
export function fly(x) {
  const { camera, ...from } = drawnView(x);
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  x.flight = calm || !x.data ? null : { from, started: performance.now() };
}

/**
 * Move the view; Python is informed when the gesture ends, by `syncView`.
 * @param {Explorer} x
 * @param {Partial<View>} changes
 */
export function move(x, changes) {
  x.flight = null;
  x.state.view = { ...x.state.view, ...changes };
  if (x.state.view.camera) x.state.view.fov = x.home.fov;
  delete x.state.view.camera;
  x.followed = undefined;
  if (x.follow?.value) x.follow.value = "";
  x.setMoving();
  x.redraw();
  moveOthers(x);
}

/** Inform Python of a value that a gesture has changed. @param {Explorer} x @param {"view" | "swipe"} name */
export function sync(x, name) {
  x.model.set(name, x.state[name]);
  x.model.save_changes();
}

/** @param {Explorer} x */
export const syncView = (x) => sync(x, "view");

/** The same when wheel and keys rest. @param {Explorer} x */
export function syncViewLater(x) {
  clearTimeout(x.syncTimer);
  x.syncTimer = setTimeout(() => syncView(x), PAUSE);
}

/** @param {Explorer} x @param {number} dx @param {number} dy */
export function turn(x, dx, dy) {
  const { azimuth, elevation } = x.state.view;
  move(x, { azimuth: ((azimuth + dx * 0.35 + 540) % 360) - 180, elevation: clamp(elevation + dy * 0.3, -85, 90) });
}

/** @param {Explorer} x @param {number} dx @param {number} dy */
export function pan(x, dx, dy) {
  if (!x.panels) return; // nothing was drawn yet
  const { view } = x.state;
  const { right, up } = axesOf(view);
  const { width, height } = x.panels[0];
  const metres = (2 * view.distance) / focalOf(view, width / height) / x.stage.clientHeight;
  move(x, { target: add(add(view.target, right, -dx * metres), up, dy * metres) });
}

/** @param {Explorer} x @param {number} times */
export function zoom(x, times) {
  move(x, { distance: clamp(x.state.view.distance * times, 0.5, 1000) });
}

/** @param {Explorer} x */
export function top(x) {
  const { azimuth } = x.home;
  fly(x);
  x.change({ view: { ...x.home, azimuth, elevation: 90, distance: x.home.distance * 1.15 } });
}

/** @param {Explorer} x */
export function goHome(x) {
  fly(x);
  x.change({ view: { ...x.home } });
}

/** Look from a camera, or from the first view for the name "". @param {Explorer} x @param {string} name */
export function viewFrom(x, name) {
  fly(x);
  x.change({ view: name ? { ...x.state.view, camera: name } : { ...x.home } });
}

/** Move the eye to the view's camera, where it is in this keyframe. @param {Explorer} x */
export function followCamera(x) {
  const { view } = x.state;
  x.followed = view.camera;
  const camera = x.data?.cameras.find(({ name }) => name === view.camera);
  if (!camera) return;
  const { azimuth, elevation, fov } = camera;
  const { ahead } = axesOf({ azimuth, elevation, target: [0, 0, 0], distance: 0, fov });
  x.state.view = { target: add(camera.eye, ahead, 10), distance: 10, azimuth, elevation, fov, camera: view.camera };
  syncView(x);
  x.redraw();
}

/** One step of a key. */
export const steps = {
  turn: (/** @type {Explorer} */ x, /** @type {number} */ dx, /** @type {number} */ dy) => turn(x, (dx * STEP.turn) / 0.35, (dy * STEP.turn) / 0.3),
  pan: (/** @type {Explorer} */ x, /** @type {number} */ dx, /** @type {number} */ dy) => pan(x, dx * STEP.pan, dy * STEP.pan),
  zoom: (/** @type {Explorer} */ x, /** @type {number} */ out) => zoom(x, out > 0 ? STEP.zoom : 1 / STEP.zoom),
};
