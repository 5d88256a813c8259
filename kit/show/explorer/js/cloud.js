// The points of a keyframe on the GPU, and their colours in each feature set.

import { derived } from "./data.js";
import { LOCATIONS, attribute, bindTexture, program, texture } from "./gl.js";
import { ratios, scaleTable, similarityLimits } from "./numbers.js";
import { COLOUR_SHADER, NO_FRAGMENTS } from "./shaders.js";

const WITHOUT = -1e30; // smaller scores: the point has none

/**
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./data.js").FeatureSet} FeatureSet
 * @typedef {import("./data.js").Features} Features
 * @typedef {{feature: import("./data.js").Feature, weight: number}} Pick a picked point
 * @typedef {{colours: WebGLBuffer, scores: WebGLBuffer, limits: [number, number],
 *   asked?: string | null, read?: Read | null}} Coloured points of a feature set
 * @typedef {{colours: Uint8Array | null, scores: Float32Array | null}} Read back from the GPU
 * @typedef {{mode: import("./content.js").Mode, limits: [number, number] | null,
 *   threshold: number | null, picks: Record<number, Pick[]>, asked: string, classTable: Uint8Array, plain: boolean, components: number[], scale: string,
 *   pair: string, noValue: number[], correct: number[], wrong: number[],
 *   segments: Uint8Array | null}} Job what the colours depend on
 */

export class Cloud {
  /** @param {WebGL2RenderingContext} gl @param {import("./content.js").Setup} setup */
  constructor(gl, setup) {
    this.gl = gl;
    this.setup = setup;
    this.count = 0; // of the points
    /** @type {Record<string, WebGLBuffer>} by the name of the array */
    this.buffers = Object.create(null);
    /** @type {Record<number, WebGLTexture>} coordinates of features, by the number of the set */
    this.textures = {};
    /** @type {Map<number, Coloured>} by the number of the set */
    this.panels = new Map();
    /** @type {(Features | null)[]} */
    this.features = [];
    /** @type {Data | null} */
    this.data = null;
    /** @type {WebGLBuffer | null} of drawing */
    this.order = null;
    this.marked = false;
    this.colouring = program(gl, COLOUR_SHADER, NO_FRAGMENTS, ["v_colour", "v_score"]);
    this.feedback = gl.createTransformFeedback();
    this.whenColouring = gl.createVertexArray();
    this.whenDrawing = gl.createVertexArray();
    // Buffers that the GPU writes are never attributes: what is written is copied.
    this.written = [gl.createBuffer(), gl.createBuffer()];
    /** @type {Record<string, WebGLTexture>} */
    this.scales = Object.create(null);
    /** @type {Record<string, WebGLTexture>} */
    this.tables = {};
  }

  buffer(name, data) {
    const { gl } = this;
    if (!this.buffers[name]) this.buffers[name] = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
  }

