// Undo and redo.

import { same } from "./maths.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./content.js").State} State
 */

const MOST_STEPS = 100; // steps that are kept
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
    this.slid = ""; // names of the last changes
    this.noted = 0; // when they were made
  }

  /** Remember the state before a change. @param {Partial<State>} state @param {Partial<State>} changes */
  note(state, changes) {
    if (this.busy || Object.keys(changes).every((name) => SKIPPED.includes(name))) return;
    const last = this.before.at(-1);
    const now = this.kept(state);
    const sliding = this.slid === Object.keys(changes).join() && performance.now() - this.noted < 700;
    [this.slid, this.noted] = [Object.keys(changes).join(), performance.now()];
    if (sliding || (last && same(last, now))) return;
    this.before.push(now);
    if (this.before.length > MOST_STEPS) this.before.shift();
    this.after = [];
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
    this.busy = true;
    this.x.change(state);
    this.busy = false;
  }
}
