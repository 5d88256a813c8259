// The canvas of an explorer: its WebGL context, when and how it is drawn, what lies over the points.

import { recolour } from "./colouring.js";
import { Content } from "./content.js";
import { gone, markInUse } from "./contexts.js";
import { newCanvas } from "./layout.js";
import { pixelOf } from "./maths.js";
import { nextRatio } from "./numbers.js";
import { drawFrame, drawOver, drawRings } from "./over.js";
import { Painter } from "./painter.js";
import { shapesOf } from "./shapes.js";
import { drawnView } from "./view.js";

const REST = 220; // milliseconds without a move, after which all points are drawn
const SHADING = 5; // strength of the depth shading
const FRAME = 28; // milliseconds of a frame while the view moves
const LEAST = 8_000; // points of a large cloud that are drawn at least
const FEW = 0.25; // ratio of the points drawn while the view moves, below which there is no light
const SLOW = 1.3 * FRAME; // milliseconds of a frame of few points, above which its pixels are the cost
const COARSE = 0.5; // of the pixels in a row that are then drawn while the view moves
const PATIENT = 120; // milliseconds for which frames go before the legend and images
const LATE = 40; // milliseconds of a frame at rest, above which a click is first answered coarsely

/**
 * @typedef {import("./explorer.js").Explorer} Explorer
 * @typedef {import("./maths.js").View} View
 * @typedef {{point: number, kind: "hover" | "positive" | "negative"}} Mark of a point
 */

/** The methods of the explorer that draw: `this` is always an `Explorer`. */
export class Canvas extends Content {
  /** @type {HTMLCanvasElement} the points, by WebGL */
  canvas;
  /** @type {HTMLCanvasElement} names and the lasso over them */
  over;
  /** @type {HTMLCanvasElement} what was drawn last, while there is no context */
  still;
  /** @type {HTMLElement} */
  stage;
  /** @type {import("./painter.js").Panel[]} */
  panels;
  /** @type {import("./picture.js").Picture[]} */
  pictures;
  /** @type {import("./picture.js").Picture | null} */
  largePicture;
  /** @type {MediaQueryList} */
  scheme;
  /** @type {import("./pointer.js").Lasso | null} */
  lasso = null;
  /** @type {{from: View, started: number} | null} */
  flight = null;
  /** @type {Record<number, import("./cloud.js").Pick[]>} features of the picked points of each set */
  lastPicks;
  /** @type {number[]} points under the pointer */
  hovered = [];
  /** @type {[number, number]} of the colours */
  limits = [0, 1];
  photo = 0.92; // ratio of the photograph behind the points
  frames = 0; // that were drawn
  frameTime = 0; // of the last one, milliseconds
  moving = 0; // when the view last moved; 0: it rests
  drawnRatio = 1; // of the points, while the view moves
  slow = false; // even frames of few points take long
  restTime = 0; // of the last frame at rest, milliseconds
  answering = false; // the next frame answers a click; one with all pixels follows
  /** @type {CanvasRenderingContext2D | null} of a film: every frame is kept, so nothing is left out */
  film = null;
  pixels = 1; // of the canvas for each pixel of the page
  place = ""; // size of the stage, and pixels of the screen for each of the page
  visible = true;
  closed = false;
  /** @type {boolean | undefined} */
  dark;
  resized = false;
  pending = false; // a frame is being measured
  imagesStale = false;
  /** @type {Map<string, () => void>} what is done after the next frame, by name */
  after = new Map();
  due = false; // this frame was drawn
  dueSince = 0; // when the first of what is left was put off
  stale = false; // a frame has to be drawn
  shown = true; // what was drawn last; not yet right after `drawAtOnce`
  waiting = 0; // the number of the next animation frame
  resting = 0; // the timer that ends a move

  /**
   * The browser took the context away: say so, and get one when the explorer is in sight again.
   * @this {Explorer}
   */
  lost() {
    this.cloud = null;
    gone(this);
    this.tell("context", "The browser has released the graphics of this view");
    if (this.visible) setTimeout(() => this.revive(), 300);
  }

