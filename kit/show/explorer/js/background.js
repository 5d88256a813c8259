// What a large cloud needs beside its frames: its points sent and coloured part by part, and the
// picture of all points painted while the view rests.

import { recoloured } from "./colouring.js";
import { pause } from "./slices.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

const WAIT = 30; // milliseconds between looks at a moving view
const [SHORT, LONG] = [12, 30]; // milliseconds of the GPU: after shorter ones more parts are given to it
const MOST = 16; // parts at once

export class Background {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.running = false;
    this.burst = 1; // parts that the GPU gets at once
    /** @type {Generator | null} the picture that is being painted */
    this.painting = null;
    this.key = ""; // of this picture
    /** @type {(() => void)[]} what follows from new colours: reading them, the legend, images */
    this.tasks = [];
  }

  /** Begin, unless it runs already. */
  start() {
    if (!this.running && this.x.data?.even) this.run();
  }

  async run() {
    this.running = true;
    await pause();
    while (!this.x.closed && this.x.cloud && this.x.data?.even) {
      const began = performance.now();
      if (!this.steps(this.burst, began + SHORT)) break;
      await this.x.cloud?.idle();
      if (this.x.moving || this.x.flight) await pause(WAIT);
      const spent = performance.now() - began;
      if (spent < SHORT) this.burst = Math.min(2 * this.burst, MOST);
      else if (spent > LONG) this.burst = Math.max(this.burst >> 1, 1);
    }
    this.running = false;
  }

  /** Do some parts, no more of them after a time; false if nothing is left. @param {number} count @param {number} end */
  steps(count, end) {
    for (let i = 0; i < count && performance.now() < end; i++) if (!this.step()) return i > 0;
    return true;
  }

  /** Do the next part; false if nothing is left. */
  step() {
    const { cloud, moving, flight } = this.x;
    if (moving || flight) return true;
    if (cloud.ready < cloud.count) {
      cloud.send();
      for (const number of cloud.panels.keys()) cloud.advance(number);
      return true;
    }
    const number = [...cloud.panels.keys()].find((each) => !cloud.isColoured(each));
    if (number !== undefined) {
      cloud.advance(number);
      if (this.x.due && this.x.isColoured()) this.x.awaitFrame();
      return true;
    }
    const task = this.tasks.shift();
    task?.();
    return Boolean(task) || recoloured(this.x) || this.paint();
  }

  /** Paint the next part of the picture at rest; false if it is on the screen. */
  paint() {
    const { x } = this;
    if (!x.panels || !x.stage.clientWidth) return false;
    const key = x.wholeKey(x.state.view);
    if (x.cloud.rested === key) return false;
    if (!this.painting || this.key !== key) [this.painting, this.key] = [x.refining(), key];
    if (!this.painting.next().done) return true;
    this.painting = null;
    x.redraw();
    return false;
  }
}
