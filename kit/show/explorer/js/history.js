// Undo and redo, and the state as text.

import { same } from "./maths.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./content.js").State} State
 */

const MOST_STEPS = 100; // steps that are kept
const SKIPPED = ["view", "keyframe", "swipe"]; // changes of these are no step

/** The state as a text for links: JSON in base64 without signs that links do not allow. @param {Partial<State>} state */
export function linkOf(state) {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `#kx=${letters.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/**
 * The state of a link, or null.
 * @param {string} link
 */
export function stateOf(link) {
  const letters = /^#kx=([\w-]+)$/.exec(link)?.[1];
  if (!letters) return null;
  try {
    const text = atob(letters.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}

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