  /** Load a keyframe: positions and everything that colours are computed from. */
  load(data) {
    this.data = data;
    this.count = data.count;
    for (const buffer of Object.values(this.buffers)) this.gl.deleteBuffer(buffer);
    this.buffers = Object.create(null);
    for (const name of Object.keys(data.arrays)) {
      if (/^(position|intensity|colour|labels)$|^(score|predicted|agreement)\//.test(name)) this.buffer(name, data.arrays[name]);
    }
    this.shuffle();
    this.mark(null);
    this.features = this.setup.sets.map((set, number) => (set.channels ? this.loadFeatures(set, number) : null));
    for (const panel of this.panels.values()) this.release(panel);
    this.panels.clear();
    for (const buffer of this.written) this.reserve(buffer);
  }

  /** Room for one number of four bytes a point. */
  reserve(buffer) {
    const { gl } = this;
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, buffer);
    gl.bufferData(gl.COPY_WRITE_BUFFER, 4 * this.count, gl.DYNAMIC_COPY);
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, null);
    return buffer;
  }

  loadFeatures(set, number) {
    const features = derived(this.data.arrays, "", `/${number}`, set);
    const texels = (this.count * set.channels) / 4;
    const rows = Math.ceil(texels / 2048);
    const padded = new Int8Array(2048 * rows * 4);
    padded.set(features.direction);
    this.textures[number] = texture(this.gl, padded, 2048, rows, "rgba8i", this.textures[number]);
    this.buffer(`rest/${number}`, features.rest);
    return features;
  }

  /** Shuffle the order of drawing: its first points, however many, are spread over the whole cloud. */
  shuffle() {
    const { gl } = this;
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    for (let i = this.count - 1, seed = 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const other = seed % (i + 1);
      [order[i], order[other]] = [order[other], order[i]];
    }
    gl.bindVertexArray(this.whenDrawing);
    this.order ||= gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
  }

  release(panel) {
    for (const name of ["colours", "scores"]) this.gl.deleteBuffer(panel[name]);
  }

  /** Mark points with a rim; `points` are their numbers, null for none. */
  mark(points) {
    const marks = new Uint8Array(this.count);
    for (const point of points || []) marks[point] = 1;
    this.buffer("mark", marks);
    this.marked = Boolean(points?.length);
  }

  /** The panel of a feature set: a colour and a score for every point. */
  panel(number) {
    let panel = this.panels.get(number);
    if (!panel) {
      const [colours, scores] = [0, 1].map(() => this.reserve(this.gl.createBuffer()));
      panel = { colours, scores, limits: [0, 1] };
      this.panels.set(number, panel);
    }
    return panel;
  }

  /**
   * Compute the colours of a panel. A similarity takes two steps: scores, then their colours, so
   * that a threshold or a range that is dragged needs only the second.
   * @param {number} number of the feature set @param {Job} job
   */
  colour(number, job) {
    const panel = this.panel(number);
    if (job.mode.kind === "similarity") {
      if (panel.asked !== job.asked) {
        this.compute(number, job, { branch: job.mode.branch, scores: panel.scores, limits: [0, 1] });
        panel.read = null;
        panel.asked = job.asked;
      }
      panel.limits = job.limits || this.ownLimits(number);
      this.compute(number, job, { branch: 0, colours: panel.colours, limits: panel.limits, value: panel.scores });
      if (panel.read) panel.read.colours = null;
      return;
    }
    panel.asked = null;
    panel.limits = job.limits;
    this.compute(number, job, { branch: job.mode.branch, colours: panel.colours, scores: panel.scores, limits: panel.limits });
    panel.read = null;
  }

  ownLimits(number) {
    const { scores } = this.read(number);
    const { rest } = this.features[number] || {};
    return similarityLimits(scores, (i) => Boolean(rest) && rest[4 * i + 1] > 0);
  }

  /** Run the colouring program; colours and scores are copied to where they are wanted. */
  compute(number, job, { branch, limits, colours = null, scores = null, value = null }) {
    const { gl } = this;
    const set = this.setup.sets[number];
    gl.useProgram(this.colouring.made);
    gl.bindVertexArray(this.whenColouring);
    this.inputs(number, job, value);
    this.uniforms(set, job, branch, limits);
    this.tables.classes = texture(gl, job.classTable, 256, 1, "rgba8", this.tables.classes);
    this.pickTable(job.picks[number] || [], set);
    this.componentTable(set, job.components);
    const { uniforms: u } = this.colouring;
    bindTexture(gl, u.u_scale, 0, this.scaleOf(job.scale));
    bindTexture(gl, u.u_classes, 1, this.tables.classes);
    bindTexture(gl, u.u_pickTable, 2, this.tables.picks);
    bindTexture(gl, u.u_components, 3, this.tables.components);
    bindTexture(gl, u.u_direction, 4, set?.channels ? this.textures[number] : (this.tables.empty ||= texture(gl, new Int8Array(4), 1, 1, "rgba8i")));
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, this.feedback);
    this.written.forEach((buffer, i) => gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, i, buffer));
    gl.enable(gl.RASTERIZER_DISCARD);
    gl.beginTransformFeedback(gl.POINTS);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.endTransformFeedback();
    gl.disable(gl.RASTERIZER_DISCARD);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, null);
    gl.bindBuffer(gl.TRANSFORM_FEEDBACK_BUFFER, null);
    [colours, scores].forEach((buffer, i) => buffer && this.copy(this.written[i], buffer));
  }

  copy(from, to) {
    const { gl } = this;
    gl.bindBuffer(gl.COPY_READ_BUFFER, from);
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, to);
    gl.copyBufferSubData(gl.COPY_READ_BUFFER, gl.COPY_WRITE_BUFFER, 0, 0, 4 * this.count);
    for (const place of [gl.COPY_READ_BUFFER, gl.COPY_WRITE_BUFFER]) gl.bindBuffer(place, null);
  }

  /** The attributes of the colouring program. */
  inputs(number, { mode, pair, segments }, value) {
    const { gl, buffers } = this;
    const { ignore } = this.setup.classes;
    const predicted = buffers[`predicted/${number}`];
    const label = { predictions: predicted, segments: buffers.segments }[mode.kind] ?? (mode.kind === "predictions" ? null : buffers.labels);
    const columns = mode.columns || 1;
    if (value) attribute(gl, LOCATIONS.value, value, {});
    else if (mode.kind === "pair") attribute(gl, LOCATIONS.value, buffers[pair], { kind: "short", constant: 2 * WITHOUT });
    else attribute(gl, LOCATIONS.value, buffers[mode.array], { stride: 4 * columns, offset: 4 * (mode.column || 0), constant: 2 * WITHOUT });
    attribute(gl, LOCATIONS.rgb, buffers.colour, { size: 4, kind: "bytes" });
    attribute(gl, LOCATIONS.rest, buffers[`rest/${number}`], { size: 4 });
    attribute(gl, LOCATIONS.label, label, { kind: "uint", constant: ignore });
    attribute(gl, LOCATIONS.predicted, predicted, { kind: "uint", constant: ignore });
  }

  uniforms(set, job, branch, limits) {
    const { gl } = this;
    const { uniforms: u } = this.colouring;
    gl.uniform1i(u.u_branch, branch);
    gl.uniform1i(u.u_texels, (set?.channels || 0) / 4);
    gl.uniform1i(u.u_ignore, this.setup.classes.ignore);
    gl.uniform2f(u.u_limits, limits[0], limits[1]);
    gl.uniform1i(u.u_thresholded, job.threshold === null ? 0 : 1);
    gl.uniform1f(u.u_threshold, job.threshold ?? 0);
    gl.uniform1f(u.u_least, job.mode.kind === "pair" ? -0.99998 : WITHOUT);
    gl.uniform1i(u.u_plain, job.plain ? 1 : 0);
    gl.uniform1f(u.u_meanSquare, set?.mean_square || 0);
    for (const name of /** @type {const} */ (["noValue", "correct", "wrong"])) gl.uniform3fv(u[`u_${name}`], ratios(job[name]));
  }

  /** The table of a colour scale by its name. */
  scaleOf(name) {
    this.scales[name] ||= texture(this.gl, scaleTable(this.setup.scales[name]), 256, 1, "rgba8");
    return this.scales[name];
  }

  /** One row of texels per pick: weight, length, norm, along; then the coordinates. */
  pickTable(picks, set) {
    const width = 1 + (set?.channels || 0) / 4;
    const table = new Float32Array(4 * width * Math.max(picks.length, 1));
    picks.forEach(({ weight, feature }, row) => {
      table.set([weight, feature.length, feature.norm, feature.along], 4 * width * row);
      table.set(feature.own, 4 * width * row + 4);
    });
    this.tables.picks = texture(this.gl, table, width, Math.max(picks.length, 1), "rgba32f", this.tables.picks);
    this.gl.uniform1i(this.colouring.uniforms.u_picks, picks.length);
  }

  /** Three rows: the weights of a feature's coordinates in red, green and blue. */
  componentTable(set, components) {
    const width = Math.max((set?.channels || 0) / 4, 1);
    const table = new Float32Array(12 * width);
    const starts = [0.5, 0.5, 0.5];
    components.forEach((component, row) => {
      if (!set?.channels || component >= set.component_starts.length) return;
      const weights = set.component_weights.slice(component * set.channels, (component + 1) * set.channels);
      table.set(weights, 4 * width * row);
      starts[row] = set.component_starts[component];
    });
    this.tables.components = texture(this.gl, table, width, 3, "rgba32f", this.tables.components);
    this.gl.uniform3fv(this.colouring.uniforms.u_start, starts);
  }

  /**
   * Colours (Uint8, 4 per point) and scores of a panel, read back from the GPU once.
   * @param {number} number of the feature set
   */
  read(number) {
    const { gl } = this;
    const panel = this.panels.get(number);
    if (!panel) return null;
    panel.read ||= { colours: null, scores: null };
    const types = { colours: Uint8Array, scores: Float32Array };
    for (const name of ["colours", "scores"]) {
      if (panel.read[name]) continue;
      panel.read[name] = new types[name](name === "colours" ? 4 * this.count : this.count);
      gl.bindBuffer(gl.COPY_READ_BUFFER, panel[name]);
      gl.getBufferSubData(gl.COPY_READ_BUFFER, 0, panel.read[name]);
      if (name === "scores") panel.read.scores.forEach((score, i, all) => { if (score < WITHOUT) all[i] = 0; });
    }
    gl.bindBuffer(gl.COPY_READ_BUFFER, null);
    return panel.read;
  }
}
