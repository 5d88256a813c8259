// Keys on the cloud, and their list.

import { make } from "./dom.js";
import { goHome, steps, syncViewLater, top } from "./view.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/** @type {Record<string, number[]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What the keys do; capital letters are the same as small ones. */
export const KEYS = [
  ["← → ↑ ↓", "turn; with shift: move"],
  ["+ −", "nearer, farther"],
  ["Enter", "pick the point in the middle; with shift: add; with alt: negative"],
  ["T", "from above"],
  ["H", "the first view"],
  ["1 … 9", "the modes"],
  [", .", "the keyframe before, the next one"],
  ["[ ]", "the step before, the next one (layers, checkpoints)"],
  ["Space", "play the keyframes"],
  ["L", "lasso"],
  ["F", "full screen"],
  ["Ctrl Z, Ctrl Y", "undo, redo"],
  ["Escape", "clear picks and selection"],
];

/** @param {Explorer} x the explorer @param {HTMLElement} node that has the focus */
export function listenToKeys(x, node) {
  node.addEventListener("keydown", (event) => {
    if (act(x, event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
}

/** @param {Explorer} x @param {KeyboardEvent} event @returns {boolean} whether the key means something */
function act(x, event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return (event.shiftKey ? x.history.redo() : x.history.undo()), true;
    if (key === "y") return x.history.redo(), true;
    return false;
  }
  if (event.altKey && key !== "Enter") return false; // the browser goes back and forth
  if (ARROWS[key]) return arrow(x, ARROWS[key], event.shiftKey);
  if (/^[1-9]$/.test(key)) return x.pressMode(Number(key) - 1), true;
  const action = ACTIONS[key];
  if (!action) return false;
  action(x, event);
  return true;
}

/** @param {Explorer} x @param {number[]} way @param {boolean} shifted */
function arrow(x, [dx, dy], shifted) {
  if (shifted) steps.pan(x, dx, dy);
  else steps.turn(x, dx, dy);
  syncViewLater(x);
  return true;
}

/** @type {Record<string, (x: Explorer, event: KeyboardEvent) => void>} */
const ACTIONS = {
  "+": (x) => { steps.zoom(x, -1); syncViewLater(x); },
  "=": (x) => { steps.zoom(x, -1); syncViewLater(x); },
  "-": (x) => { steps.zoom(x, 1); syncViewLater(x); },
  t: top,
  h: goHome,
  l: (x) => x.setLasso(!x.lasso),
  f: (x) => x.fullscreen(),
  ",": (x) => x.step(-1),
  ".": (x) => x.step(1),
  "[": (x) => x.steps.by(-1),
  "]": (x) => x.steps.by(1),
  " ": (x) => x.playing.toggle(),
  Enter: (x, event) => x.clickMiddle(event),
  Escape: (x) => x.clear(),
};

/** The list of keys, for the help. */
export function keyList() {
  return make("dl", "kx-keys", ...KEYS.flatMap(([keys, text]) => [make("dt", "", keys), make("dd", "", text)]));
}
