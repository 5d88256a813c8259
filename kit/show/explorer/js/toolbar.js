// The bar above the cloud (modes, feature sets) and the tools over it.

import { button, checkbox, fill, icon, make, press, row, select, slider } from "./dom.js";
import { cameraTitle } from "./numbers.js";
import { keyList } from "./keyboard.js";
import { saveChoices } from "./record.js";
import { goHome, top, viewFrom } from "./view.js";

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./dom.js").IconName} IconName
 * @typedef {import("./content.js").State} State
 * @typedef {{[K in keyof State]: State[K] extends number ? K : never}[keyof State]} NumberName
 * @typedef {{[K in keyof State]: State[K] extends boolean ? K : never}[keyof State]} SwitchName
 */

/** Modes as buttons, and as a list where there is little room. */
export class Toolbar {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.modes = make("div", "kx-modes");
    this.modes.setAttribute("role", "group");
    this.modes.setAttribute("aria-label", "Colours");
    this.list = select([], "", "Colours", (mode) => x.change({ mode }));
    this.list.classList.add("kx-mode-list");
    this.sets = make("div", "kx-segments kx-sets");
    this.compare = select([], "", "Compare feature sets", (value) => x.compare(value));
    const tools = make("div", "kx-tools",
      button(icon("undo"), "Undo (Ctrl Z)", () => x.history.undo(), "kx-tool kx-undo"),
      button(icon("redo"), "Redo (Ctrl Y)", () => x.history.redo(), "kx-tool kx-redo"),
      popover("display", "Display: size, depth, cameras, boxes", () => displayRows(x)),
      popover("save", "Save and share", () => saveChoices(x)),
      popover("help", "Keys and gestures", () => [keyList()]),
      button(icon("full"), "Full screen (F)", () => x.fullscreen(), "kx-tool"));
    this.node = make("div", "kx-bar", this.modes, this.list, make("span", "kx-space"), x.asking.node, make("div", "kx-which", this.sets, x.steps.node, this.compare), tools);
  }

  /** Bring the buttons up to date; they stay the same elements, so that the focus stays. */
  show() {
    const { x } = this;
    const modes = x.setup.modes.filter(({ query }) => !query); // queries are chips
    if (this.modes.childElementCount !== modes.length) {
      this.modes.replaceChildren(...modes.map((mode) => {
        const node = button(mode.title, mode.label || mode.title, () => x.change({ mode: mode.name }), "kx-mode");
        node.dataset.mode = mode.name;
        return node;
      }));
    }
    [...this.modes.children].forEach((node, i) => press(node, modes[i].name === x.mode().name));
    if (this.list.childElementCount !== x.setup.modes.length) fill(this.list, x.setup.modes.map(({ name, title }) => [name, title]), "");
    this.list.value = x.mode().name;
    this.showSets();
  }

  showSets() {
    const { x } = this;
    const { sets } = x.setup;
    const { entries } = x.steps;
    const several = sets.length > 1;
    if (this.sets.childElementCount !== entries.length) {
      this.sets.replaceChildren(...entries.map((entry) => button(entry.name, `Features of ${entry.name}`, () => x.change({ feature_set: sets[x.steps.current(entry)].name, side_by_side: false }))));
      const choices = [["", "one set"], ["side", "side by side"], ...sets.map(({ name }) => [`swipe:${name}`, `swipe to ${name}`])];
      fill(this.compare, choices, "");
    }
    [...this.sets.children].forEach((node, i) => press(node, !x.state.side_by_side && x.steps.isShown(entries[i])));
    x.steps.show();
    this.sets.hidden = !sets.length;
    this.compare.hidden = !several;
    this.compare.value = x.state.side_by_side ? "side" : x.state.swipe_with ? `swipe:${x.state.swipe_with}` : "";
  }
}

/** Tools over the cloud: views, lasso, background. */
export class StageTools {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    x.follow = select([], "", "View from a camera's position", (name) => viewFrom(x, name));
    this.lasso = press(button(icon("lasso"), "Lasso: draw around points to select them (L)", () => x.setLasso(!x.lasso), "kx-tool"), false);
    this.node = make("div", "kx-stage-tools",
      button(icon("top"), "From above, ahead is up (T)", () => top(x), "kx-tool"),
      button(icon("home"), "The first view (H)", () => goHome(x), "kx-tool"),
      this.lasso,
      button(icon("light"), "Dark or light background", () => x.change({ background: x.state.background === "dark" ? "light" : "dark" }), "kx-tool"));
    this.photo = slider(0, 1, 0.05, x.photo, "Photograph behind the points", (value) => { x.photo = value; x.redraw(); });
    this.photoRow = make("label", "kx-card kx-photo", make("span", "", "photograph"), this.photo);
    this.photoRow.hidden = true;
  }

  /** The cameras of the keyframe. */
  show() {
    const { x } = this;
    const cameras = x.data.cameras.map(({ name }) => [name, cameraTitle(name)]);
    fill(x.follow, [["", "cameras"], ...cameras], x.state.view.camera || "");
    x.follow.hidden = !cameras.length;
  }

  showPhoto() {
    this.photoRow.hidden = !this.x.state.view.camera;
  }
}

/**
 * A button that opens a card; it closes with Escape, or by a click elsewhere.
 * @param {IconName} name @param {string} title @param {() => Node[]} rows
 */
function popover(name, title, rows) {
  const card = make("div", "kx-card kx-popover");
  card.hidden = true;
  const open = button(icon(name), title, () => show(Boolean(card.hidden)), "kx-tool");
  open.setAttribute("aria-expanded", "false");
  const node = make("div", "kx-pop", open, card);
  /** @param {MouseEvent} event */
  const outside = (event) => { if (!event.composedPath().includes(node)) show(false); };
  /** @param {boolean} shown */
  function show(shown) {
    card.hidden = !shown;
    open.setAttribute("aria-expanded", String(shown));
    if (shown) card.replaceChildren(...rows());
    document[shown ? "addEventListener" : "removeEventListener"]("pointerdown", outside, true);
  }
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    show(false);
    open.focus();
    event.stopPropagation();
  });
  return node;
}

/** Settings of the display. @param {Explorer} x */
function displayRows(x) {
  /** @param {string} name @param {NumberName} key @param {number} low @param {number} high @param {number} step @param {(value: number) => string} text */
  const range = (name, key, low, high, step, text) => {
    const input = slider(low, high, step, x.state[key], name, (value) => { shown.textContent = text(value); x.change({ [key]: value }); });
    const { node, shown } = row(name, input, text(x.state[key]));
    return node;
  };
  /** @param {string} text @param {SwitchName} key @param {string} title */
  const tick = (text, key, title) => checkbox(text, x.state[key], title, (checked) => x.change({ [key]: checked }));
  const palettes = [["distinct", "distinct classes"], ["dataset", "colours of the data set"]];
  const rows = [
    range("point size", "point_size", 0.3, 4, 0.1, (value) => `${value.toFixed(1)}×`),
    range("density", "density", 0.05, 1, 0.05, (value) => `${Math.round(100 * value)} %`),
    tick("depth shading", "shading", "Points behind others are darker at their borders"),
  ];
  if (x.data?.cameras.length) rows.push(tick("cameras in 3-D", "frusta", "The cameras at their places, with their images"));
  if (x.data?.boxes.length) rows.push(tick("boxes", "boxes", "The annotated objects with their names"));
  if (x.setup.classes.names.length) rows.push(make("label", "kx-row", make("span", "", "classes"), select(palettes, x.state.palette, "Colours of classes", (palette) => x.change({ palette }))));
  return rows;
}
