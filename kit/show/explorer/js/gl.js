// Small helpers for WebGL2: programs, textures, buffers, a picture to draw into.

/**
 * @typedef {{frame: WebGLFramebuffer, colour: WebGLTexture, depth: WebGLTexture, width: number,
 *   height: number}} Target to draw into
 */

export const LOCATIONS = { position: 0, value: 1, rgb: 2, rest: 3, label: 4, predicted: 5, colour: 6, mark: 7, score: 8 };

/**
 * @param {WebGL2RenderingContext} gl @param {string} vertex @param {string} fragment
 * @param {string[] | null} outputs of the vertex shader that are written into buffers
 */
export function program(gl, vertex, fragment, outputs = null) {
  const made = gl.createProgram();
  /** @type {[number, string][]} */
  const parts = [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]];
  for (const [type, source] of parts) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  for (const [name, place] of Object.entries(LOCATIONS)) gl.bindAttribLocation(made, place, `a_${name}`);
  if (outputs) gl.transformFeedbackVaryings(made, outputs, gl.SEPARATE_ATTRIBS);
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    const logs = (gl.getAttachedShaders(made) || []).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`${gl.getProgramInfoLog(made)} ${logs.join(" ")}`);
  }
  /** @type {Record<string, WebGLUniformLocation>} */
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { made, uniforms };
}

/**
 * A texture of rows of numbers, read without interpolation; an existing one gets new content.
 * @param {WebGL2RenderingContext} gl @param {ArrayBufferView | null} data @param {number} width @param {number} height @param {"rgba8" | "rgba8i" | "rgba32f"} kind @param {WebGLTexture | null} existing
 */
export function texture(gl, data, width, height, kind, existing = null) {
  const [inner, format, type] = {
    rgba8: [gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE],
    rgba8i: [gl.RGBA8I, gl.RGBA_INTEGER, gl.BYTE],
    rgba32f: [gl.RGBA32F, gl.RGBA, gl.FLOAT],
  }[kind];
  const made = existing || gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage2D(gl.TEXTURE_2D, 0, inner, width, height, 0, format, type, data);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  return made;
}

/** A photograph as a texture. @param {WebGL2RenderingContext} gl @param {ImageBitmap} bitmap */
export function photoTexture(gl, bitmap) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  return made;
}

/** @param {WebGL2RenderingContext} gl @param {WebGLUniformLocation} location @param {number} unit @param {WebGLTexture} made */
export function bindTexture(gl, location, unit, made) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.uniform1i(location, unit);
}

/**
 * A picture with colour and depth to draw into, both readable as textures.
 * @param {WebGL2RenderingContext} gl @param {number} width @param {number} height
 * @param {Target | null} existing @returns {Target}
 */
export function target(gl, width, height, existing = null) {
  if (existing && existing.width === width && existing.height === height) return existing;
  const made = existing || { frame: gl.createFramebuffer(), colour: gl.createTexture(), depth: gl.createTexture(), width, height };
  Object.assign(made, { width, height });
  gl.bindFramebuffer(gl.FRAMEBUFFER, made.frame);
  /** @type {[WebGLTexture, number, number, number, number][]} */
  const parts = [
    [made.colour, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, gl.COLOR_ATTACHMENT0],
    [made.depth, gl.DEPTH_COMPONENT24, gl.DEPTH_COMPONENT, gl.UNSIGNED_INT, gl.DEPTH_ATTACHMENT],
  ];
  for (const [part, inner, format, type, attachment] of parts) {
    gl.bindTexture(gl.TEXTURE_2D, part);
    gl.texImage2D(gl.TEXTURE_2D, 0, inner, width, height, 0, format, type, null);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, attachment, gl.TEXTURE_2D, part, 0);
  }
  return made;
}

/**
 * Read a vertex attribute from a buffer; without one it is constant.
 * @param {WebGL2RenderingContext} gl @param {number} place @param {WebGLBuffer | null} buffer
 * @param {{size?: number, kind?: "float" | "bytes" | "short" | "uint", stride?: number,
 *   offset?: number, constant?: number}} layout bytes and short are scaled to [0, 1] and [-1, 1]
 */
export function attribute(gl, place, buffer, { size = 1, kind = "float", stride = 0, offset = 0, constant = 0 }) {
  if (!buffer) {
    gl.disableVertexAttribArray(place);
    if (kind === "uint") gl.vertexAttribI4ui(place, constant, 0, 0, 0);
    else gl.vertexAttrib4f(place, constant, 0, 0, 0);
    return;
  }
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  if (kind === "uint") gl.vertexAttribIPointer(place, 1, gl.UNSIGNED_BYTE, stride, offset);
  else {
    const type = { float: gl.FLOAT, bytes: gl.UNSIGNED_BYTE, short: gl.SHORT }[kind];
    gl.vertexAttribPointer(place, size, type, kind !== "float", stride, offset);
  }
}