  /** Give the context back, and keep a still picture. @this {Explorer} */
  giveBack() {
    if (!this.cloud || !this.data) return;
    this.draw();
    this.catchUp();
    [this.still.width, this.still.height] = [this.canvas.width, this.canvas.height];
    if (this.still.width) this.still.getContext("2d").drawImage(this.canvas, 0, 0);
    this.still.hidden = false;
    this.cloud.close();
    this.cloud = null;
    gone(this);
  }

  /** @this {Explorer} @param {boolean} visible */
  setVisible(visible) {
    this.visible = visible;
    if (!visible || this.closed) return;
    if (!this.cloud) this.revive();
    markInUse(this);
  }

  /** @this {Explorer} */
  revive() {
    if (this.cloud || this.closed || !this.data) return;
    const canvas = newCanvas();
    try {
      this.cloud = new Painter(canvas, this.setup);
    } catch {
      return this.tell("context", "No graphics context can be had; close other views");
    }
    this.canvas.replaceWith(canvas);
    this.canvas = canvas;
    this.listenToCanvas();
    this.tell("context", "");
    markInUse(this);
    this.loadCloud();
    this.redraw(true);
    this.still.hidden = true;
  }

  /** @this {Explorer} */
  loadCloud() {
    const { data } = this;
    this.cloud.load(data);
    if (data.even) this.drawnRatio = Math.min(this.drawnRatio, this.cloud.ready / data.count);
    this.background.start();
    this.cloud.mark(this.selection.numbers.size ? [...this.selection.numbers] : null);
    for (const { number } of data.cameras) {
      this.bitmapOf(data, number).then((bitmap) => {
        const show = () => {
          if (!bitmap || this.data !== data || !this.cloud) return;
          this.cloud.photo(number, bitmap);
          this.redraw();
        };
        if (this.frames) show();
        else this.after.set(`photo ${number}`, show); // the first frame does not wait for photographs
      });
    }
    recolour(this);
  }

  /** @this {Explorer} */
  theme(force = false) {
    const { body } = document;
    const named = body.dataset.jpThemeLight ?? body.dataset.vscodeThemeKind ?? document.documentElement.getAttribute("theme");
    const dark = named ? named === "false" || /dark/.test(named) : this.scheme.matches;
    if (!force && dark === this.dark) return;
    this.dark = dark;
    this.root.dataset.theme = dark ? "dark" : "light";
    this.stage.dataset.theme = this.state.background;
    this.root.style.setProperty("--stage", `rgb(${this.style().background.join(",")})`);
    if (this.data) this.redraw(true);
  }

  /** Colours and sizes for drawing. */
  style() {
    const pixelRatio = this.pixels;
    const { background, point_size: pointSize, density, shading } = this.state;
    const isDark = background === "dark";
    const { kind, query } = this.mode();
    const glows = query || (kind === "similarity" && this.lastPicks?.[this.shownSet()]?.length);
    return {
      ...this.setup.pages[background], pixelRatio, pointSize, density, photo: this.photo,
      shading: shading ? SHADING : 0, lift: isDark ? 0.075 : 0.035,
      glow: isDark && glows ? 0.34 : 0,
    };
  }

  /** @this {Explorer} */
  redraw(resized = false) {
    this.resized ||= resized;
    this.stale = true;
    this.awaitFrame();
  }

  /** Draw in this task, so that the answer is on the screen a frame earlier. @this {Explorer} */
  drawAtOnce() {
    if (this.pending || this.flight) return;
    this.shown = false;
    this.draw();
  }

  /** @this {Explorer} */
  awaitFrame() {
    this.waiting ||= requestAnimationFrame(() => this.frame());
  }

  /** @this {Explorer} */
  frame() {
    this.waiting = 0;
    if (!this.shown) {
      this.shown = true; // the browser shows now what was drawn before this frame
      return this.awaitFrame();
    }
    if (this.pending && this.moving) return this.awaitFrame();
    const late = this.due && performance.now() - this.dueSince > PATIENT;
    if (this.stale && !late) return this.draw(); // first: a coarse answer is replaced by the whole picture
    if (this.due && this.isColoured()) this.catchUp();
    if (this.stale) this.draw();
  }

