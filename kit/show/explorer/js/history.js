// Undo and redo.

import { same } from "./maths.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./content.js").State} State
 */

const MOST_STEPS = 100; // steps that are kept
const SLID = ["threshold", "components", "point_size", "density"]; // changes of sliders come one after the other
const SKIPPED = ["view", "keyframe", "swipe"]; // changes of these are no step

export class History {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    /** @type {Partial<State>[]} */
    this.before = [];
    /** @type {Partial<State>[]} */
    this.after = [];
    this.busy = false;
    this.slid = ""; // names of the last changes, if they were those of a slider
    this.noted = 0; // when they were made
  }

  /** Remember the state before a change. @param {Partial<State>} state @param {Partial<State>} changes */
  note(state, changes) {
    if (this.busy || Object.keys(changes).every((name) => SKIPPED.includes(name))) return;
    const names = Object.keys(changes);
    const slid = names.every((name) => SLID.includes(name)) ? names.join() : "";
    const goesOn = slid && slid === this.slid && performance.now() - this.noted < 700;
    [this.slid, this.noted, this.after] = [slid, performance.now(), []];
    const now = this.kept(state);
    if (goesOn || same(this.before.at(-1), now)) return;
    this.before.push(now);
    if (this.before.length > MOST_STEPS) this.before.shift();
  }

  /** @param {Partial<State>} state */
  kept(state) {
    return structuredClone(Object.fromEntries(Object.entries(state).filter(([name]) => !SKIPPED.includes(name))));
  }

  undo() {
    this.go(this.before, this.after);
  }

  redo() {
    this.go(this.after, this.before);
  }

  /** @param {Partial<State>[]} from @param {Partial<State>[]} to */
  go(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this.kept(this.x.state));
    [this.busy, this.slid] = [true, ""];
    this.x.change(state);
    this.busy = false;
  }
}
