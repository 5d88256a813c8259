// A camera's image with the points that fall on it, in the cloud's colours.

import { button, canvasOf, capture, icon, make } from "./dom.js";
import { farthestFirst } from "./finding.js";
import { RING, ring } from "./marks.js";
import { clamp } from "./maths.js";
import { cameraTitle } from "./numbers.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

export class Picture {
  /** @param {Explorer} explorer @param {import("./maths.js").Camera} camera @param {boolean} large */
  constructor(explorer, camera, large) {
    this.explorer = explorer;
    this.camera = camera;
    this.large = large;
    /** @type {ImageBitmap | null} */
    this.bitmap = null;
    /** @type {{canvas: HTMLCanvasElement, cells: boolean} | null} what lies over the photograph */
    this.kept = null;
    this.key = ""; // of what it depends on
    /** @type {number[][] | null} two corners, as ratios of width and height */
    this.box = null;
    const title = cameraTitle(camera.name);
    this.canvas = make("canvas", "kx-image");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Image of ${title}: click a pixel, or draw a box`);
    const tools = make("div", "kx-corner",
      button("view", `See the cloud from ${camera.name}`, () => explorer.viewFrom(camera.name)),
      button(icon(large ? "close" : "full"), large ? "Close the image" : `Enlarge ${camera.name}`, () =>
        explorer.enlarge(large ? null : camera.name)));
    this.node = make("figure", "kx-picture", this.canvas, make("figcaption", "", title), tools);
    this.node.style.aspectRatio = `${camera.width} / ${camera.height}`;
    this.node.style.setProperty("--shape", String(camera.width / camera.height));
    this.listen();
    this.load();
  }

  async load() {
    const { data } = this.explorer;
    /** @param {string} name */
    const pairs = (name) => data.arrays[`pairs/${this.camera.number}/${name}`];
    this.pairs = { point: pairs("point"), uv: pairs("uv"), depth: pairs("depth") };
    this.order = farthestFirst(this.pairs.depth);
    this.bitmap = await this.explorer.bitmapOf(data, this.camera.number);
    this.draw();
  }

  /** Place under the pointer, as ratios of width and height (0 to 1). @param {MouseEvent} event */
  placeAt(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  /**
   * Pairs within `radius` screen pixels of a place, the nearest first: distance and number.
   * @param {number[]} place @param {number} radius
   */
  pairsAt([x, y], radius) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { uv, point } = this.pairs;
    const isShown = this.explorer.visibility();
    const found = [];
    for (let i = 0; i < point.length; i++) {
      const far = Math.hypot((uv[2 * i] / 65535 - x) * width, (uv[2 * i + 1] / 65535 - y) * height);
      if (far <= radius && isShown(point[i])) found.push([far, i]);
    }
    return found.sort((a, b) => a[0] - b[0]);
  }

  /**
   * The point at a click: of those about equally close to the pointer, the one nearest to the camera.
   * @param {number[]} place
   */
  pointAt(place) {
    const near = this.pairsAt(place, 9);
    if (!near.length) return -1;
    const candidates = near.filter(([far]) => far <= near[0][0] + 1.5).map(([, i]) => i);
    const best = candidates.reduce((a, b) => (this.pairs.depth[b] < this.pairs.depth[a] ? b : a));
    return this.pairs.point[best];
  }

  listen() {
    const { canvas, explorer } = this;
    /** @type {number[] | null} */
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      start = this.placeAt(event);
      capture(canvas, event);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = this.placeAt(event);
      if (!start) return explorer.hoverImage(this, place, event);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const far = Math.hypot((place[0] - start[0]) * width, (place[1] - start[1]) * height);
      if (far > 5 || this.box) {
        this.box = [start, place.map((value) => clamp(value, 0, 1))];
        this.draw();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const { box } = this;
      if (start && !box) explorer.click(this.pointAt(this.placeAt(event)), event, this.camera.name);
      [start, this.box] = [null, null];
      if (box) explorer.selection.ofBox(this, box);
    });
    canvas.addEventListener("pointercancel", () => { [start, this.box] = [null, null]; this.draw(); });
    canvas.addEventListener("pointerleave", () => explorer.hover(null));
  }

  /**
   * Points whose pixel lies in a box, with their place in screen pixels and their depth in metres.
   * @param {number[][]} box
   */
  inside([a, b]) {
    const [left, right] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])].map((v) => v * 65535);
    const [top, bottom] = [Math.min(a[1], b[1]), Math.max(a[1], b[1])].map((v) => v * 65535);
    const { uv, point, depth } = this.pairs;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const isShown = this.explorer.visibility();
    const found = [];
    for (let i = 0; i < point.length; i++) {
      const [u, v] = [uv[2 * i], uv[2 * i + 1]];
      if (u < left || u > right || v < top || v > bottom || !isShown(point[i])) continue;
      found.push({ point: point[i], x: (u / 65535) * width, y: (v / 65535) * height, depth: depth[i] / 100 });
    }
    return found;
  }

  draw() {
    const { canvas, explorer } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * ratio));
    if (!this.bitmap || !width || !explorer.data) return;
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.drawImage(this.bitmap, 0, 0, width, height);
    const overlay = this.overlay(width, height, ratio);
    if (overlay) {
      context.globalAlpha = overlay.cells ? 0.75 : 0.9;
      context.drawImage(overlay.canvas, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    this.drawMarks(context, width, height, ratio);
    if (this.box) this.drawBox(context, width, height, ratio);
  }

  /**
   * The colours over the photograph; they are kept until something has changed.
   * @param {number} width @param {number} height @param {number} ratio
   */
  overlay(width, height, ratio) {
    const { explorer } = this;
    const { cloud, limits, threshold } = explorer;
    const number = explorer.shownSet();
    const key = JSON.stringify([width, height, number, explorer.mode().name, cloud?.version, cloud?.isColoured(number), limits, threshold]);
    if (this.key !== key) this.kept = explorer.mapColours(this.camera) || this.dots(width, height, ratio);
    this.key = key;
    return this.kept;
  }

  /**
   * The selected points, and rings around the picked ones.
   * @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {number} ratio
   */
  drawMarks(context, width, height, ratio) {
    const { explorer, pairs } = this;
    const { uv, point } = pairs;
    const selected = explorer.selection.numbers;
    if (selected.size) {
      context.fillStyle = `rgb(${explorer.style().accent.join(",")})`;
      const side = Math.max(2, Math.round((this.large ? 3 : 2) * ratio));
      for (let i = 0; i < point.length; i++) {
        if (selected.has(point[i])) context.fillRect((uv[2 * i] / 65535) * width - side / 2, (uv[2 * i + 1] / 65535) * height - side / 2, side, side);
      }
    }
    const kinds = new Map(explorer.marks().map((mark) => [mark.point, mark.kind]));
    if (!kinds.size) return;
    for (let i = 0; i < point.length; i++) {
      const kind = kinds.get(point[i]);
      if (kind) ring(context, (uv[2 * i] / 65535) * width, (uv[2 * i + 1] / 65535) * height, (this.large ? RING.radius : 7) * ratio, kind, ratio);
    }
  }

  /** The cloud's colours at the pixels of its points. @param {number} width @param {number} height @param {number} ratio */
  dots(width, height, ratio) {
    const { explorer } = this;
    const { kind } = explorer.mode();
    if (kind === "colour") return null;
    const read = explorer.cloud?.lastRead(explorer.shownSet());
    if (!read) return null;
    const colours = new Uint32Array(read.colours.buffer);
    const pixels = new Uint32Array(width * height);
    const apart = Math.sqrt((width * height) / Math.max(this.order.length, 1));
    const across = clamp(Math.round(0.4 * apart), Math.round(ratio), Math.round(4 * ratio));
    const least = kind === "similarity" ? explorer.limits[0] + 0.25 * (explorer.limits[1] - explorer.limits[0]) : null;
    for (const i of this.order) {
      const colour = colours[this.pairs.point[i]];
      if (colour >>> 24 < 255 || (least !== null && read.scores[this.pairs.point[i]] < least)) continue;
      const left = Math.round((this.pairs.uv[2 * i] / 65535) * width - across / 2);
      const top = Math.round((this.pairs.uv[2 * i + 1] / 65535) * height - across / 2);
      for (let y = Math.max(top, 0); y < Math.min(top + across, height); y++)
        for (let x = Math.max(left, 0); x < Math.min(left + across, width); x++)
          pixels[y * width + x] = colour;
    }
    return { canvas: canvasOf(pixels, width, height), cells: false };
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {number} ratio */
  drawBox(context, width, height, ratio) {
    const [[x0, y0], [x1, y1]] = this.box;
    context.lineWidth = 2 * ratio;
    context.strokeStyle = "#ffffff";
    context.fillStyle = "rgba(255, 255, 255, 0.18)";
    const at = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height];
    context.fillRect(at[0], at[1], at[2], at[3]);
    context.strokeRect(at[0], at[1], at[2], at[3]);
  }
}
