// Draws the cloud of an explorer: points, light, cameras and boxes in space, depth shading.

import { LOCATIONS, attribute, bindTexture, photoTexture, program, target, texture } from "./gl.js";
import { cameraMatrix, clipMatrix, focalOf, imageBox } from "./maths.js";
import { ratios } from "./numbers.js";
import {
  NUMBER_FRAGMENTS, NUMBER_SHADER, POINT_FRAGMENTS, POINT_SHADER, SCREEN_FRAGMENTS, SCREEN_SHADER,
  SHAPE_FRAGMENTS, SHAPE_SHADER,
} from "./shaders.js";
import { Cloud } from "./cloud.js";

const PICK_RADIUS = 8; // pixels around the pointer in which a point is found
const FINER = 0.42; // size of points over a photograph
const WINDOW = 2 * PICK_RADIUS + 1;

/**
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
    this.numbering = program(gl, NUMBER_SHADER, NUMBER_FRAGMENTS);
    this.shaping = program(gl, SHAPE_SHADER, SHAPE_FRAGMENTS);
    this.screening = program(gl, SCREEN_SHADER, SCREEN_FRAGMENTS);
    this.whenShaping = gl.createVertexArray();
    this.whenScreening = gl.createVertexArray();
    this.window = target(gl, WINDOW, WINDOW);
    /** @type {Map<number, WebGLTexture>} by the number of the camera */
    this.photos = new Map();
    /** @type {WebGLBuffer | null} of shapes */
    this.shapeBuffer = null;
    /** @type {import("./gl.js").Target | null} what is drawn into, before it comes to the screen */
    this.picture = null;
    this.blank = texture(gl, new Uint8Array(4), 1, 1, "rgba8"); // what is drawn into must not be bound
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  load(data) {
    super.load(data);
    for (const photo of this.photos.values()) this.gl.deleteTexture(photo);
    this.photos.clear();
  }

  /** Keep a camera's photograph for frusta and for the view from the camera. */
  photo(number, bitmap) {
    this.photos.set(number, photoTexture(this.gl, bitmap));
  }

  /** The camera whose own view is shown, or undefined. */
  cameraOf(view) {
    return view.camera && this.data.cameras.find(({ name, K }) => name === view.camera && K);
  }

  /** @param {import("./maths.js").View} view @param {Panel} panel */
  matrixOf(view, { width, height }) {
    const camera = this.cameraOf(view);
    return camera ? cameraMatrix(camera, width, height) : clipMatrix(view, width / height);
  }

  /**
   * Diameter of a point in pixels at a distance of one metre, the least and the most, and the ratio
   * by which points without a value are smaller.
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
   * @param {Panel[]} panels @param {import("./maths.js").View} view
   * @param {Style} style colours of the page, sizes, what else is drawn
   * @param {number} ratio of the points that are drawn, larger the fewer they are
   */
  draw(panels, view, style, ratio = 1) {
    const { gl } = this;
    const shown = ratio * style.density;
    const larger = { ...style, pointSize: style.pointSize * Math.min(1 / Math.sqrt(shown), 1.7) };
    this.picture = target(gl, this.canvas.width, this.canvas.height, this.picture);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.picture.frame);
    gl.disable(gl.SCISSOR_TEST);
    gl.enable(gl.DEPTH_TEST);
    gl.depthMask(true);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    for (const panel of panels) if (this.panels.has(panel.number)) this.drawPanel(panel, view, larger, Math.ceil(this.count * shown));
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    for (const panel of panels) this.screen(panel, view, style, ratio < 1);
    gl.disable(gl.SCISSOR_TEST);
  }

  scissor({ x, y, width, height, clip }) {
    const [left, right] = clip || [x, x + width];
    this.gl.viewport(x, y, width, height);
    this.gl.scissor(left, y, Math.max(right - left, 0), height);
  }

  drawPanel(panel, view, style, count) {
    const { gl } = this;
    const { uniforms: u } = this.drawing;
    const own = this.panels.get(panel.number);
    const matrix = this.matrixOf(view, panel);
    gl.useProgram(this.drawing.made);
    this.attributesFor(panel.number);
    this.scissor(panel);
    gl.uniformMatrix4fv(u.u_matrix, false, matrix);
    gl.uniform4fv(u.u_size, this.pointSize(view, panel, style));
    gl.uniform1f(u.u_spread, this.spread());
    gl.uniform3fv(u.u_accent, ratios(style.accent));
    gl.uniform3f(u.u_glow, 0, 1, 0);
    gl.uniform1i(u.u_marking, 0);
    gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 0);
    if (this.marked && count < this.count) {
      gl.uniform1i(u.u_marking, 1);
      gl.drawElements(gl.POINTS, this.count, gl.UNSIGNED_INT, 0);
      gl.uniform1i(u.u_marking, 0);
    }
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    if (style.glow > 0) {
      gl.blendFunc(gl.ONE, gl.ONE);
      gl.uniform3f(u.u_glow, own.limits[0], own.limits[1], style.glow);
      gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 0);
    }
    if (style.shapes && !this.cameraOf(view)) this.drawShapes(style.shapes, matrix);
    gl.depthMask(true);
    gl.disable(gl.BLEND);
  }

  /** Lines, and photographs in space. */
  drawShapes({ lines, quads }, matrix) {
    const { gl } = this;
    const { uniforms: u } = this.shaping;
    gl.useProgram(this.shaping.made);
    gl.bindVertexArray(this.whenShaping);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniformMatrix4fv(u.u_matrix, false, matrix);
    this.shapeBuffer ||= gl.createBuffer();
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
    if (!lines.length) return;
    upload(lines);
    gl.drawArrays(gl.LINES, 0, lines.length / 7);
  }

  /** Bring a panel to the screen: depth shading, and background or photograph behind it. */
  screen(panel, view, style, moving) {
    const { gl } = this;
    const { uniforms: u } = this.screening;
    const camera = this.cameraOf(view);
    const photo = camera && this.photos.get(camera.number);
    gl.useProgram(this.screening.made);
    gl.bindVertexArray(this.whenScreening);
    gl.disable(gl.DEPTH_TEST);
    this.scissor(panel);
    bindTexture(gl, u.u_colour, 0, this.picture.colour);
    bindTexture(gl, u.u_depth, 1, this.picture.depth);
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
    gl.uniform1f(u.u_radius, 1.4 * style.pixelRatio);
    gl.uniform1i(u.u_taps, moving ? 4 : 8);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * Number of the point at (x, y), canvas pixels from the panel's lower left corner; -1 for none.
   * @param {Panel} panel @param {number} x @param {number} y
   */
  pointAt(panel, x, y, view, style) {
    const { gl } = this;
    if (!this.panels.has(panel.number)) return -1;
    const { uniforms: u } = this.numbering;
    gl.useProgram(this.numbering.made);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.window.frame);
    gl.disable(gl.SCISSOR_TEST);
    gl.enable(gl.DEPTH_TEST);
    gl.viewport(0, 0, WINDOW, WINDOW);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.attributesFor(panel.number);
    const [least, most] = [Math.max(1.5, 3 * style.pixelRatio), WINDOW];
    gl.uniformMatrix4fv(u.u_matrix, false, this.matrixOf(view, panel));
    gl.uniform3f(u.u_size, this.pointSize(view, panel, style)[0], least, most);
    gl.uniform1f(u.u_spread, this.spread());
    gl.uniform4f(u.u_window, (2 * x) / panel.width - 1, (2 * y) / panel.height - 1, panel.width / WINDOW, panel.height / WINDOW);
    gl.drawElements(gl.POINTS, Math.ceil(this.count * style.density), gl.UNSIGNED_INT, 0);
    const pixels = new Uint8Array(4 * WINDOW * WINDOW);
    gl.readPixels(0, 0, WINDOW, WINDOW, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return nearestNumber(new Uint32Array(pixels.buffer));
  }

  /** Wait for the end of a frame; calls back with its milliseconds. */
  measure(started, call) {
    const { gl } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    if (!fence) return call(0);
    gl.flush();
    const look = () => {
      const state = gl.isContextLost() ? gl.SIGNALED : gl.getSyncParameter(fence, gl.SYNC_STATUS);
      if (state !== gl.SIGNALED) return setTimeout(look, 2);
      gl.deleteSync(fence);
      call(performance.now() - started);
    };
    setTimeout(look, 2);
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** The number closest to the middle of the window; each is stored as number + 1. */
function nearestNumber(numbers) {
  let [found, nearest] = [-1, Infinity];
  numbers.forEach((number, i) => {
    const far = Math.hypot((i % WINDOW) - PICK_RADIUS, Math.floor(i / WINDOW) - PICK_RADIUS);
    if (number && far < nearest) [found, nearest] = [number - 1, far];
  });
  return found;
}
