// The legend in the corner of the cloud: the meaning of the colours, and settings of the mode.

import { meanAgreement } from "./data.js";
import { button, icon, make, press, row, segments, select, slider } from "./dom.js";
import { clamp } from "./maths.js";
import { bestOf, countOf, plainNumber, withCommas } from "./numbers.js";
import { classBars } from "./selection.js";
import { classSwatches, errorSwatches, rangesOf, segmentSwatches } from "./swatches.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./content.js").Mode} Mode
 */

const LITTLE = 560; // pixels of the stage, below which the legend is folded at first
const NARROW = 760; // the same for each of several panels
const ENDS = ["pointerup", "pointercancel"]; // of a drag
const BEST = 100; // points whose classes are counted in a similarity

/** A card that can be folded, and moved by its head. */
export class Legend {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.title = make("strong", "kx-legend-title");
    this.folder = button(icon("fold"), "Fold or unfold the legend", () => { this.chosen = true; this.fold(!this.folded); }, "kx-tool kx-fold");
    this.head = make("div", "kx-card-head", this.title, this.folder);
    this.body = make("div", "kx-legend-body");
    this.node = make("div", "kx-card kx-legend", this.head, this.body);
    this.isDragged = false; // one of its sliders
    this.listen();
    this.listenToSliders();
  }

  /** @param {boolean} folded */
  fold(folded) {
    this.folded = folded;
    this.folder.setAttribute("aria-expanded", String(!folded));
    this.node.dataset.folded = String(folded);
  }

  /** Fold where there is little room in a panel, unless the user has chosen; a moved card stays in sight. */
  suit() {
    const { clientWidth: width } = this.x.stage;
    const panels = this.x.isSwiped() ? 1 : this.x.shownSets().length;
    if (!this.chosen && width) this.fold(width / panels < (panels > 1 ? NARROW : LITTLE));
    if (width && this.node.style.left) this.place(this.node.offsetLeft, this.node.offsetTop);
  }

  /** Make the rows again; the focus stays where it was. */
  show() {
    if (!this.x.data) return;
    const mode = this.x.mode();
    this.title.textContent = mode.title;
    const open = this.body.querySelector("details")?.open;
    const focused = this.controls().indexOf(/** @type {HTMLElement} */ (document.activeElement));
    this.body.replaceChildren(...LEGENDS[mode.kind](this.x, mode), ...otherClasses(this.x, mode, open));
    if (focused >= 0) this.controls()[focused]?.focus();
  }

  /** @returns {HTMLElement[]} */
  controls() {
    return [.../** @type {NodeListOf<HTMLElement>} */ (this.body.querySelectorAll("button, input, select, summary"))];
  }

  /** A slider must not be replaced under the pointer; what changed in the meantime is shown after it. */
  listenToSliders() {
    const end = () => {
      if (this.isDragged) this.x.after.set("legend", () => this.show());
      this.isDragged = false;
      for (const name of ENDS) document.removeEventListener(name, end, true);
      this.x.redraw();
    };
    this.body.addEventListener("pointerdown", (event) => {
      if (!(/** @type {Element} */ (event.target).matches("input"))) return;
      this.isDragged = true;
      for (const name of ENDS) document.addEventListener(name, end, true);
    });
  }

  /** Drag the head to move the card; a double click brings it back. */
  listen() {
    /** @type {{x: number, y: number} | null} */
    let start = null;
    this.head.addEventListener("pointerdown", (event) => {
      if (/** @type {Element} */ (event.target).closest("button")) return;
      const { offsetLeft, offsetTop } = this.node;
      start = { x: event.clientX - offsetLeft, y: event.clientY - offsetTop };
      this.head.setPointerCapture(event.pointerId);
    });
    this.head.addEventListener("pointermove", (event) => {
      if (start) this.place(event.clientX - start.x, event.clientY - start.y);
    });
    for (const name of ENDS) this.head.addEventListener(name, () => { start = null; });
    this.head.addEventListener("dblclick", () => this.node.removeAttribute("style"));
  }

  /** @param {number} left @param {number} top in the column of cards, which begins inside of the stage */
  place(left, top) {
    const { clientWidth, clientHeight } = this.x.stage;
    const { offsetWidth, offsetHeight, parentElement: column } = this.node;
    const within = (/** @type {number} */ at, /** @type {number} */ start, /** @type {number} */ room) => `${clamp(at, 4 - start, Math.max(room - 4, 4) - start)}px`;
    this.node.style.left = within(left, column.offsetLeft, clientWidth - offsetWidth);
    this.node.style.top = within(top, column.offsetTop, clientHeight - offsetHeight);
    this.node.style.bottom = "auto";
  }
}

