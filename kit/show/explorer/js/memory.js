// The arrays of a keyframe in the memory of the GPU: reserved at once, filled part by part.

import { derive, featuresOf } from "./data.js";
import { texture } from "./gl.js";

const LEAST_WIDTH = 2048; // of a texture of features; every WebGL2 has as much
let lastVersion = 0; // of any cloud on the page
const SENT = /^(position|intensity|colour|labels)$|^(score|predicted|agreement)\//;

/**
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./data.js").Features} Features
 * @typedef {import("./data.js").Numbers} Numbers
 */

/**
 * Width and rows of a texture for as many texels, about square: the width is a power of two, so that
 * a part of a large cloud begins with a row.
 * @param {number} texels @param {number} least width
 */
export function layoutOf(texels, least = LEAST_WIDTH) {
  let width = least;
  while (texels > width * width) width *= 2;
  return { width, rows: Math.ceil(texels / width) };
}

export class PointMemory {
  /** @param {WebGL2RenderingContext} gl @param {import("./content.js").Setup} setup */
  constructor(gl, setup) {
    this.gl = gl;
    this.setup = setup;
    this.count = 0; // of the points
    this.part = 0; // of the points, that are sent and coloured at once: all of a small cloud
    this.ready = 0; // points that were sent
    this.version = 0; // a number of its own for everything that is drawn
    /** @type {Record<string, WebGLBuffer>} by the name of the array */
    this.buffers = Object.create(null);
    /** @type {[string, Numbers][]} arrays that are sent to the buffers of the same name */
    this.sent = [];
    /** @type {Record<number, WebGLTexture>} coordinates of features, by the number of the set */
    this.textures = {};
    /** @type {Record<number, number>} their widths */
    this.widths = {};
    this.leastWidth = LEAST_WIDTH;
    /** @type {number} the width and the rows that a texture can have */
    this.mostTexels = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    /** @type {(Features | null)[]} those of a set that is too large are not here */
    this.features = [];
    /** @type {Data | null} */
    this.data = null;
    /** @type {Uint32Array | null} of drawing, for clouds that are in another order */
    this.order = null;
    /** @type {WebGLBuffer | null} the same */
    this.orderBuffer = null;
    this.marked = false;
    this.whenDrawing = gl.createVertexArray();
  }

  /** Something that is drawn has changed. */
  change() {
    this.version = ++lastVersion;
  }

  /** Fill a buffer; it is made when its name is new. @param {string} name @param {Numbers | number} data or the number of bytes */
  buffer(name, data) {
    const { gl } = this;
    if (!this.buffers[name]) this.buffers[name] = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    if (typeof data === "number") gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    else gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
  }

  /** Load a keyframe, of a large one the first part: `send` brings the others. @param {Data} data */
  load(data) {
    this.data = data;
    this.count = data.count;
    this.part = data.part;
    this.ready = 0;
    for (const buffer of Object.values(this.buffers)) this.gl.deleteBuffer(buffer);
    this.buffers = Object.create(null);
    this.sent = Object.entries(data.arrays).filter(([name]) => SENT.test(name));
    for (const [name, array] of this.sent) this.buffer(name, array.byteLength);
    this.features = this.setup.sets.map((set, number) => (set.channels ? this.reserveFeatures(set, number) : null));
    this.order = data.even ? null : this.shuffled();
    this.mark(null);
    this.send();
  }

  /** Null where the GPU has no texture of this size. @param {import("./data.js").FeatureSet} set @param {number} number */
  reserveFeatures(set, number) {
    const { width, rows } = layoutOf((this.count * set.channels) / 4, this.leastWidth);
    if (Math.max(width, rows) > this.mostTexels) return null;
    const features = featuresOf(this.data.arrays, "", `/${number}`, set);
    this.widths[number] = width;
    this.textures[number] = texture(this.gl, null, width, rows, "rgba8i", this.textures[number]);
    this.buffer(`rest/${number}`, features.rest.byteLength);
    return features;
  }

  /** Send the next part of the points. */
  send() {
    const [from, to] = [this.ready, Math.min(this.ready + this.part, this.count)];
    for (const [name, array] of this.sent) this.sendRows(name, array, from, to);
    this.features.forEach((features, number) => {
      if (!features) return;
      derive(features, from, to);
      this.sendRows(`rest/${number}`, features.rest, from, to);
      this.sendTexels(features, number, from, to);
    });
    this.ready = to;
    this.change();
  }

  /** @param {string} name @param {Numbers} array @param {number} from @param {number} to */
  sendRows(name, array, from, to) {
    const { gl } = this;
    const width = array.length / this.count;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferSubData(gl.ARRAY_BUFFER, from * width * array.BYTES_PER_ELEMENT, array, from * width, (to - from) * width);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
  }

  /** Coordinates of points as rows of the texture; a part begins with a row. @param {Features} features @param {number} number @param {number} from @param {number} to */
  sendTexels({ direction, channels }, number, from, to) {
    const { gl, widths: { [number]: width } } = this;
    const [first, last] = [from, to].map((point) => (point * channels) / 4 / width);
    const whole = Math.floor(last - first);
    const at = from * channels;
    gl.bindTexture(gl.TEXTURE_2D, this.textures[number]);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const rows = (/** @type {number} */ row, /** @type {number} */ count, /** @type {Int8Array} */ data) =>
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row, width, count, gl.RGBA_INTEGER, gl.BYTE, data);
    if (whole) rows(first, whole, direction.subarray(at, at + 4 * width * whole));
    if (first + whole === last) return;
    const padded = new Int8Array(4 * width);
    padded.set(direction.subarray(at + 4 * width * whole, to * channels));
    rows(first + whole, 1, padded);
  }

  /** Shuffle the order of drawing: its first points, however many, are spread over the whole cloud. */
  shuffled() {
    const { gl } = this;
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    for (let i = this.count - 1, seed = 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const other = seed % (i + 1);
      [order[i], order[other]] = [order[other], order[i]];
    }
    gl.bindVertexArray(this.whenDrawing);
    this.orderBuffer ||= gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.orderBuffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.STATIC_DRAW);
    return order;
  }

  /** Draw points of the order of drawing. @param {number} from @param {number} count */
  drawPoints(from, count) {
    const { gl } = this;
    if (!this.order) gl.drawArrays(gl.POINTS, from, count);
    else gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 4 * from);
  }

  /** Mark points with a rim; `points` are their numbers, null for none. @param {Iterable<number> | null} points */
  mark(points) {
    const marks = new Uint8Array(this.count);
    this.marked = false;
    for (const point of points || []) [marks[point], this.marked] = [1, true];
    this.buffer("mark", marks);
    this.change();
  }
}
