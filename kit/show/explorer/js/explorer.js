// The explorer: its state, and what follows from a change of it. `widget.js` and `page.js` make one.

import { Canvas } from "./canvas.js";
import { mapColours, recolour } from "./colouring.js";
import { gone, markInUse } from "./contexts.js";
import { decode } from "./data.js";
import { make } from "./dom.js";
import { withoutWebGL } from "./fallback.js";
import { showPanels } from "./headings.js";
import { listenToKeys } from "./keyboard.js";
import { build } from "./layout.js";
import { Link } from "./link.js";
import { changeOthers, enter, leave } from "./linking.js";
import { axesOf, pixelOf, same } from "./maths.js";
import { noticesOf } from "./notices.js";
import { withCommas } from "./numbers.js";
import { Painter } from "./painter.js";
import { Picture } from "./picture.js";
import { Lasso, listenToPointer } from "./pointer.js";
import { frustumAt } from "./shapes.js";
import { statusOf } from "./tooltip.js";
import { drawnView, fly, followCamera, turn, viewFrom, zoom } from "./view.js";

const LEGEND_STATE = ["mode", "feature_set", "side_by_side", "swipe_with", "compare_with", "cosine", "similarity_range", "hidden_classes", "palette", "background", "colour_map"];
const MIDDLE = 160; // pixels of the page around the middle of the view, in which a key picks
const PICK_STATE = ["picked", "negatives", "picked_in"];

/**
 * @typedef {import("./content.js").State} State
 * @typedef {import("./picture.js").Picture} Photograph
 * @typedef {{altKey: boolean, shiftKey: boolean}} Keys of an event
 */

export class Explorer extends Canvas {
  /** @type {"pick" | "positive" | "negative"} */
  clickKind = "pick";
  /** @type {string | null} name of the camera whose image is enlarged */
  large = null;
  /** @type {number | null} of the colours that are shown */
  threshold = null;
  /** @type {string | undefined | null} the camera whose place the view has taken */
  followed = null;
  /** @type {Map<string, string>} sentences on the cloud */
  troubles = new Map();
  /** @type {Uint8Array | undefined} the best query of each point */
  segments;
  /** @type {import("./maths.js").View} */
  home;
  /** @type {PointerEvent | null} over the cloud */
  pointer = null;
  hoverTimer = 0;
  syncTimer = 0; // of moves that have no end of their own

  // The parts that layout.js makes.
  /** @type {import("./history.js").History} */
  history;
  /** @type {import("./background.js").Background} */
  background;
  readVersion = -1; // of the cloud, when its colours were read back
  /** @type {import("./footer.js").Playing} */
  playing;
  /** @type {import("./asking.js").Asking} */
  asking;
  /** @type {import("./selection.js").Selection} */
  selection;
  /** @type {import("./legend.js").Legend} */
  legend;
  /** @type {import("./toolbar.js").StageTools} */
  tools;
  /** @type {import("./toolbar.js").Toolbar} */
  toolbar;
  /** @type {import("./footer.js").Footer} */
  footer;
  /** @type {import("./tooltip.js").Tooltip} */
  tooltip;
  /** @type {HTMLSelectElement} */
  follow;
  /** @type {HTMLElement} */
  headings;
  /** @type {HTMLElement} */
  hint;
  /** @type {HTMLElement} */
  swipeNode;
  /** @type {HTMLElement} */
  largeNode;
  /** @type {HTMLElement} */
  strip;

