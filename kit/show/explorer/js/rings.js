// Rings around points and lines between panels, drawn by the GPU over the picture: a canvas above
// it would be one more layer for the browser to compose in every frame.

import { LOCATIONS, attribute, program } from "./gl.js";
import { ratios } from "./numbers.js";
import { RING_FRAGMENTS, RING_SHADER } from "./shaders.js";

const KINDS = { positive: 0, negative: 1, hover: 2, line: 3 };
const NUMBERS = 3; // of each place: x, y, kind

/**
 * @typedef {{x: number, y: number, kind: keyof typeof KINDS}} Ring canvas pixels of its middle, y
 *   from above; of a line only x counts
 */

export class Rings {
  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.gl = gl;
    this.ringing = program(gl, RING_SHADER, RING_FRAGMENTS);
    this.buffer = gl.createBuffer();
    this.whenRinging = gl.createVertexArray();
    gl.bindVertexArray(this.whenRinging);
    attribute(gl, LOCATIONS.position, this.buffer, { size: NUMBERS });
    gl.vertexAttribDivisor(LOCATIONS.position, 1);
    gl.bindVertexArray(null);
  }

  /**
   * Draw on the screen.
   * @param {Ring[]} rings @param {number[]} divider colour of lines @param {number} ratio pixels of the canvas for each of the page
   */
  draw(rings, divider, ratio) {
    const { gl } = this;
    const { uniforms: u } = this.ringing;
    const { width, height } = gl.canvas;
    if (!rings.length) return;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.useProgram(this.ringing.made);
    gl.bindVertexArray(this.whenRinging);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, Float32Array.from(rings.flatMap(({ x, y, kind }) => [x, y, KINDS[kind]])), gl.DYNAMIC_DRAW);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniform2f(u.u_canvas, width, height);
    gl.uniform1f(u.u_ratio, ratio);
    gl.uniform3fv(u.u_divider, ratios(divider));
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, rings.length);
    gl.disable(gl.BLEND);
  }
}
