// Feature sets in an order (layers, steps of a training): one button and one slider for all of them.

import { make, slider } from "./dom.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {{name: string, group?: string, steps: number[]}} Entry with the numbers of its sets
 */

/**
 * The buttons of feature sets: a group of steps has one for all.
 * @param {{name: string, group?: string}[]} sets
 * @returns {Entry[]}
 */
export function entriesOf(sets) {
  /** @type {Entry[]} */
  const entries = [];
  sets.forEach(({ name, group }, number) => {
    const own = group && entries.find((entry) => entry.group === group);
    if (own) own.steps.push(number);
    else entries.push({ name: group || name, group, steps: [number] });
  });
  return entries;
}

export class Steps {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.entries = entriesOf(x.setup.sets);
    this.last = new Map(); // the step of a group that was shown last
    this.value = make("span", "kx-value");
    this.slider = slider(0, 1, 1, 0, "Step of the feature set ([ and ])", (at) => this.go(at));
    this.node = make("label", "kx-steps", this.slider, this.value);
  }

  /** The entry that the slider belongs to: the shown one, or the first that has steps. */
  group() {
    const shown = this.x.shownSet();
    const several = this.entries.filter(({ steps }) => steps.length > 1);
    return several.find(({ steps }) => steps.includes(shown)) || (this.x.state.side_by_side ? several[0] : undefined);
  }

  /** The number of the set that an entry shows. @param {Entry} entry */
  current(entry) {
    const shown = this.x.shownSet();
    return entry.steps.includes(shown) ? shown : this.last.get(entry.name) ?? entry.steps.at(-1);
  }

  /** @param {Entry} entry */
  isShown(entry) {
    return entry.steps.includes(this.x.shownSet());
  }

  /** Show the step at a place of the slider. @param {number} at */
  go(at) {
    const group = this.group();
    const number = group?.steps[Math.min(Math.max(at, 0), group.steps.length - 1)];
    if (number !== undefined) this.x.change({ feature_set: this.x.setup.sets[number].name });
  }

  /** @param {number} steps */
  by(steps) {
    const group = this.group();
    if (group) this.go(group.steps.indexOf(this.current(group)) + steps);
  }

  show() {
    const group = this.group();
    this.node.hidden = !group;
    if (!group) return;
    const number = this.current(group);
    this.last.set(group.name, number);
    this.slider.max = String(group.steps.length - 1);
    this.slider.value = String(group.steps.indexOf(number));
    this.value.textContent = this.x.setup.sets[number].label;
    this.slider.setAttribute("aria-valuetext", this.value.textContent);
  }
}
