// The colours of the points on the GPU, in each feature set.

import { cosineTo, derive } from "./data.js";
import { LOCATIONS, attribute, bindTexture, program, target, texture } from "./gl.js";
import { PointMemory } from "./memory.js";
import { ratios, scaleTable, similarityLimits } from "./numbers.js";
import { COLOUR_SHADER, NO_FRAGMENTS } from "./shaders.js";

const WITHOUT = -1e30; // smaller scores: the point has none
const SAMPLE = 8_000; // points, whose scores choose the range of a large cloud's similarity at first

/**
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./data.js").FeatureSet} FeatureSet
 * @typedef {{feature: import("./data.js").Feature, weight: number}} Pick a picked point
 * @typedef {{colours: WebGLBuffer, scores: WebGLBuffer, limits: [number, number], job: Job | null,
 *   asked: string | null, scored: number, coloured: number, ownLimits: [number, number] | null,
 *   read: Read | null, fresh: {colours: boolean, scores: boolean}}} Coloured points of a feature
 *   set: `scored` and `coloured` of them are done; ownLimits: the range from all their scores;
 *   read: what was read back last, which is up to date where it is fresh
 * @typedef {{colours: Uint8Array, scores: Float32Array}} Read back from the GPU
 * @typedef {{mode: import("./content.js").Mode, limits: [number, number] | null,
 *   threshold: number | null, picks: Record<number, Pick[]>, asked: string,
 *   classTable: Uint8Array, plain: boolean, components: number[], scale: string,
 *   pair: string, noValue: number[], correct: number[], wrong: number[]}} Job what the colours depend on
 * @typedef {{branch: number, limits: number[], from: number, to: number,
 *   colours?: WebGLBuffer | null, scores?: WebGLBuffer | null, value?: WebGLBuffer | null}} Task
 *   for some points: where their colours and scores are wanted, and the numbers to be coloured
 */

export class Cloud extends PointMemory {
  /** @param {WebGL2RenderingContext} gl @param {import("./content.js").Setup} setup */
  constructor(gl, setup) {
    super(gl, setup);
    /** @type {Map<number, Coloured>} by the number of the set */
    this.panels = new Map();
    this.colouring = program(gl, COLOUR_SHADER, NO_FRAGMENTS, ["v_colour", "v_score"]);
    this.feedback = gl.createTransformFeedback();
    this.whenColouring = gl.createVertexArray();
    // A draw call for the screen, even one without pixels, makes the browser clear the canvas.
    this.aside = target(gl, 1, 1);
    // Buffers that the GPU writes are never attributes: what is written is copied.
    this.written = [gl.createBuffer(), gl.createBuffer()];
    /** @type {Record<string, WebGLTexture>} */
    this.scales = Object.create(null);
    /** @type {Record<string, WebGLTexture>} */
    this.tables = {};
  }

  /** Load a keyframe: positions and everything that colours are computed from. @param {Data} data */
  load(data) {
    super.load(data);
    for (const panel of this.panels.values()) this.release(panel);
    this.panels.clear();
    for (const buffer of this.written) this.reserve(buffer, this.part);
  }

