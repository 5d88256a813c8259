// A text box whose words are answered by Python, and its queries as chips.

import { button, make } from "./dom.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

export class Asking {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.input = make("input", "kx-ask");
    Object.assign(this.input, { type: "search", placeholder: "Ask: a car, a tree ...", title: "Words to look for (Enter)" });
    this.input.setAttribute("aria-label", "Words to look for");
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.ask(this.input.value.trim());
      event.stopPropagation();
    });
    this.chips = make("div", "kx-chips");
    this.node = make("div", "kx-asking", this.input, this.chips);
    this.node.hidden = true;
  }

  /** @param {string} text */
  ask(text) {
    const { x } = this;
    if (!text) return;
    const known = x.queries().find(({ title }) => title === text);
    this.input.value = "";
    if (known) return x.change({ mode: known.name });
    x.tell("ask", `Python looks for "${text}" ...`);
    x.link.request("ask", { type: "ask", text });
  }

  /** The queries so far, in the colours of the segments. */
  show() {
    const { x } = this;
    const queries = x.queries();
    this.input.hidden = !x.setup.can_ask || x.model.standalone;
    this.node.hidden = this.input.hidden && !queries.length;
    const kept = this.chips.children;
    if (kept.length !== queries.length) {
      this.chips.replaceChildren(...queries.map(({ name, title }, i) => {
        const dot = make("span", "kx-dot");
        dot.style.background = x.setup.series[i % x.setup.series.length];
        const node = button("", `Show the scores of ${title}`, () => x.change({ mode: name }), "kx-chip");
        node.append(dot, title);
        return node;
      }));
    }
    [...kept].forEach((node, i) => node.setAttribute("aria-pressed", String(queries[i].name === x.mode().name)));
  }
}

/**
 * The best query of each point, by its number; `none` where no score reaches its threshold.
 * @param {{scores: ArrayLike<number>, threshold: number}[]} queries @param {number} count
 * @param {number} none
 */
export function segmentsOf(queries, count, none) {
  const found = new Uint8Array(count).fill(none);
  for (let i = 0; i < count; i++) {
    let best = 0;
    queries.forEach(({ scores, threshold }, number) => {
      const over = scores[i] - threshold;
      if (over > best || (over === 0 && best === 0 && found[i] === none)) [best, found[i]] = [over, number];
    });
  }
  return found;
}