/**
 * Rows by the kind of mode, see modes.py.
 * @type {Record<string, (x: Explorer, mode: Mode) => Node[]>}
 */
const LEGENDS = {
  number: (x, mode) => [colourBar(x, endsOf(mode), mode.label), mapRow(x)],
  score: (x, mode) => [colourBar(x, endsOf(mode), mode.label), thresholdRow(x, mode.low, mode.high), ...(mode.query ? [] : [mapRow(x)])],
  colour: () => [make("p", "", "Colour of the pixel each point falls on. Grey: no camera sees the point.")],
  features: (x) => componentRows(x),
  similarity: (x) => similarityRows(x),
  labels: (x) => classRows(x, "labels"),
  predictions: (x) => classRows(x, "predictions"),
  errors: (x) => errorRows(x),
  pair: (x, mode) => pairRows(x, mode),
  segments: (x) => segmentRows(x),
};

/** @param {Mode} mode */
const endsOf = ({ low, high }) => [plainNumber(low), plainNumber(high)];

/** @param {Explorer} x @param {string[]} texts of the low and of the high end @param {string} label */
function colourBar(x, texts, label) {
  const bar = make("div", "kx-colourbar");
  bar.style.background = `linear-gradient(to right, ${x.setup.scales[x.scaleName()].join(", ")})`;
  const ends = make("div", "kx-ends", ...[texts[0], label, texts[1]].map((text) => make("span", "", text)));
  return make("div", "kx-scale", bar, ends);
}

/** The colour map of numbers. @param {Explorer} x */
function mapRow(x) {
  const choices = x.setup.colour_maps.map((name) => [name, name]);
  const node = select(choices, x.state.colour_map, "Colour map", (colour_map) => x.change({ colour_map }));
  return make("label", "kx-row", make("span", "", "colour map"), node);
}

/** @param {Explorer} x @param {number} low @param {number} high */
function thresholdRow(x, low, high) {
  const step = (high - low) / 200;
  const text = (/** @type {number | null} */ threshold) => (threshold === null ? "off" : plainNumber(threshold));
  const input = slider(low - step, high, step, x.state.threshold ?? low - step, "Points below this turn grey", (value) => {
    const threshold = value < low ? null : Number(value.toPrecision(5));
    shown.textContent = text(threshold);
    x.change({ threshold });
  });
  input.classList.add("kx-threshold");
  const { node, shown } = row("threshold", input, text(x.state.threshold));
  return node;
}

/** @param {Explorer} x */
function componentRows(x) {
  const set = x.setup.sets[x.shownSet()];
  if (!set?.channels) return [make("p", "", "No features in this set.")];
  const most = set.component_starts.length - 1;
  const rows = ["red", "green", "blue"].map((name, i) => {
    const dot = make("span", `kx-dot kx-${name}`);
    const input = slider(0, Math.max(most, 0), 1, Math.min(x.state.components[i], most), `Component shown as ${name}`, (value) => {
      const components = x.state.components.slice();
      components[i] = value;
      shown.textContent = `${value + 1}`;
      x.change({ components });
    });
    const { node, shown } = row(dot, input, `${x.state.components[i] + 1}`);
    return node;
  });
  return [make("p", "", "Principal components; all sets share one basis"), ...rows];
}

/** @param {Explorer} x */
function similarityRows(x) {
  const low = x.setup.similarity_low[x.state.cosine];
  const choice = segments([
    ["centred", "centred", "Cosine of features minus their mean"],
    ["plain", "plain", "Cosine of the features as they are"],
  ], x.state.cosine, (cosine) => x.change({ cosine }));
  const kinds = segments([
    ["pick", "pick", "A click picks one point"],
    ["positive", "+", "A click adds a point (as with shift)"],
    ["negative", "−", "A click adds a negative example (as with alt)"],
  ], x.clickKind, (kind) => { x.clickKind = kind; x.legend.show(); });
  const range = segments([
    ["auto", "auto", "The range of colours follows the scores: the median is dim"],
    ["fixed", "fixed", "The range of colours ends at a cosine of 1"],
  ], x.state.similarity_range, (similarity_range) => x.change({ similarity_range }));
  const set = x.setup.sets[x.shownSet()];
  const error = set?.channels
    ? `cosine ±${set.error_mean.toFixed(3)}, 99 % within ${set.error_99.toFixed(3)} (${set.channels} × int8 of ${set.width})`
    : "No features in this set.";
  const ranges = rangesOf(x);
  const ends = ranges.length ? ["median", "best"] : x.limits.map(plainNumber);
  return [
    colourBar(x, ends, `${x.state.cosine} cosine`),
    ...(ranges.length ? [make("p", "kx-small", "Each set has a range of its own, written below its name; “fixed” gives all the same.")] : []),
    thresholdRow(x, low, 1),
    make("div", "kx-row", choice, kinds, range),
    ...bestRows(x),
    make("p", "kx-small", error),
  ];
}