  /** @param {import("./link.js").Model} model @param {HTMLElement} root an empty element */
  constructor(model, root) {
    super();
    this.model = model;
    this.root = root;
    /** @type {import("./content.js").Setup} */
    this.setup = model.get("setup");
    /** @type {any} */
    const values = Object.fromEntries(this.setup.state.map((name) => [name, model.get(name)]));
    /** @type {State} */
    this.state = values;
    build(this);
    this.link = new Link(this);
    try {
      this.cloud = new Painter(this.canvas, this.setup);
    } catch (error) {
      withoutWebGL(this, error);
      return;
    }
    const bytes = model.get("payload");
    this.remember(model.decoded || decode(this.setup.header, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
    this.link.listen();
    enter(this);
    this.listenToCanvas();
    this.watch();
    this.theme();
    markInUse(this);
    this.goTo(this.state.keyframe);
  }

  /** Change the state, inform Python, and draw again what depends on it. @param {Partial<State>} changes */
  change(changes) {
    if ("mode" in changes && changes.mode !== this.state.mode) {
      const { [this.state.mode]: _, ...others } = this.state.thresholds;
      const thresholds = this.state.threshold === null ? others : { ...others, [this.state.mode]: this.state.threshold };
      changes = { threshold: this.thresholdOf(changes.mode), thresholds, ...changes };
    }
    const real = Object.entries(changes).filter(([name, value]) => !same(this.state[/** @type {keyof State} */ (name)], value));
    if (!real.length) return;
    this.history.note(this.state, Object.fromEntries(real));
    Object.assign(this.state, Object.fromEntries(real));
    for (const [name, value] of real) this.model.set(name, value);
    this.model.save_changes();
    this.refresh(real.map(([name]) => name));
    changeOthers(this, real.map(([name]) => name), fly);
  }

  /** @param {string[]} names */
  refresh(names) {
    if (names.includes("view")) this.follow.value = this.state.view.camera || "";
    if (names.includes("view") && this.state.view.camera !== this.followed) followCamera(this);
    if (names.includes("background")) this.theme(true);
    if (names.includes("keyframe") && this.goTo(this.state.keyframe)) return;
    if (!this.data || !this.cloud) return;
    if (names.includes("picked_in") || names.includes("picked")) this.needPicked();
    if (names.some((name) => this.setup.colour_state.includes(name))) recolour(this);
    if (names.some((name) => PICK_STATE.includes(name))) this.after.set("status", () => this.showStatus(this.state.picked.at(-1)));
    // A slider that is being dragged must not be replaced under the pointer.
    if (names.some((name) => LEGEND_STATE.includes(name))) this.showControls();
    else this.after.set("legend", () => { if (!this.legend.isDragged) this.legend.show(); });
    this.tools.showPhoto();
    showPanels(this);
    this.showNotices();
    this.redraw();
  }

  /** Look for changes of the page: its size, its colours, whether the explorer is in sight. */
  watch() {
    this.observer = new ResizeObserver(() => {
      this.legend.suit();
      this.redraw(true);
    });
    this.observer.observe(this.stage);
    this.sight = new IntersectionObserver((entries) => this.setVisible(entries.at(-1).isIntersecting));
    this.sight.observe(this.stage);
    this.stage.addEventListener("pointerenter", () => this.setVisible(true));
    this.themes = new MutationObserver(() => this.theme());
    for (const node of [document.documentElement, document.body]) this.themes.observe(node, { attributes: true });
    this.scheme = window.matchMedia("(prefers-color-scheme: dark)");
    this.whenScheme = () => this.theme();
    this.scheme.addEventListener("change", this.whenScheme);
  }

  close() {
    this.closed = true;
    this.playing.stop();
    this.link.close();
    this.observer?.disconnect();
    this.sight?.disconnect();
    this.themes?.disconnect();
    this.scheme?.removeEventListener("change", this.whenScheme);
    this.cloud?.close();
    gone(this);
    leave(this);
    for (const data of this.loaded.values()) this.forget(data);
    [this.cloud, this.data] = [null, null];
    this.loaded.clear();
  }

  listenToCanvas() {
    const { canvas } = this;
    listenToPointer(this, canvas);
    listenToKeys(this, canvas);
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      if (canvas === this.canvas && this.cloud) this.lost();
    });
  }

  /** Show a keyframe; false where it has to be asked for. @param {number} keyframe */
  goTo(keyframe) {
    const data = this.loaded.get(keyframe);
    if (!data) {
      this.link.need(keyframe);
      return false;
    }
    this.remember(data);
    this.selection.set(new Int32Array(0));
    this.data = data;
    this.hovered = [];
    this.home ||= { ...this.state.view };
    this.tooltip.hide();
    this.pictures = data.cameras.map((camera) => new Picture(this, camera, false));
    this.strip.replaceChildren(...this.pictures.map((picture) => picture.node));
    this.tools.show();
    this.enlarge(this.large);
    followCamera(this);
    if (this.cloud) this.loadCloud();
    this.needPicked();
    this.showControls();
    this.redraw(true);
    return true;
  }

  /** The keyframe of the picked points has to be here too. */
  needPicked() {
    const { picked_in: from, picked, negatives } = this.state;
    if ((picked.length || negatives.length) && !this.loaded.has(from)) this.link.need(from);
  }

  /** @param {number} by */
  step(by) {
    const count = this.setup.keyframes.length;
    this.change({ keyframe: (this.state.keyframe + by + count) % count });
  }

  /** @param {number} number */
  pressMode(number) {
    if (this.setup.modes[number]) this.change({ mode: this.setup.modes[number].name });
  }

  /** @param {import("./maths.js").Camera} camera */
  mapColours(camera) {
    return this.cloud ? mapColours(this, camera) : null;
  }

  /** A click on the cloud: a point, or the image of a camera in space. @param {MouseEvent} event */
  clickAt(event) {
    const point = this.pointAt(event);
    if (point >= 0) return this.click(point, event, "cloud");
    if (!this.state.frusta || this.state.view.camera || !this.panels || !this.cloud) return;
    const { panel, x, y } = this.panelAt(event);
    const view = drawnView(this);
    const matrix = this.cloud.matrixOf(view, panel);
    const found = frustumAt(this.data.cameras, (each) => pixelOf(matrix, each, panel.width, panel.height), [x, panel.height - y], axesOf(view).eye);
    if (found >= 0) viewFrom(this, this.data.cameras[found].name);
  }

  /** Pick the point closest to the middle of the first panel. @param {Keys} event */
  clickMiddle(event) {
    if (!this.panels || !this.cloud) return;
    const [panel] = this.panels;
    const point = this.cloud.pointAt(panel, panel.width / 2, panel.height / 2, this.state.view, this.style(), this.visibility(panel.number), MIDDLE);
    this.click(point, event, "cloud");
  }