  /** Whether all points that are shown have their colours. */
  isColoured() {
    return !this.cloud || this.panels.every(({ number }) => this.cloud.isColoured(number));
  }

  /** Do what was left for after a frame, so that the cloud answers first. @this {Explorer} */
  catchUp() {
    const calls = [...this.after.values()];
    this.after.clear();
    this.due = false;
    if (this.data) for (const call of calls) call();
  }

  /** The view moves: fewer points may be drawn until it rests. @this {Explorer} */
  setMoving() {
    this.moving = performance.now();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.moving = 0;
      if (this.drawnRatio < 1 || this.slow) this.redraw();
    }, REST);
  }

  /**
   * The next frame answers a click: where a frame takes long, one of few pixels comes first. A large
   * cloud is coloured part by part anyway.
   */
  answer() {
    this.answering = this.restTime > LATE && !this.film && !this.data.even;
  }

  /** Whether a frame may leave something out, because the next one follows at once. */
  isHurried() {
    return Boolean(this.moving || this.flight) && !this.film;
  }

  /** @this {Explorer} */
  draw() {
    this.stale = false;
    if (!this.data || !this.cloud || !this.stage.clientWidth) return;
    const view = drawnView(this); // ends a flight, which the size depends on
    const moving = this.isHurried();
    this.resize();
    const whole = !this.data.even || moving ? null : this.wholeKey(view); // of a large cloud at rest
    const ratio = moving || whole ? Math.min(this.drawnRatio, this.readyRatio()) : 1;
    const began = performance.now();
    const style = this.style();
    if (ratio < FEW) [style.shading, style.glow] = [0, 0]; // a slow machine: pixels cost more than points
    if (this.answering) style.glow = 0; // it takes all points once more
    const painted = this.data.even || moving || this.answering ? "" : this.wholeKey(view); // of a small one
    if (whole && whole === this.cloud.rested) this.cloud.present(this.cloud.rest, this.panels, view, this.style(), false);
    else if (painted && painted === this.cloud.painted) this.cloud.present(this.cloud.picture, this.panels, view, style, false);
    else {
      this.cloud.draw(this.panels, view, { ...style, shapes: this.shapes() }, ratio, moving || this.answering);
      this.cloud.painted = painted;
      if (!this.pending && !this.answering) this.measure(began, ratio, moving);
      this.background.start();
    }
    drawRings(this, view);
    drawOver(this, view);
    if (this.film) drawFrame(this, this.film);
    if (this.imagesStale || this.resized) this.after.set("images", () => [...this.pictures, this.largePicture].forEach((picture) => picture?.draw()));
    [this.imagesStale, this.resized] = [false, false];
    this.frames++;
    if (!this.due) this.dueSince = performance.now();
    this.due = this.after.size > 0;
    if (this.due) this.awaitFrame();
    if (this.flight || this.answering) this.redraw();
    this.answering = false;
  }

  /** The ratio of the points that are here and have their colours. */
  readyRatio() {
    const coloured = this.panels.map(({ number }) => this.cloud.panels.get(number)?.coloured ?? this.cloud.count);
    return Math.min(this.cloud.ready, ...coloured) / this.cloud.count;
  }

  /** A text that changes with everything that is seen in the picture of all points. @param {View} view */
  wholeKey(view) {
    const { density, frusta, boxes, palette } = this.state;
    const style = { ...this.style(), photo: 0 }; // the photograph is put behind a finished picture
    return JSON.stringify([view, this.panels, style, density, frusta, boxes, palette, this.cloud.version, this.data.keyframe]);
  }

  /**
   * Paint the picture of all points in parts, each about as large as a frame of a moving view.
   * @this {Explorer}
   */
  refining() {
    const view = drawnView(this);
    const part = Math.max(Math.floor(this.drawnRatio * this.cloud.count), 10_000);
    return this.cloud.refining(this.wholeKey(view), this.panels, view, { ...this.style(), shapes: this.shapes() }, part);
  }

  /** What is drawn beside the points. */
  shapes() {
    const { frusta, boxes } = this.state;
    return shapesOf(this.data, { frusta, boxes }, (label) => this.classColours()[label] || [160, 170, 180], this.style().frustum);
  }

  /**
   * Learn from the time of a frame how many points can be drawn while the view moves.
   * @param {number} began @param {number} ratio of the points that were drawn @param {boolean} moving
   */
  measure(began, ratio, moving) {
    const least = Math.min(0.02, LEAST / this.cloud.count);
    this.pending = true;
    this.cloud.measure(began, (spent) => {
      this.pending = false;
      if (!this.data) return; // closed in the meantime
      if (!moving) this.restTime = spent;
      if (!moving && this.data.even) return;
      this.frameTime = spent;
      this.slow ||= ratio < FEW && spent > SLOW;
      if (ratio === this.drawnRatio || ratio === 1) this.drawnRatio = nextRatio(ratio, spent, FRAME, least);
    });
  }

  resize() {
    const full = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.stage;
    const coarse = this.slow && this.isHurried();
    this.pixels = coarse || this.answering ? COARSE * full : full;
    this.stage.toggleAttribute("data-coarse", coarse || this.restTime > LATE);
    const [width, height] = [clientWidth, clientHeight].map((v) => Math.round(v * this.pixels));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      for (const canvas of [this.canvas, this.over]) [canvas.width, canvas.height] = [width, height];
    }
    const place = [clientWidth, clientHeight, full].join(" ");
    this.imagesStale ||= place !== this.place;
    this.place = place;
    const sets = this.shownSets();
    const line = Math.round(this.state.swipe * width);
    this.panels = sets.map((number, i) => {
      if (this.isSwiped()) return { number, x: 0, y: 0, width, height, clip: i ? [line, width] : [0, line] };
      const [left, right] = [i, i + 1].map((at) => Math.round((at * width) / sets.length));
      return { number, x: left, y: 0, width: right - left, height };
    });
  }

  /** Points with a mark: the picked ones of this keyframe, and those under the pointer. */
  marks() {
    /** @type {Mark[]} */
    const found = this.hovered.map((point) => ({ point, kind: "hover" }));
    if (this.state.picked_in !== this.data.keyframe) return found;
    for (const index of this.state.picked) found.push({ point: this.pointOf(index), kind: "positive" });
    for (const index of this.state.negatives) found.push({ point: this.pointOf(index), kind: "negative" });
    return found.filter(({ point }) => point >= 0);
  }

  /**
   * A function that calls another one with the place of a point in a panel, where it is seen.
   * @param {View} view @param {import("./painter.js").Panel} panel
   */
  placing(view, panel) {
    const matrix = this.cloud.matrixOf(view, panel);
    const [low, high] = panel.clip || [panel.x, panel.x + panel.width];
    return (/** @type {ArrayLike<number>} */ at, /** @type {(left: number, y: number) => void} */ call) => {
      const place = pixelOf(matrix, at, panel.width, panel.height);
      if (place && panel.x + place[0] >= low && panel.x + place[0] <= high) call(panel.x + place[0], place[1]);
    };
  }

  /** The panel at an event, and the place in it, pixels from its lower left corner. @param {MouseEvent} event */
  panelAt(event) {
    const { left, bottom } = this.canvas.getBoundingClientRect();
    const ratio = this.pixels;
    const [x, y] = [(event.clientX - left) * ratio, (bottom - event.clientY) * ratio];
    const inside = (/** @type {import("./painter.js").Panel} */ { x: start, width, clip }) => x >= (clip ? clip[0] : start) && x < (clip ? clip[1] : start + width);
    const panel = this.panels.find(inside) || this.panels[0];
    return { panel, x: x - panel.x, y };
  }

  /** @this {Explorer} @param {MouseEvent} event */
  pointAt(event) {
    if (!this.panels || !this.cloud) return -1;
    const { panel, x, y } = this.panelAt(event);
    return this.cloud.pointAt(panel, x, y, drawnView(this), this.style(), this.visibility(panel.number));
  }
}
