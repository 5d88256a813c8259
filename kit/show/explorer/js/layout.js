// The parts of the explorer on the page.

import { capture, make } from "./dom.js";
import { Asking } from "./asking.js";
import { Background } from "./background.js";
import { Footer, Playing } from "./footer.js";
import { showPanels } from "./headings.js";
import { History } from "./history.js";
import { Legend } from "./legend.js";
import { clamp } from "./maths.js";
import { Selection } from "./selection.js";
import { Steps } from "./steps.js";
import { StageTools, Toolbar } from "./toolbar.js";
import { Tooltip } from "./tooltip.js";
import { sync } from "./view.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/** Make all parts and put them into the explorer's element. @param {Explorer} x */
export function build(x) {
  x.root.classList.add("kx");
  x.root.dataset.lmSuppressShortcuts = "true"; // keys are for the explorer, not JupyterLab
  x.root.style.height = `${x.model.get("height")}px`;
  x.history = new History(x);
  x.background = new Background(x);
  x.playing = new Playing(x);
  x.asking = new Asking(x);
  x.selection = new Selection(x);
  x.legend = new Legend(x);
  x.tools = new StageTools(x);
  x.steps = new Steps(x);
  x.toolbar = new Toolbar(x);
  x.footer = new Footer(x);
  x.tooltip = new Tooltip(x);
  x.canvas = newCanvas();
  x.over = make("canvas", "kx-over");
  x.still = make("canvas", "kx-still");
  x.still.hidden = true;
  for (const canvas of [x.over, x.still]) canvas.setAttribute("aria-hidden", "true");
  x.headings = make("div", "kx-headings");
  x.hint = make("div", "kx-hint");
  x.hint.setAttribute("role", "status");
  x.swipeNode = swipeLine(x);
  const left = make("div", "kx-left", x.selection.card, x.legend.node);
  x.stage = make("div", "kx-stage", x.canvas, x.still, x.over, x.headings, x.swipeNode, left, make("div", "kx-right", x.follow, x.tools.node), x.tools.photoRow, x.hint);
  x.largeNode = make("div", "kx-large");
  x.strip = make("div", "kx-strip");
  x.root.replaceChildren(x.toolbar.node, make("div", "kx-middle", x.stage, x.largeNode), x.strip, x.footer.node, x.tooltip.node);
}

export function newCanvas() {
  const canvas = make("canvas", "kx-cloud");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Point cloud: drag or use arrows to turn, click or press Enter to pick a point");
  return canvas;
}

/** The line between two compared sets, to be dragged. @param {Explorer} x */
function swipeLine(x) {
  const node = make("div", "kx-swipe", make("span", "kx-grip"));
  node.tabIndex = 0;
  node.hidden = true;
  for (const [name, value] of Object.entries({ role: "slider", "aria-label": "Line between the two sets", "aria-valuemin": "0", "aria-valuemax": "100" })) node.setAttribute(name, value);
  let dragged = false;
  node.addEventListener("pointerdown", (event) => { dragged = true; capture(node, event); event.preventDefault(); });
  node.addEventListener("pointermove", (event) => {
    const { left, width } = x.stage.getBoundingClientRect();
    if (!dragged) return;
    x.state.swipe = clamp((event.clientX - left) / width, 0, 1);
    showPanels(x);
    x.redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    node.addEventListener(name, () => {
      if (dragged) sync(x, "swipe");
      dragged = false;
    });
  }
  node.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowLeft" ? -0.05 : event.key === "ArrowRight" ? 0.05 : 0;
    if (!step) return;
    x.change({ swipe: clamp(x.state.swipe + step, 0, 1) });
    event.preventDefault();
  });
  return node;
}
