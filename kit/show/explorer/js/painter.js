// Draws the cloud of an explorer: points, light, cameras and boxes in space, depth shading.

import { pointUnder } from "./finding.js";
import { LOCATIONS, attribute, bindTexture, photoTexture, program, target, texture } from "./gl.js";
import { cameraMatrix, clipMatrix, focalOf, imageBox } from "./maths.js";
import { ratios } from "./numbers.js";
import { Rings } from "./rings.js";
import {
  POINT_FRAGMENTS, POINT_SHADER, SCREEN_FRAGMENTS, SCREEN_SHADER, SHAPE_FRAGMENTS, SHAPE_SHADER,
} from "./shaders.js";
import { Cloud } from "./cloud.js";
import { atOnce } from "./slices.js";

const PICK_RADIUS = 8; // pixels of the page around the pointer in which a point is found
const FINER = 0.42; // size of points over a photograph
const PASSES = { points: 0, marks: 1, glow: 2 };

/** Steps from a pixel to some around it. @param {number} radius @param {number} count */
const pixelsAround = (radius, count) => Array.from({ length: count }, (_, i) => (2 * Math.PI * i) / count)
  .flatMap((turn) => [Math.cos(turn), Math.sin(turn)].map((side) => Math.round(radius * side)));

/**
 * @typedef {import("./gl.js").Target} Target
 * @typedef {import("./maths.js").View} View
 * @typedef {{number: number, x: number, y: number, width: number, height: number,
 *   clip?: number[]}} Panel in canvas pixels, y from below; clip: the part in x that is drawn
 * @typedef {import("./content.js").Stage & {pixelRatio: number, pointSize: number, density: number,
 *   photo: number, shading: number, lift: number, glow: number, shapes?: Shapes}} Style
 * @typedef {ReturnType<typeof import("./shapes.js").shapesOf>} Shapes
 */

