// What is known about a point: beside the pointer, and in the bar below.

import { make } from "./dom.js";
import { cameraTitle } from "./numbers.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

export class Tooltip {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.node = make("div", "kx-card kx-tooltip");
    this.node.setAttribute("role", "tooltip");
    this.node.hidden = true;
  }

  hide() {
    this.node.hidden = true;
  }

  /** Show the values of a point beside the pointer, inside of the explorer. @param {number} point @param {MouseEvent} event */
  show(point, event) {
    const { node, x } = this;
    node.replaceChildren(...valuesOf(x, point).map(([name, value]) => make("div", "kx-fact", make("span", "", name), make("span", "kx-value", value))));
    node.hidden = false;
    const area = x.root.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = node;
    const [left, top] = [event.clientX - area.left, event.clientY - area.top];
    node.style.left = `${Math.max(left + 18 + width > area.width ? left - width - 14 : left + 18, 4)}px`;
    node.style.top = `${Math.max(Math.min(top + 14, area.height - height - 4), 4)}px`;
  }
}

/**
 * Name and value of everything known about a point.
 * @returns {[string, string][]}
 * @param {Explorer} x
 * @param {number} point
 */
export function valuesOf(x, point) {
  const { arrays, cameras } = x.data;
  const at = [...arrays.position.subarray(3 * point, 3 * point + 3)];
  /** @type {[string, string][]} */
  const facts = [["point", `${x.indexOf(point)}`], ["x, y, z", `${at.map((v) => v.toFixed(1)).join("  ")} m`], ["distance", `${Math.hypot(...at).toFixed(1)} m`]];
  if (arrays.intensity) facts.push(["intensity", arrays.intensity[point].toPrecision(3)]);
  const { names } = x.setup.classes;
  if (arrays.labels) facts.push(["label", names[arrays.labels[point]] || "not scored"]);
  x.setup.sets.forEach(({ name }, number) => {
    const predicted = arrays[`predicted/${number}`];
    if (predicted) facts.push([`predicted, ${name}`, names[predicted[point]] || "nothing"]);
  });
  for (const mode of x.setup.modes) if (mode.kind === "score" && arrays[mode.array]) facts.push([mode.title, arrays[mode.array][point].toPrecision(3)]);
  if (x.mode().kind === "similarity" && x.state.picked.length) facts.push(...similarities(x, point));
  const seen = cameras.filter(({ number }) => x.seenBy(number)[point]).map(({ name }) => cameraTitle(name));
  facts.push(["seen by", seen.join(", ") || "no camera"]);
  return facts;
}

/** @param {Explorer} x @param {number} point @returns {[string, string][]} */
function similarities(x, point) {
  return x.shownSets().map((number) => [`similarity, ${x.setup.sets[number].name}`, x.cloud?.read(number)?.scores[point].toFixed(2) ?? ""]);
}

/** The same in one line. @param {Explorer} x @param {number} index @param {number} point */
export function statusOf(x, index, point) {
  const { arrays } = x.data;
  const at = [...arrays.position.subarray(3 * point, 3 * point + 3)].map((v) => v.toFixed(1));
  const parts = [`point ${index}`, `x ${at[0]}  y ${at[1]}  z ${at[2]} m`];
  if (arrays.labels) parts.push(x.setup.classes.names[arrays.labels[point]] || "not scored");
  const read = x.cloud?.read(x.shownSet());
  const { kind, title } = x.mode();
  if (read && kind === "similarity" && x.state.picked.length) parts.push(`similarity ${read.scores[point].toFixed(2)}`);
  if (read && kind === "score") parts.push(`${title} ${read.scores[point].toFixed(2)}`);
  return parts.join("  ·  ");
}