  /** Room for one number of four bytes a point. @param {WebGLBuffer} buffer @param {number} count of points */
  reserve(buffer, count) {
    const { gl } = this;
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, buffer);
    gl.bufferData(gl.COPY_WRITE_BUFFER, 4 * count, gl.DYNAMIC_COPY);
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, null);
    return buffer;
  }

  /** @param {Coloured} panel */
  release(panel) {
    for (const buffer of [panel.colours, panel.scores]) this.gl.deleteBuffer(buffer);
  }

  /** The panel of a feature set: a colour and a score for every point. @param {number} number */
  panel(number) {
    let panel = this.panels.get(number);
    if (!panel) {
      const [colours, scores] = [0, 1].map(() => this.reserve(this.gl.createBuffer(), this.count));
      const fresh = { colours: false, scores: false };
      panel = { colours, scores, limits: [0, 1], job: null, asked: null, scored: 0, coloured: 0, ownLimits: null, read: null, fresh };
      this.panels.set(number, panel);
    }
    return panel;
  }

  /**
   * Compute the colours of a panel; of a large cloud the first part, `advance` continues. A
   * similarity takes two steps: scores, then their colours, so that a threshold or a range that is
   * dragged needs only the second.
   * @param {number} number of the feature set @param {Job} job
   */
  colour(number, job) {
    const panel = this.panel(number);
    const asked = job.mode.kind === "similarity" ? job.asked : null;
    if (asked === null || panel.asked !== asked) [panel.scored, panel.ownLimits] = [0, null];
    Object.assign(panel, { job, asked, coloured: 0 });
    this.change();
    this.advance(number);
  }

  /** Compute the next part of the points that were sent. @param {number} number of the feature set */
  advance(number) {
    const panel = this.panels.get(number);
    if (panel.asked !== null && panel.scored < this.count) this.score(number, panel);
    else this.colourPart(number, panel);
  }

  /**
   * The scores of the next part; the first part is coloured at once, by the range of a sample. The
   * range of all scores is known with the last part, and then all points are coloured by it.
   * @param {number} number of the feature set @param {Coloured} panel
   */
  score(number, panel) {
    const { job, scores, scored: from } = panel;
    const to = Math.min(from + this.part, this.ready);
    this.compute(number, job, { branch: job.mode.branch, scores, limits: [0, 1], from, to });
    [panel.scored, panel.fresh.scores] = [to, false];
    if (panel.coloured && to < this.count) return;
    if (to < this.count) panel.limits = job.limits || this.likelyLimits(number);
    panel.coloured = 0;
    this.colourPart(number, panel);
  }

  /** Colour the next part. @param {number} number of the feature set @param {Coloured} panel */
  colourPart(number, panel) {
    const { job, colours, scores, coloured: from } = panel;
    const isSimilarity = panel.asked !== null;
    const to = Math.min(from + this.part, this.ready);
    panel.fresh.colours = false;
    if (!isSimilarity) panel.limits = job.limits;
    else if (!from && panel.scored === this.count) panel.limits = job.limits || panel.ownLimits || this.ownLimits(number);
    const task = isSimilarity ? { branch: 0, value: scores } : { branch: job.mode.branch, scores };
    this.compute(number, job, { ...task, colours, limits: panel.limits, from, to });
    panel.coloured = to;
  }

  /** Whether all points of a panel are coloured. @param {number} number of the feature set */
  isColoured(number) {
    const panel = this.panels.get(number);
    return !panel || panel.coloured === this.count;
  }

  /** The range of a similarity by all its scores. @param {number} number of the feature set */
  ownLimits(number) {
    const panel = this.panels.get(number);
    const { length } = this.features[number] || {};
    panel.ownLimits = similarityLimits(this.readScores(panel), (i) => Boolean(length) && length[i] > 0);
    return panel.ownLimits;
  }

  /** The same by the scores of some points, computed here: those of the others are not known yet. @param {number} number */
  likelyLimits(number) {
    const features = this.features[number];
    const { picks, plain } = this.panels.get(number).job;
    const points = Uint32Array.from({ length: SAMPLE }, (_, k) => Math.floor((k * this.count) / SAMPLE));
    if (!features || !picks[number]) return /** @type {[number, number]} */ ([0, 1]);
    const scores = Float32Array.from(points, (point) => {
      derive(features, point, point + 1);
      return picks[number].reduce((sum, { feature, weight }) => sum + weight * cosineTo(feature, features, point, this.setup.sets[number], plain), 0);
    });
    return similarityLimits(scores, (k) => features.length[points[k]] > 0);
  }

  /** Run the colouring program; colours and scores are copied to where they are wanted. @param {number} number @param {Job} job @param {Task} task */
  compute(number, job, { branch, limits, from, to, colours = null, scores = null, value = null }) {
    const { gl } = this;
    const set = this.setup.sets[number];
    gl.useProgram(this.colouring.made);
    gl.bindVertexArray(this.whenColouring);
    this.inputs(number, job, value);
    this.uniforms(number, job, branch, limits);
    this.tables.classes = texture(gl, job.classTable, 256, 1, "rgba8", this.tables.classes);
    this.pickTable(job.picks[number] || [], set);
    this.componentTable(set, job.components);
    const { uniforms: u } = this.colouring;
    this.tables.empty ||= texture(gl, new Int8Array(4), 1, 1, "rgba8i"); // made here: it takes the active unit
    bindTexture(gl, u.u_scale, 0, this.scaleOf(job.scale));
    bindTexture(gl, u.u_classes, 1, this.tables.classes);
    bindTexture(gl, u.u_pickTable, 2, this.tables.picks);
    bindTexture(gl, u.u_components, 3, this.tables.components);
    bindTexture(gl, u.u_direction, 4, this.features[number] ? this.textures[number] : this.tables.empty);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.aside.frame);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, this.feedback);
    this.written.forEach((buffer, i) => gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, i, buffer));
    gl.enable(gl.RASTERIZER_DISCARD);
    gl.beginTransformFeedback(gl.POINTS);
    gl.drawArrays(gl.POINTS, from, to - from);
    gl.endTransformFeedback();
    gl.disable(gl.RASTERIZER_DISCARD);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, null);
    gl.bindBuffer(gl.TRANSFORM_FEEDBACK_BUFFER, null);
    [colours, scores].forEach((buffer, i) => buffer && this.copy(this.written[i], buffer, from, to));
  }

  /** @param {WebGLBuffer} written @param {WebGLBuffer} wanted @param {number} from @param {number} to */
  copy(written, wanted, from, to) {
    const { gl } = this;
    gl.bindBuffer(gl.COPY_READ_BUFFER, written);
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, wanted);
    gl.copyBufferSubData(gl.COPY_READ_BUFFER, gl.COPY_WRITE_BUFFER, 0, 4 * from, 4 * (to - from));
    for (const place of [gl.COPY_READ_BUFFER, gl.COPY_WRITE_BUFFER]) gl.bindBuffer(place, null);
  }

  /** The attributes of the colouring program. @param {number} number @param {Job} job @param {WebGLBuffer | null} value */
  inputs(number, { mode, pair }, value) {
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

  /** @param {number} number @param {Job} job @param {number} branch @param {number[]} limits */
  uniforms(number, job, branch, limits) {
    const { gl } = this;
    const set = this.setup.sets[number];
    const { uniforms: u } = this.colouring;
    gl.uniform1i(u.u_branch, branch);
    gl.uniform1i(u.u_texels, (set?.channels || 0) / 4);
    gl.uniform1i(u.u_shift, Math.log2(this.widths[number] || 1));
    gl.uniform1i(u.u_ignore, this.setup.classes.ignore);
    gl.uniform2f(u.u_limits, limits[0], limits[1]);
    gl.uniform1i(u.u_thresholded, job.threshold === null ? 0 : 1);
    gl.uniform1f(u.u_threshold, job.threshold ?? 0);
    gl.uniform1f(u.u_least, job.mode.kind === "pair" ? -0.99998 : WITHOUT);
    gl.uniform1i(u.u_plain, job.plain ? 1 : 0);
    gl.uniform1f(u.u_meanSquare, set?.mean_square || 0);
    for (const name of /** @type {const} */ (["noValue", "correct", "wrong"])) gl.uniform3fv(u[`u_${name}`], ratios(job[name]));
  }

  /** The table of a colour scale by its name. @param {string} name */
  scaleOf(name) {
    this.scales[name] ||= texture(this.gl, scaleTable(this.setup.scales[name]), 256, 1, "rgba8");
    return this.scales[name];
  }

  /**
   * One row of texels per pick: weight, length, norm, along; then the coordinates.
   * @param {Pick[]} picks @param {FeatureSet | undefined} set
   */
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

  /**
   * Three rows: the weights of a feature's coordinates in red, green and blue.
   * @param {FeatureSet | undefined} set @param {number[]} components
   */
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
   * Colours (4 per point) and scores of a panel, read back from the GPU once; null while they are
   * being computed.
   * @param {number} number of the feature set @returns {Read | null}
   */
  read(number) {
    const panel = this.panels.get(number);
    if (!panel || panel.coloured < this.count) return null;
    this.readScores(panel);
    if (!panel.fresh.colours) this.fetch(panel.colours, panel.read.colours);
    panel.fresh.colours = true;
    return panel.read;
  }

  /** The same, or what was read last while there is nothing new. @param {number} number */
  lastRead(number) {
    return this.read(number) || this.panels.get(number)?.read || null;
  }

  /** @param {Coloured} panel */
  readScores(panel) {
    panel.read ||= { colours: new Uint8Array(4 * this.count), scores: new Float32Array(this.count) };
    const { scores } = panel.read;
    if (panel.fresh.scores) return scores;
    this.fetch(panel.scores, scores);
    for (let i = 0; i < scores.length; i++) if (scores[i] < WITHOUT) scores[i] = 0;
    panel.fresh.scores = true;
    return scores;
  }

  /** Read the beginning of a buffer. @template {ArrayBufferView} T @param {WebGLBuffer} buffer @param {T} into @returns {T} */
  fetch(buffer, into) {
    const { gl } = this;
    gl.bindBuffer(gl.COPY_READ_BUFFER, buffer);
    gl.getBufferSubData(gl.COPY_READ_BUFFER, 0, into);
    gl.bindBuffer(gl.COPY_READ_BUFFER, null);
    return into;
  }
}