export class Painter extends Cloud {
  /** @param {HTMLCanvasElement} canvas @param {import("./content.js").Setup} setup */
  constructor(canvas, setup) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false });
    if (!gl) throw new Error("no WebGL2");
    super(gl, setup);
    this.canvas = canvas;
    this.drawing = program(gl, POINT_SHADER, POINT_FRAGMENTS);
    this.shaping = program(gl, SHAPE_SHADER, SHAPE_FRAGMENTS);
    this.screening = program(gl, SCREEN_SHADER, SCREEN_FRAGMENTS);
    this.whenShaping = gl.createVertexArray();
    this.whenScreening = gl.createVertexArray();
    this.rings = new Rings(gl);
    /** @type {Map<number, WebGLTexture>} by the number of the camera */
    this.photos = new Map();
    /** @type {WebGLBuffer | null} of shapes */
    this.shapeBuffer = null;
    /** @type {Target | null} what is drawn into, before it comes to the screen */
    this.picture = null;
    this.painted = ""; // what `picture` shows: a key of it, where it can be shown again
    /** @type {Target | null} the picture of all points of a large cloud, see `refining` */
    this.rest = null;
    this.rested = ""; // its key
    this.blank = texture(gl, new Uint8Array(4), 1, 1, "rgba8"); // what is drawn into must not be bound
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** @param {import("./data.js").Data} data */
  load(data) {
    super.load(data);
    [this.rested, this.painted] = ["", ""];
    for (const photo of this.photos.values()) this.gl.deleteTexture(photo);
    this.photos.clear();
  }

  /** Keep a camera's photograph for frusta and for the view from the camera. @param {number} number @param {ImageBitmap} bitmap */
  photo(number, bitmap) {
    this.change();
    this.photos.set(number, photoTexture(this.gl, bitmap));
  }

  /** The camera whose own view is shown, or undefined. @param {View} view */
  cameraOf(view) {
    return view.camera && this.data.cameras.find(({ name, K }) => name === view.camera && K);
  }

  /** @param {View} view @param {Panel} panel */
  matrixOf(view, { width, height }) {
    const camera = this.cameraOf(view);
    return camera ? cameraMatrix(camera, width, height) : clipMatrix(view, width / height);
  }

  /**
   * Diameter of a point in pixels at a distance of one metre, the least and the most, and the ratio
   * by which points without a value are smaller.
   * @param {View} view @param {Panel} panel @param {Style} style
   */
  pointSize(view, { width, height }, { pointSize: scale, pixelRatio }) {
    const camera = this.cameraOf(view);
    const focal = camera ? camera.K[4] * imageBox(camera, width, height).scale : (height / 2) * focalOf(view, width / height);
    const { metres, least, most, without_value } = this.setup.point_size;
    const finer = camera ? FINER : 1;
    return [metres * scale * focal * finer, least * pixelRatio * scale, most * pixelRatio * scale * finer, without_value];
  }

  /** Ratio by which a point is larger for each metre from the lidar. */
  spread() {
    return this.data.spread / this.setup.point_size.metres;
  }

  /** @param {number} number of the feature set */
  attributesFor(number) {
    const { gl, buffers } = this;
    const panel = this.panels.get(number);
    gl.bindVertexArray(this.whenDrawing);
    attribute(gl, LOCATIONS.position, buffers.position, { size: 3 });
    attribute(gl, LOCATIONS.colour, panel.colours, { size: 4, kind: "bytes" });
    attribute(gl, LOCATIONS.mark, buffers.mark, { kind: "uint" });
    attribute(gl, LOCATIONS.score, panel.scores, {});
  }

  /**
   * Draw panels.
   * @param {Panel[]} panels @param {View} view
   * @param {Style} style colours of the page, sizes, what else is drawn
   * @param {number} ratio of the points that are drawn, larger the fewer they are
   * @param {boolean} hurried the next frame follows at once: depth shading looks at fewer pixels
   */
  draw(panels, view, style, ratio = 1, hurried = ratio < 1) {
    this.picture = this.target(this.picture);
    this.painted = "";
    const shown = ratio * style.density;
    const larger = { ...style, pointSize: style.pointSize * Math.min(1 / Math.sqrt(shown), 1.7) };
    atOnce(this.painting(this.picture, panels, view, larger, Math.ceil(this.count * shown)));
    this.present(this.picture, panels, view, style, hurried);
  }

  /** A picture of the canvas' size to draw into. @param {Target | null} existing */
  target(existing) {
    return target(this.gl, this.canvas.width, this.canvas.height, existing);
  }

  /** Bring a picture to the screen. @param {Target} frame @param {Panel[]} panels @param {View} view @param {Style} style @param {boolean} moving */
  present(frame, panels, view, style, moving) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.enable(gl.SCISSOR_TEST);
    for (const panel of panels) this.screen(frame, panel, view, style, moving);
    gl.disable(gl.SCISSOR_TEST);
  }

  /**
   * Paint the picture of all points in parts, while others are on the screen. `rested` is its key
   * when it is done.
   * @param {string} key @param {Panel[]} panels @param {View} view @param {Style} style
   * @param {number} part of the points, drawn at once
   */
  *refining(key, panels, view, style, part) {
    this.rested = "";
    this.rest = this.target(this.rest);
    const larger = { ...style, pointSize: style.pointSize * Math.min(1 / Math.sqrt(style.density), 1.7) };
    yield* this.painting(this.rest, panels, view, larger, Math.ceil(this.count * style.density), part);
    this.rested = key;
  }

  /**
   * Paint panels into a picture, `part` of the points after the other.
   * @param {Target} frame @param {Panel[]} panels @param {View} view @param {Style} style @param {number} count of the points @param {number} part @returns {Generator<undefined, void>}
   */
  *painting(frame, panels, view, style, count, part = count) {
    const { gl } = this;
    const passes = style.glow > 0 ? [PASSES.points, PASSES.glow] : [PASSES.points];
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame.frame);
    gl.disable(gl.SCISSOR_TEST);
    gl.depthMask(true);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const panel of panels) {
      if (!this.panels.has(panel.number)) continue;
      for (const pass of passes) {
        for (let from = 0; from < count; from += part) {
          this.drawPart(frame, panel, view, style, pass, from, Math.min(part, count - from));
          yield;
        }
        if (pass === PASSES.points && this.marked && count < this.count) this.drawPart(frame, panel, view, style, PASSES.marks, 0, this.ready);
      }
      if (style.shapes && !this.cameraOf(view)) this.drawShapes(frame, panel, style.shapes, this.matrixOf(view, panel));
    }
  }

  /** @param {Panel} panel */
  scissor({ x, y, width, height, clip }) {
    const [left, right] = clip || [x, x + width];
    this.gl.enable(this.gl.SCISSOR_TEST);
    this.gl.viewport(x, y, width, height);
    this.gl.scissor(left, y, Math.max(right - left, 0), height);
  }

  /**
   * Draw points of a panel: their colours, only those with a mark, or their glow.
   * @param {Target} frame @param {Panel} panel @param {View} view @param {Style} style
   * @param {number} pass of PASSES @param {number} from @param {number} count
   */
  drawPart(frame, panel, view, style, pass, from, count) {
    const { gl } = this;
    const { uniforms: u } = this.drawing;
    const [low, high] = this.panels.get(panel.number).limits;
    const glowing = pass === PASSES.glow;
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame.frame);
    gl.useProgram(this.drawing.made);
    gl.enable(gl.DEPTH_TEST);
    this.attributesFor(panel.number);
    this.scissor(panel);
    gl.uniformMatrix4fv(u.u_matrix, false, this.matrixOf(view, panel));
    gl.uniform4fv(u.u_size, this.pointSize(view, panel, style));
    gl.uniform1f(u.u_spread, this.spread());
    gl.uniform3fv(u.u_accent, ratios(style.accent));
    gl.uniform3f(u.u_glow, glowing ? low : 0, glowing ? high : 1, glowing ? style.glow : 0);
    gl.uniform1i(u.u_marking, pass === PASSES.marks ? 1 : 0);
    this.blend(glowing);
    if (glowing) gl.blendFunc(gl.ONE, gl.ONE);
    this.drawPoints(from, count);
    this.blend(false);
  }

  /** Whether what is drawn is mixed with what is there, without a depth of its own. @param {boolean} on */
  blend(on) {
    const { gl } = this;
    if (on) gl.enable(gl.BLEND);
    else gl.disable(gl.BLEND);
    gl.depthMask(!on);
  }

  /** Lines, and photographs in space. @param {Target} frame @param {Panel} panel @param {Shapes} shapes @param {Float32Array} matrix */
  drawShapes(frame, panel, { lines, quads }, matrix) {
    const { gl } = this;
    const { uniforms: u } = this.shaping;
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame.frame);
    gl.useProgram(this.shaping.made);
    gl.bindVertexArray(this.whenShaping);
    this.scissor(panel);
    this.blend(true);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniformMatrix4fv(u.u_matrix, false, matrix);
    this.shapeBuffer ||= gl.createBuffer();
    /** @param {Float32Array} data */
    const upload = (data) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.shapeBuffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      attribute(gl, LOCATIONS.position, this.shapeBuffer, { size: 3, stride: 28 });
      attribute(gl, LOCATIONS.rgb, this.shapeBuffer, { size: 4, stride: 28, offset: 12 });
    };
    for (const { number, corners, alpha } of quads) {
      if (!this.photos.has(number)) continue;
      upload(corners);
      gl.uniform1f(u.u_textured, alpha);
      bindTexture(gl, u.u_image, 0, this.photos.get(number));
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    gl.uniform1f(u.u_textured, 0);
    bindTexture(gl, u.u_image, 0, this.blank);
    if (lines.length) {
      upload(lines);
      gl.drawArrays(gl.LINES, 0, lines.length / 7);
    }
    this.blend(false);
  }

  /**
   * Bring a panel to the screen: depth shading, and background or photograph behind it.
   * @param {Target} frame @param {Panel} panel @param {View} view @param {Style} style
   * @param {boolean} moving
   */
  screen(frame, panel, view, style, moving) {
    const { gl } = this;
    const { uniforms: u } = this.screening;
    const camera = this.cameraOf(view);
    const photo = camera && this.photos.get(camera.number);
    gl.useProgram(this.screening.made);
    gl.bindVertexArray(this.whenScreening);
    gl.disable(gl.DEPTH_TEST);
    this.scissor(panel);
    bindTexture(gl, u.u_colour, 0, frame.colour);
    bindTexture(gl, u.u_depth, 1, frame.depth);
    bindTexture(gl, u.u_photo, 2, photo || this.blank);
    gl.uniform4f(u.u_panel, panel.x, panel.y, panel.width, panel.height);
    if (photo) {
      const { left, top, scale } = imageBox(camera, panel.width, panel.height);
      gl.uniform4f(u.u_box, panel.x + left, panel.y + top, scale * camera.width, scale * camera.height);
    }
    gl.uniform1f(u.u_photoAlpha, photo ? style.photo : 0);
    gl.uniform3fv(u.u_background, ratios(style.background));
    gl.uniform1f(u.u_lift, style.lift);
    gl.uniform1f(u.u_strength, photo ? 0 : style.shading); // the photograph shows the depth
    const taps = moving ? 4 : 8;
    gl.uniform1i(u.u_taps, taps);
    gl.uniform2iv(u["u_around[0]"], pixelsAround(1.4 * style.pixelRatio, taps));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * Number of the point at (x, y), canvas pixels from the panel's lower left corner; -1 for none.
   * @param {Panel} panel @param {number} x @param {number} y @param {View} view @param {Style} style
   * @param {(point: number) => boolean} isShown @param {number} radius in which it is looked for, pixels of the page
   */
  pointAt(panel, x, y, view, style, isShown = () => true, radius = PICK_RADIUS) {
    if (!this.panels.has(panel.number)) return -1;
    const [size] = this.pointSize(view, panel, style);
    const place = { x, y, width: panel.width, height: panel.height };
    const { pixelRatio } = style;
    const disc = {
      radius: Math.max(Math.round(radius * pixelRatio), 1), size, spread: this.spread(),
      least: Math.max(1.5, 3 * pixelRatio), most: (2 * PICK_RADIUS + 1) * pixelRatio,
    };
    const count = Math.ceil(this.count * style.density);
    return pointUnder(this.data.arrays.position, count, this.matrixOf(view, panel), place, disc, isShown, this.order);
  }

  /** Wait until the GPU has done what it was asked for. */
  idle() {
    return new Promise((done) => this.measure(0, done));
  }

  /** Wait for the end of a frame; calls back with its milliseconds. @param {number} started @param {(spent: number) => void} call */
  measure(started, call) {
    const { gl } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    if (!fence) return call(0);
    gl.flush();
    const poll = () => {
      const state = gl.isContextLost() ? gl.SIGNALED : gl.getSyncParameter(fence, gl.SYNC_STATUS);
      if (state !== gl.SIGNALED) return setTimeout(poll, 2);
      gl.deleteSync(fence);
      call(performance.now() - started);
    };
    setTimeout(poll, 2);
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