/** The classes of the most similar points, the picked ones left out. @param {Explorer} x */
function bestRows(x) {
  const read = x.cloud?.read(x.shownSet());
  const { labels } = x.data?.arrays || {};
  if (!read || !labels || !x.state.picked.length) return [];
  const picked = new Set(x.state.picked_in === x.data.keyframe ? x.state.picked.map((index) => x.pointOf(index)) : []);
  const has = x.hasFeature(x.shownSet());
  const best = bestOf(read.scores, BEST, (i) => has(i) && !picked.has(i));
  if (!best.length) return [];
  const counts = countOf(best.map((point) => labels[point]));
  return [make("p", "", `The ${best.length} most similar points`), ...classBars(x, counts, best.length)];
}

/** @param {Explorer} x @param {string} what */
function classRows(x, what) {
  const counts = x.classCounts(what);
  const nodes = classSwatches(x, what).map((each) => {
    const { label } = each;
    const node = button("", "Click: hide or show. Alt-click: only this one", (event) => toggleClass(x, label, event.altKey, counts), "kx-class");
    node.append(...swatchParts(each));
    node.dataset.label = String(label);
    return press(node, !x.state.hidden_classes.includes(label));
  });
  return nodes.length ? [make("div", "kx-classes", ...nodes)] : [make("p", "", `No ${what} in this keyframe.`)];
}

/**
 * Hide a class or show it, or show only this one.
 * @param {Explorer} x @param {number} label @param {boolean} only @param {Record<number, number>} counts of the classes
 */
function toggleClass(x, label, only, counts) {
  const { hidden_classes: hidden } = x.state;
  const others = Object.keys(counts).map(Number).filter((each) => each !== label && each !== x.setup.classes.ignore);
  const alone = others.every((each) => hidden.includes(each)) && !hidden.includes(label);
  const toggled = hidden.includes(label) ? hidden.filter((each) => each !== label) : [...hidden, label];
  x.change({ hidden_classes: !only ? toggled : alone ? [] : others });
}

/**
 * The classes in modes whose colours are not those of classes, folded at first.
 * @param {Explorer} x
 * @param {import("./content.js").Mode} mode @param {boolean} open
 */
function otherClasses(x, mode, open) {
  if (["labels", "predictions", "segments"].includes(mode.kind) || !x.data?.arrays.labels) return [];
  const hidden = x.state.hidden_classes.length;
  const details = make("details", "kx-details", make("summary", "", hidden ? `classes (${hidden} hidden)` : "classes"), ...classRows(x, "labels"));
  details.open = Boolean(open);
  return [details];
}

/** @param {Explorer} x */
function errorRows(x) {
  const { correct, wrong } = x.errorCounts();
  if (correct + wrong === 0) return [make("p", "", "This keyframe has no labels or no predictions of this set.")];
  return [
    ...errorSwatches(x).map((each) => make("div", "kx-class", ...swatchParts(each))),
    make("p", "kx-small", `${((100 * wrong) / (correct + wrong)).toFixed(1)} % of the scored points are wrong`),
  ];
}

/** Two sets compared: the cosine of each point's two features. @param {Explorer} x @param {import("./content.js").Mode} mode */
function pairRows(x, mode) {
  const [own, other] = x.pairOf();
  const others = x.setup.sets.filter(({ name }) => name !== own && x.pairName(own, name)).map(({ name }) => [name, name]);
  if (!others.length) return [make("p", "", "No other set has features of this width.")];
  const node = select(others, other, "The set to compare with", (compare_with) => x.change({ compare_with }));
  const mean = meanAgreement(x.data.arrays[x.pairName(own, other)]);
  return [
    colourBar(x, endsOf(mode), mode.label),
    make("label", "kx-row", make("span", "", `${own} and`), node),
    make("p", "kx-small", mean === null ? "" : `mean cosine of their features ${mean.toFixed(2)}`),
    mapRow(x),
  ];
}

/** @param {Explorer} x */
function segmentRows(x) {
  const rows = segmentSwatches(x).map((each) => make("div", "kx-class", ...swatchParts(each)));
  return [make("p", "", "The best query of each point, above its threshold"), ...rows];
}

/** A square, its meaning, and how many points have it. @param {import("./swatches.js").Swatch} each */
function swatchParts({ text, colour, count }) {
  const square = make("span", "kx-swatch");
  square.style.background = colour;
  return [square, make("span", "kx-name", text), make("span", "kx-value", withCommas(count))];
}