  /** @param {Photograph} picture @param {number[]} place @param {PointerEvent} event */
  hoverImage(picture, place, event) {
    const found = picture.pairsAt(place, 6).slice(0, 24).map(([, i]) => picture.pairs.point[i]);
    this.hover(found, event);
  }

  /** @param {number[] | null} points @param {PointerEvent | null} event */
  hover(points, event = null) {
    if (points === null) this.pointer = null;
    const next = points || [];
    if (!next.length) this.tooltip.hide();
    else if (event) this.tooltip.show(next[0], event);
    if (same(next, this.hovered)) return;
    this.hovered = next;
    this.canvas.style.cursor = this.lasso ? "crosshair" : next.length ? "pointer" : "grab";
    this.after.set("status", () => this.showStatus(next.length ? this.indexOf(next[0]) : undefined));
    this.imagesStale = true;
    this.redraw();
  }

  /** @param {number} point @param {Keys} event @param {string} place */
  click(point, event, place) {
    if (point < 0) return;
    const kind = event.altKey ? "negative" : event.shiftKey ? "positive" : this.clickKind;
    const index = this.indexOf(point);
    const { keyframe } = this.data; // state.keyframe may not be here yet
    let [picked, negatives] = this.state.picked_in === keyframe ? [this.state.picked, this.state.negatives] : [[], []];
    const toggled = (/** @type {number[]} */ list) => (list.includes(index) ? list.filter((each) => each !== index) : [...list, index]);
    if (kind === "pick") [picked, negatives] = [[index], []];
    else if (kind === "positive") [picked, negatives] = [toggled(picked), negatives.filter((each) => each !== index)];
    else [picked, negatives] = [picked.filter((each) => each !== index), toggled(negatives)];
    this.answer();
    this.change({ picked_in: keyframe, picked, negatives });
    this.after.set("status", () => this.showStatus(index));
    this.redraw();
    this.drawAtOnce();
    this.link.send({ type: "click", point: index, kind, keyframe, place, picked, negatives });
  }

  /** Select points: they get a rim, and Python gets their index. @param {Int32Array} points @param {string} place */
  select(points, place) {
    this.cloud?.mark(points);
    const indices = Int32Array.from(points, (point) => this.indexOf(point)).sort();
    this.link.send({ type: "select", place, keyframe: this.data.keyframe }, [indices.buffer]);
    this.selection.set(points);
    this.footer.status.textContent = `${withCommas(points.length)} points selected`;
    this.imagesStale = true;
    this.redraw();
  }

  /** @param {boolean} on */
  setLasso(on) {
    this.lasso = on ? new Lasso(this) : null;
    this.tools.lasso.setAttribute("aria-pressed", String(on));
    this.canvas.style.cursor = on ? "crosshair" : "grab";
  }

  clear() {
    this.setLasso(false);
    this.change({ picked: [], negatives: [] });
    this.selection.clear();
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  /** @param {number} dx @param {number} dy */
  turn(dx, dy) {
    turn(this, dx, dy);
  }

  /** @param {number} times */
  zoom(times) {
    zoom(this, times);
  }

  /** @param {string} name */
  viewFrom(name) {
    viewFrom(this, name);
  }

  /**
   * Say something on the cloud, for a while or until it is taken back with "".
   * @param {string} key @param {string} text
   */
  tell(key, text, milliseconds = 0) {
    if (text) this.troubles.set(key, text);
    else this.troubles.delete(key);
    if (milliseconds) setTimeout(() => this.tell(key, ""), milliseconds);
    this.showNotices();
  }

  showNotices() {
    const texts = noticesOf(this);
    if (same(texts, [...this.hint.children].map((node) => node.textContent))) return; // a screen reader would repeat them
    this.hint.replaceChildren(...texts.map((text) => make("p", "", text)));
  }

  /** @param {number} [index] */
  showStatus(index) {
    const { keyframe } = this.data;
    if (index === undefined && this.state.picked_in === keyframe) index = this.state.picked.at(-1);
    const point = index === undefined ? -1 : this.pointOf(index);
    const { token, scene, count } = this.setup.keyframes[keyframe];
    this.footer.status.textContent = point < 0 ? `${scene || token} · ${withCommas(count)} points` : statusOf(this, index, point);
  }

  showControls() {
    this.toolbar.show();
    this.asking.show();
    this.footer.show();
    this.tools.showPhoto();
    showPanels(this);
    this.legend.suit();
    this.legend.show();
    this.showStatus();
    this.showNotices();
  }

  /** @param {string} name */
  enlarge(name) {
    this.large = name;
    const camera = this.data.cameras.find((each) => each.name === name);
    this.largePicture = camera ? new Picture(this, camera, true) : null;
    this.largeNode.replaceChildren(...(camera ? [this.largePicture.node] : []));
    this.largeNode.hidden = !camera;
    this.redraw(true);
  }
}
