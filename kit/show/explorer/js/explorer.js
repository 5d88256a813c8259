// The explorer: the points, camera images and features of a keyframe, to be turned and clicked.
// Plain WebGL2. `render` is for notebooks (anywidget); a saved page calls `openPage`. Modes, colours,
// names of the shared state and everything else that Python knows too come in the trait `setup`.
//
//  1 small helpers      3 the cloud on the GPU     5 legend and controls    7 entries
//  2 data               4 the images               6 the explorer itself

// ---------------------------------------------------------------- 1 · Small helpers

// Every text becomes a text node: names from data cannot become markup.
function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function button(text, title, action, className = "kx-button") {
  const node = make("button", className, text);
  node.type = "button";
  node.title = title;
  node.addEventListener("click", action);
  return node;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const radians = (degrees) => (degrees * Math.PI) / 180;
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const add = (a, b, times = 1) => a.map((value, i) => value + times * b[i]);
const plainNumber = (value) =>
  Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
const withCommas = (count) => count.toLocaleString("en-US");
const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// Axes and eye of a view. Azimuth 0 looks along y, 90 along x; the eye is above by the elevation.
function axesOf(view) {
  const [az, el] = [radians(view.azimuth), radians(view.elevation)];
  const ahead = [Math.sin(az) * Math.cos(el), Math.cos(az) * Math.cos(el), -Math.sin(el)];
  const right = [Math.cos(az), -Math.sin(az), 0];
  const up = [
    right[1] * ahead[2] - right[2] * ahead[1],
    right[2] * ahead[0] - right[0] * ahead[2],
    right[0] * ahead[1] - right[1] * ahead[0],
  ];
  return { ahead, right, up, eye: add(view.target, ahead, -view.distance) };
}

// Focal length in half panel heights; fov spans the shorter side of the panel.
const focalOf = (view, aspect) => Math.min(aspect, 1) / Math.tan(radians(view.fov) / 2);

// Clip matrix of a view, column-major: OpenGL's perspective times look-at.
function clipMatrix(view, aspect) {
  const { ahead, right, up, eye } = axesOf(view);
  const focal = focalOf(view, aspect);
  const [near, far] = [0.2, 3000];
  const [a, b] = [(far + near) / (far - near), (-2 * far * near) / (far - near)];
  const matrix = new Float32Array(16);
  for (let k = 0; k < 3; k++) {
    matrix.set([(focal / aspect) * right[k], focal * up[k], a * ahead[k], ahead[k]], 4 * k);
  }
  const [x, y, z] = [dot(right, eye), dot(up, eye), dot(ahead, eye)];
  matrix.set([(-focal / aspect) * x, -focal * y, -a * z + b, -z], 12);
  return matrix;
}

// Pixel of a point in a panel of `width` x `height`; null behind the eye.
function pixelOf(matrix, point, width, height) {
  const clip = [0, 1, 3].map(
    (row) =>
      matrix[row] * point[0] + matrix[4 + row] * point[1] + matrix[8 + row] * point[2] + matrix[12 + row],
  );
  if (clip[2] <= 0.2) return null;
  return [(clip[0] / clip[2] + 1) * 0.5 * width, (1 - clip[1] / clip[2]) * 0.5 * height];
}

// 256 colours between evenly spaced stops.
function scaleTable(stops) {
  const colours = stops.map(rgbOf);
  const table = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (colours.length - 1);
    const left = Math.min(Math.floor(at), colours.length - 2);
    for (let c = 0; c < 3; c++) {
      const [low, high] = [colours[left][c], colours[left + 1][c]];
      table[4 * i + c] = Math.round(low + (high - low) * (at - left));
    }
    table[4 * i + 3] = 255;
  }
  return table;
}

// ---------------------------------------------------------------- 2 · Data

const ARRAYS = {
  float32: Float32Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
};

// The arrays of a keyframe's payload, as views into its bytes.
function decode(header, bytes) {
  const aligned = bytes.byteOffset % 4 ? bytes.slice() : bytes;
  const arrays = Object.create(null); // names of scores come from data: nothing is inherited
  for (const [name, { type, start, count }] of Object.entries(header.arrays)) {
    arrays[name] = new ARRAYS[type](aligned.buffer, aligned.byteOffset + start, count);
  }
  return { ...header, arrays };
}

// Quantised features with what the cosine needs: scale, length, norm, part along the mean.
function derived(arrays, prefix, suffix, set) {
  const direction = arrays[`${prefix}direction${suffix}`];
  const scale = arrays[`${prefix}scale${suffix}`];
  const length = arrays[`${prefix}length${suffix}`];
  const rest = new Float32Array(4 * scale.length);
  const channels = set.channels;
  for (let i = 0; i < scale.length; i++) {
    let [square, along] = [0, 0];
    for (let k = 0; k < channels; k++) {
      const value = direction[channels * i + k];
      square += value * value;
      along += value * set.mean[k];
    }
    rest.set([scale[i], length[i], scale[i] * Math.sqrt(square), length[i] * scale[i] * along], 4 * i);
  }
  return { direction, rest, channels };
}

// The coordinates of one point, copied: a pick stays when another keyframe is shown.
function featureOf({ direction, rest, channels }, point) {
  const [scale, length, norm, along] = rest.subarray(4 * point, 4 * point + 4);
  const own = direction.subarray(channels * point, channels * (point + 1));
  return { own: Float32Array.from(own, (value) => value * scale), length, norm, along };
}

// The cosine as the shader below computes it, for the cells of images.
function cosineTo(pick, features, i, set, plain) {
  const { direction, rest, channels } = features;
  const [scale, length, norm, along] = rest.subarray(4 * i, 4 * i + 4);
  let product = 0;
  for (let k = 0; k < channels; k++) product += pick.own[k] * direction[channels * i + k];
  product *= scale;
  const within = clamp(product / Math.max(pick.norm * norm, 1e-9), 0, 1);
  const left = Math.sqrt(Math.max(1 - pick.norm ** 2, 0)) * Math.sqrt(Math.max(1 - norm ** 2, 0));
  const centred = product + left * within ** 4;
  return plain ? set.mean_square + pick.along + along + pick.length * length * centred : centred;
}

// ---------------------------------------------------------------- 3 · The cloud on the GPU

// Computes the colour of every point once per change, into a buffer (transform feedback); turning
// the cloud then only reads four bytes per point. Alpha: 255 has a value, 96 has none, 0 hidden.
// The branches of u_branch are those of the table of modes in modes.py.
const COLOUR_SHADER = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D; precision highp isampler2D;
in float a_value; in vec4 a_rgb; in vec4 a_rest; in uint a_label; in uint a_predicted;
uniform int u_branch, u_texels, u_picks, u_ignore;
uniform vec2 u_limits; uniform float u_threshold, u_meanSquare; uniform bool u_thresholded, u_plain;
uniform vec3 u_noValue, u_correct, u_wrong, u_start;
uniform sampler2D u_scale, u_classes, u_pickTable, u_components; uniform isampler2D u_direction;
flat out uint v_colour; flat out float v_score;

vec4 own(int texel) {
  int at = gl_VertexID * u_texels + texel;
  return vec4(texelFetch(u_direction, ivec2(at & 2047, at >> 11), 0)) * a_rest.x;
}
float cosineTo(int pick) {
  vec4 that = texelFetch(u_pickTable, ivec2(0, pick), 0); // weight, length, norm, along
  float product = 0.0;
  for (int t = 0; t < u_texels; t++)
    product += dot(own(t), texelFetch(u_pickTable, ivec2(t + 1, pick), 0));
  float within = clamp(product / max(that.z * a_rest.z, 1e-9), 0.0, 1.0);
  float left = sqrt(max(1.0 - that.z * that.z, 0.0)) * sqrt(max(1.0 - a_rest.z * a_rest.z, 0.0));
  float centred = product + left * within * within * within * within;
  float plain = u_meanSquare + that.w + a_rest.w + that.y * a_rest.y * centred;
  return that.x * (u_plain ? plain : centred);
}
vec3 components() {
  vec3 sum = vec3(0.0);
  for (int t = 0; t < u_texels; t++) {
    vec4 mine = own(t);
    sum += vec3(dot(mine, texelFetch(u_components, ivec2(t, 0), 0)),
      dot(mine, texelFetch(u_components, ivec2(t, 1), 0)), dot(mine, texelFetch(u_components, ivec2(t, 2), 0)));
  }
  return clamp(u_start + sum * a_rest.y, 0.0, 1.0);
}
vec4 onScale(float value) {
  if (u_thresholded && value < u_threshold) return vec4(u_noValue, 0.376);
  float ratio = clamp((value - u_limits.x) / (u_limits.y - u_limits.x), 0.0, 1.0);
  return texelFetch(u_scale, ivec2(int(ratio * 255.0 + 0.5), 0), 0);
}
void main() {
  vec4 colour = vec4(u_noValue, 0.376);
  vec4 ofLabel = texelFetch(u_classes, ivec2(int(a_label), 0), 0);
  v_score = 0.0;
  if (u_branch == 0) { v_score = a_value; colour = onScale(a_value); }
  else if (u_branch == 1) { if (a_rgb.a > 0.0) colour = a_rgb; }
  else if (u_branch == 2) {
    v_score = float(a_label);
    colour = int(a_label) == u_ignore ? vec4(u_noValue, 0.376 * ofLabel.a) : ofLabel;
  } else if (u_branch == 3) {
    v_score = a_label == a_predicted ? 0.0 : 1.0;
    if (int(a_label) != u_ignore && int(a_predicted) != u_ignore) colour = vec4(a_label == a_predicted ? u_correct : u_wrong, 1.0);
    colour.a *= ofLabel.a;
  } else if (a_rest.y > 0.0) {
    if (u_branch == 4 && u_picks > 0) {
      for (int pick = 0; pick < u_picks; pick++) v_score += cosineTo(pick);
      colour = onScale(v_score);
    } else if (u_branch == 5) colour = vec4(components(), 1.0);
  }
  uvec4 bytes = uvec4(clamp(colour, 0.0, 1.0) * 255.0 + 0.5);
  v_colour = bytes.r | bytes.g << 8 | bytes.b << 16 | bytes.a << 24;
  gl_Position = vec4(0.0);
}`;
const NO_FRAGMENTS = `#version 300 es
precision mediump float; out vec4 colour; void main() { colour = vec4(0.0); }`;

const POINT_SHADER = `#version 300 es
precision highp float;
in vec3 a_position; in vec4 a_colour; in uint a_mark;
uniform mat4 u_matrix; uniform vec4 u_size; // pixels at one metre, least, most, ratio without a value
out vec4 v_colour; flat out float v_marked;
void main() {
  bool marked = a_mark > 0u;
  gl_Position = u_matrix * vec4(a_position, 1.0);
  float size = clamp(u_size.x / gl_Position.w, u_size.y, u_size.z);
  gl_PointSize = marked ? max(size * 1.7, u_size.y * 3.0) : a_colour.a < 0.5 ? max(size * u_size.w, 1.0) : size;
  if (a_colour.a < 0.1) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  v_colour = a_colour; v_marked = marked ? 1.0 : 0.0;
}`;
const POINT_FRAGMENTS = `#version 300 es
precision mediump float;
in vec4 v_colour; flat in float v_marked; uniform vec3 u_accent; out vec4 colour;
void main() {
  vec2 off = gl_PointCoord * 2.0 - 1.0; float square = dot(off, off);
  if (square > 1.0) discard;
  colour = vec4(v_marked > 0.5 && square > 0.36 ? u_accent : v_colour.rgb, 1.0);
}`;
// The same points, each in the colour of its number, to read which point is under the pointer.
const NUMBER_SHADER = `#version 300 es
precision highp float; precision highp int;
in vec3 a_position; in vec4 a_colour; uniform mat4 u_matrix; uniform vec3 u_size; uniform vec4 u_window;
flat out uint v_number;
void main() {
  vec4 place = u_matrix * vec4(a_position, 1.0);
  gl_PointSize = clamp(u_size.x / place.w, u_size.y, u_size.z);
  if (a_colour.a < 0.1) place = vec4(2.0, 2.0, 2.0, 1.0);
  gl_Position = vec4((place.xy - u_window.xy * place.w) * u_window.zw, place.zw);
  v_number = uint(gl_VertexID) + 1u;
}`;
const NUMBER_FRAGMENTS = `#version 300 es
precision highp float; precision highp int;
flat in uint v_number; out vec4 colour;
void main() {
  vec2 off = gl_PointCoord * 2.0 - 1.0;
  if (dot(off, off) > 1.0) discard;
  colour = vec4(uvec4(v_number, v_number >> 8, v_number >> 16, v_number >> 24) & 255u) / 255.0;
}`;

const LOCATIONS = { position: 0, value: 1, rgb: 2, rest: 3, label: 4, predicted: 5, colour: 6, mark: 7 };
const PICK_RADIUS = 8; // pixels around the pointer in which a point is found
const WINDOW = 2 * PICK_RADIUS + 1;

function program(gl, vertex, fragment, outputs = null) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  for (const [name, place] of Object.entries(LOCATIONS)) gl.bindAttribLocation(made, place, `a_${name}`);
  if (outputs) gl.transformFeedbackVaryings(made, outputs, gl.SEPARATE_ATTRIBS);
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    const logs = gl.getAttachedShaders(made).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`${gl.getProgramInfoLog(made)} ${logs.join(" ")}`);
  }
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { made, uniforms };
}

class Cloud {
  constructor(canvas, setup) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false });
    if (!gl) throw new Error("no WebGL2");
    Object.assign(this, { gl, canvas, setup, buffers: Object.create(null), textures: {}, panels: new Map(), count: 0 });
    this.colouring = program(gl, COLOUR_SHADER, NO_FRAGMENTS, ["v_colour", "v_score"]);
    this.drawing = program(gl, POINT_SHADER, POINT_FRAGMENTS);
    this.numbering = program(gl, NUMBER_SHADER, NUMBER_FRAGMENTS);
    this.feedback = gl.createTransformFeedback();
    // Two vertex arrays: a buffer that is written must not be an attribute at the same time.
    [this.whenColouring, this.whenDrawing] = [gl.createVertexArray(), gl.createVertexArray()];
    this.tables = {
      value: this.texture(scaleTable(setup.scales.value), 256, 1, "rgba8"),
      similarity: this.texture(scaleTable(setup.scales.similarity), 256, 1, "rgba8"),
    };
    this.frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    for (const [format, attachment] of [[gl.RGBA8, gl.COLOR_ATTACHMENT0], [gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT]]) {
      const store = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, store);
      gl.renderbufferStorage(gl.RENDERBUFFER, format, WINDOW, WINDOW);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, attachment, gl.RENDERBUFFER, store);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  texture(data, width, height, kind, existing = null) {
    const gl = this.gl;
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

  buffer(name, data) {
    const gl = this.gl;
    if (!this.buffers[name]) this.buffers[name] = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
  }

  // Load a keyframe: positions and everything that colours are computed from.
  load(data) {
    const gl = this.gl;
    this.data = data;
    this.count = data.count;
    const names = ["position", "intensity", "colour", "labels"];
    names.push(...Object.keys(data.arrays).filter((name) => /^(score|predicted)\//.test(name)));
    for (const name of names) if (data.arrays[name]) this.buffer(name, data.arrays[name]);
    const heights = Float32Array.from({ length: this.count }, (_, i) => data.arrays.position[3 * i + 2]);
    this.buffer("height", heights);
    this.shuffle();
    this.mark(null);
    this.features = this.setup.sets.map((set, number) => {
      if (!set.channels) return null;
      const features = derived(data.arrays, "", `/${number}`, set);
      const texels = (this.count * set.channels) / 4;
      const rows = Math.ceil(texels / 2048);
      const padded = new Int8Array(2048 * rows * 4);
      padded.set(features.direction);
      this.textures[number] = this.texture(padded, 2048, rows, "rgba8i", this.textures[number]);
      this.buffer(`rest/${number}`, features.rest);
      return features;
    });
    for (const panel of this.panels.values()) this.release(panel);
    this.panels.clear();
  }

  // Shuffle the order of drawing: its first points, however many, are spread over the whole cloud.
  shuffle() {
    const gl = this.gl;
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

  // Mark points with a rim; `points` are their numbers, null for none.
  mark(points) {
    const marks = new Uint8Array(this.count);
    for (const point of points || []) marks[point] = 1;
    this.buffer("mark", marks);
  }

  attribute(place, buffer, size, kind) {
    const gl = this.gl;
    if (!buffer) {
      gl.disableVertexAttribArray(place);
      if (kind === "uint") gl.vertexAttribI4ui(place, this.setup.classes.ignore, 0, 0, 0);
      else gl.vertexAttrib4f(place, 0, 0, 0, 0);
      return;
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    if (kind === "uint") gl.vertexAttribIPointer(place, 1, gl.UNSIGNED_BYTE, 0, 0);
    else if (kind === "bytes") gl.vertexAttribPointer(place, size, gl.UNSIGNED_BYTE, true, 0, 0);
    else gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
  }

  sampler(name, unit, texture) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.uniform1i(this.colouring.uniforms[name], unit);
  }

  // Compute the colours of a panel; Explorer.recolour makes the `job`.
  colour(number, job) {
    const gl = this.gl;
    const { made, uniforms: u } = this.colouring;
    let panel = this.panels.get(number);
    if (!panel) {
      panel = { colours: gl.createBuffer(), scores: gl.createBuffer() };
      for (const name of ["colours", "scores"]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, panel[name]);
        gl.bufferData(gl.ARRAY_BUFFER, 4 * this.count, gl.DYNAMIC_COPY);
      }
      this.panels.set(number, panel);
    }
    const set = this.setup.sets[number];
    const { buffers } = this;
    const labels = job.kind === "predictions" ? buffers[`predicted/${number}`] : this.data.arrays.labels && buffers.labels;
    const has = (name) => (this.data.arrays[name] ? buffers[name] : null);
    const values = job.kind === "score" ? has(`score/${job.mode}`) : job.kind === "number" ? buffers[job.mode] : null;
    gl.useProgram(made);
    gl.bindVertexArray(this.whenColouring);
    this.attribute(LOCATIONS.value, values, 1, "float");
    this.attribute(LOCATIONS.rgb, has("colour"), 4, "bytes");
    this.attribute(LOCATIONS.rest, set?.channels ? buffers[`rest/${number}`] : null, 4, "float");
    this.attribute(LOCATIONS.label, labels, 1, "uint");
    this.attribute(LOCATIONS.predicted, has(`predicted/${number}`), 1, "uint");
    gl.uniform1i(u.u_branch, job.branch);
    gl.uniform1i(u.u_texels, (set?.channels || 0) / 4);
    gl.uniform1i(u.u_ignore, this.setup.classes.ignore);
    gl.uniform2f(u.u_limits, ...job.limits);
    gl.uniform1i(u.u_thresholded, job.threshold === null ? 0 : 1);
    gl.uniform1f(u.u_threshold, job.threshold ?? 0);
    gl.uniform1i(u.u_plain, job.plain ? 1 : 0);
    gl.uniform1f(u.u_meanSquare, set?.mean_square || 0);
    for (const name of ["noValue", "correct", "wrong"]) gl.uniform3f(u[`u_${name}`], ...job[name].map((v) => v / 255));
    this.tables.classes = this.texture(job.classTable, 256, 1, "rgba8", this.tables.classes);
    this.pickTable(job.picks[number] || [], set);
    this.componentTable(set, job.components);
    this.sampler("u_scale", 0, job.kind === "similarity" ? this.tables.similarity : this.tables.value);
    this.sampler("u_classes", 1, this.tables.classes);
    this.sampler("u_pickTable", 2, this.tables.picks);
    this.sampler("u_components", 3, this.tables.components);
    this.sampler("u_direction", 4, set?.channels ? this.textures[number] : (this.tables.empty ||= this.texture(new Int8Array(4), 1, 1, "rgba8i")));
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, this.feedback);
    gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, 0, panel.colours);
    gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, 1, panel.scores);
    gl.enable(gl.RASTERIZER_DISCARD);
    gl.beginTransformFeedback(gl.POINTS);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.endTransformFeedback();
    gl.disable(gl.RASTERIZER_DISCARD);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, null);
    panel.read = null;
  }

  // One row of texels per pick: weight, length, norm, along; then the coordinates.
  pickTable(picks, set) {
    const width = 1 + (set?.channels || 0) / 4;
    const table = new Float32Array(4 * width * Math.max(picks.length, 1));
    picks.forEach(({ weight, feature }, row) => {
      table.set([weight, feature.length, feature.norm, feature.along], 4 * width * row);
      table.set(feature.own, 4 * width * row + 4);
    });
    this.tables.picks = this.texture(table, width, Math.max(picks.length, 1), "rgba32f", this.tables.picks);
    this.gl.uniform1i(this.colouring.uniforms.u_picks, picks.length);
  }

  // Three rows: the weights of a feature's coordinates in red, green and blue.
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
    this.tables.components = this.texture(table, width, 3, "rgba32f", this.tables.components);
    this.gl.uniform3f(this.colouring.uniforms.u_start, ...starts);
  }

  // Colours (Uint8, 4 per point) and scores of a panel, read back from the GPU once.
  read(number) {
    const { gl } = this;
    const panel = this.panels.get(number);
    if (!panel) return null;
    if (!panel.read) {
      panel.read = { colours: new Uint8Array(4 * this.count), scores: new Float32Array(this.count) };
      for (const name of ["colours", "scores"]) {
        gl.bindBuffer(gl.COPY_READ_BUFFER, panel[name]);
        gl.getBufferSubData(gl.COPY_READ_BUFFER, 0, panel.read[name]);
      }
      gl.bindBuffer(gl.COPY_READ_BUFFER, null);
    }
    return panel.read;
  }

  // Diameter of a point in pixels at a distance of one metre, the least and the most, and the ratio
  // by which points without a value are smaller.
  pointSize(view, { width, height }, { pointSize: scale, pixelRatio }) {
    const focal = (height / 2) * focalOf(view, width / height);
    const { metres, least, most, without_value } = this.setup.point_size;
    return [metres * scale * focal, least * pixelRatio * scale, most * pixelRatio * scale, without_value];
  }

  attributesFor(number) {
    const panel = this.panels.get(number);
    this.gl.bindVertexArray(this.whenDrawing);
    this.attribute(LOCATIONS.position, this.buffers.position, 3, "float");
    this.attribute(LOCATIONS.colour, panel.colours, 4, "bytes");
    this.attribute(LOCATIONS.mark, this.buffers.mark, 1, "uint");
  }

  // Draw panels; each is { number, x, y, width, height } in canvas pixels, y from below. `ratio` of
  // the points are drawn, larger the fewer they are.
  draw(panels, view, style, ratio = 1) {
    const some = Math.ceil(this.count * ratio);
    style = { ...style, pointSize: style.pointSize * Math.min(1 / Math.sqrt(ratio), 1.7) };
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...style.background.map((v) => v / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.drawing.made);
    for (const panel of panels) {
      if (!this.panels.has(panel.number)) continue;
      this.attributesFor(panel.number);
      gl.viewport(panel.x, panel.y, panel.width, panel.height);
      gl.scissor(panel.x, panel.y, panel.width, panel.height);
      gl.uniformMatrix4fv(this.drawing.uniforms.u_matrix, false, clipMatrix(view, panel.width / panel.height));
      gl.uniform4f(this.drawing.uniforms.u_size, ...this.pointSize(view, panel, style));
      gl.uniform3f(this.drawing.uniforms.u_accent, ...style.accent.map((v) => v / 255));
      gl.drawElements(gl.POINTS, some, gl.UNSIGNED_INT, 0);
    }
  }

  // Number of the point at (x, y), canvas pixels from the panel's lower left corner; -1 for none.
  pointAt(panel, x, y, view, style) {
    const gl = this.gl;
    if (!this.panels.has(panel.number)) return -1;
    const { uniforms: u } = this.numbering;
    gl.useProgram(this.numbering.made);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.disable(gl.SCISSOR_TEST);
    gl.enable(gl.DEPTH_TEST);
    gl.viewport(0, 0, WINDOW, WINDOW);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.attributesFor(panel.number);
    const [least, most] = [Math.max(1.5, 3 * style.pixelRatio), WINDOW];
    gl.uniformMatrix4fv(u.u_matrix, false, clipMatrix(view, panel.width / panel.height));
    gl.uniform3f(u.u_size, this.pointSize(view, panel, style)[0], least, most);
    gl.uniform4f(u.u_window, (2 * x) / panel.width - 1, (2 * y) / panel.height - 1, panel.width / WINDOW, panel.height / WINDOW);
    gl.drawArrays(gl.POINTS, 0, this.count);
    const pixels = new Uint8Array(4 * WINDOW * WINDOW);
    gl.readPixels(0, 0, WINDOW, WINDOW, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    const numbers = new Uint32Array(pixels.buffer);
    let [found, nearest] = [-1, Infinity];
    numbers.forEach((number, i) => {
      const far = Math.hypot((i % WINDOW) - PICK_RADIUS, Math.floor(i / WINDOW) - PICK_RADIUS);
      if (number && far < nearest) [found, nearest] = [number - 1, far];
    });
    return found;
  }
}

// ---------------------------------------------------------------- 4 · The images

// A camera's image with the points that fall on it, in the cloud's colours.
class Picture {
  constructor(explorer, camera, large) {
    Object.assign(this, { explorer, camera, large, bitmap: null, box: null });
    this.canvas = make("canvas", "kx-image");
    const name = camera.name.replace(/^CAM_/, "").replaceAll("_", " ").toLowerCase();
    const enlarge = button(large ? "✕" : "⤢", large ? "Close" : `Enlarge ${camera.name}`, () =>
      explorer.enlarge(large ? null : camera.name), "kx-corner");
    this.node = make("figure", "kx-picture", this.canvas, make("figcaption", "", name), enlarge);
    this.node.style.aspectRatio = `${camera.width} / ${camera.height}`;
    this.node.style.setProperty("--shape", camera.width / camera.height);
    this.listen();
    this.load();
  }

  async load() {
    const { data } = this.explorer;
    const pairs = (name) => data.arrays[`pairs/${this.camera.number}/${name}`];
    this.pairs = { point: pairs("point"), uv: pairs("uv"), depth: pairs("depth") };
    const order = Uint32Array.from({ length: this.pairs.point.length }, (_, i) => i);
    this.order = order.sort((a, b) => this.pairs.depth[b] - this.pairs.depth[a]); // nearest last
    const jpeg = new Blob([data.arrays[`image/${this.camera.number}`]], { type: "image/jpeg" });
    this.bitmap = await createImageBitmap(jpeg);
    this.draw();
  }

  // Place under the pointer, as ratios of width and height (0 to 1).
  placeAt(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  // Pairs within `radius` screen pixels of a place, the nearest first.
  pairsAt([x, y], radius) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { uv, point } = this.pairs;
    const found = [];
    for (let i = 0; i < point.length; i++) {
      const far = Math.hypot((uv[2 * i] / 65535 - x) * width, (uv[2 * i + 1] / 65535 - y) * height);
      if (far <= radius && this.explorer.isShown(point[i])) found.push([far, i]);
    }
    return found.sort((a, b) => a[0] - b[0]);
  }

  // The point at a click: of those about equally close to the pointer, the one nearest to the camera.
  pointAt(place) {
    const near = this.pairsAt(place, 9);
    if (!near.length) return -1;
    const candidates = near.filter(([far]) => far <= near[0][0] + 1.5).map(([, i]) => i);
    const best = candidates.reduce((a, b) => (this.pairs.depth[b] < this.pairs.depth[a] ? b : a));
    return this.pairs.point[best];
  }

  listen() {
    const { canvas, explorer } = this;
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      start = this.placeAt(event);
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = this.placeAt(event);
      if (!start) return explorer.hoverImage(this, place);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const far = Math.hypot((place[0] - start[0]) * width, (place[1] - start[1]) * height);
      if (far > 5 || this.box) {
        this.box = [start, place.map((value) => clamp(value, 0, 1))];
        this.draw();
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const box = this.box;
      if (start && !box) explorer.click(this.pointAt(this.placeAt(event)), event, this.camera.name);
      [start, this.box] = [null, null];
      if (box) explorer.select(this.inside(box), this.camera.name);
    });
    canvas.addEventListener("pointerleave", () => explorer.hover(null));
  }

  // Numbers of the points whose pixel lies in a box.
  inside([a, b]) {
    const [left, right] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])].map((v) => v * 65535);
    const [top, bottom] = [Math.min(a[1], b[1]), Math.max(a[1], b[1])].map((v) => v * 65535);
    const { uv, point } = this.pairs;
    return point.filter((number, i) =>
      uv[2 * i] >= left && uv[2 * i] <= right && uv[2 * i + 1] >= top && uv[2 * i + 1] <= bottom &&
      this.explorer.isShown(number));
  }

  draw() {
    const { canvas, explorer } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * ratio));
    if (!this.bitmap || !width || !explorer.data) return;
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.drawImage(this.bitmap, 0, 0, width, height);
    const overlay = explorer.mapColours(this.camera) || this.dots(width, height, ratio);
    if (overlay) {
      context.globalAlpha = overlay.cells ? 0.75 : 0.9;
      context.drawImage(overlay.canvas, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    for (const { point, kind } of explorer.marks()) {
      for (let i = 0; i < this.pairs.point.length; i++) {
        if (this.pairs.point[i] !== point) continue;
        const place = [this.pairs.uv[2 * i], this.pairs.uv[2 * i + 1]].map((v) => v / 65535);
        ring(context, place[0] * width, place[1] * height, (this.large ? 9 : 7) * ratio, kind, ratio);
      }
    }
    if (this.box) this.drawBox(context, width, height, ratio);
  }

  // The cloud's colours at the pixels of its points.
  dots(width, height, ratio) {
    const { explorer } = this;
    if (explorer.state.mode === "colour") return null;
    const read = explorer.cloud.read(explorer.shownSet());
    if (!read) return null;
    const colours = new Uint32Array(read.colours.buffer);
    const pixels = new Uint32Array(width * height);
    const apart = Math.sqrt((width * height) / Math.max(this.order.length, 1));
    const across = clamp(Math.round(0.4 * apart), Math.round(ratio), Math.round(4 * ratio));
    for (const i of this.order) {
      const colour = colours[this.pairs.point[i]];
      if (colour >>> 24 < 255) continue;
      const left = Math.round((this.pairs.uv[2 * i] / 65535) * width - across / 2);
      const top = Math.round((this.pairs.uv[2 * i + 1] / 65535) * height - across / 2);
      for (let y = Math.max(top, 0); y < Math.min(top + across, height); y++)
        for (let x = Math.max(left, 0); x < Math.min(left + across, width); x++)
          pixels[y * width + x] = colour;
    }
    return { canvas: canvasOf(pixels, width, height), cells: false };
  }

  drawBox(context, width, height, ratio) {
    const [[x0, y0], [x1, y1]] = this.box;
    context.lineWidth = 2 * ratio;
    context.strokeStyle = "#ffffff";
    context.fillStyle = "rgba(255, 255, 255, 0.18)";
    const at = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height];
    context.fillRect(...at);
    context.strokeRect(...at);
  }
}

// Pixels 0xAABBGGRR as a canvas.
function canvasOf(pixels, width, height) {
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [width, height];
  const bytes = new Uint8ClampedArray(pixels.buffer);
  canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  return canvas;
}

const RINGS = { positive: "#ffffff", negative: "#111111", hover: "#ffffff" };

// A ring that is visible on any background: light in a dark one, or dark in a light one.
function ring(context, x, y, radius, kind, ratio) {
  const light = kind !== "negative";
  for (const [width, colour] of [[4.5, light ? "#111111" : "#ffffff"], [2.2, RINGS[kind]]]) {
    context.beginPath();
    context.arc(x, y, kind === "hover" ? radius * 0.7 : radius, 0, 2 * Math.PI);
    if (kind === "negative") {
      context.moveTo(x - radius * 0.6, y);
      context.lineTo(x + radius * 0.6, y);
    }
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
  if (kind !== "positive") return;
  context.beginPath();
  context.arc(x, y, 2 * ratio, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
}

// ---------------------------------------------------------------- 5 · Legend and controls

function slider(low, high, step, value, title, action) {
  const input = make("input", "kx-slider");
  Object.assign(input, { type: "range", min: low, max: high, step, title });
  input.value = value;
  input.setAttribute("aria-label", title);
  input.addEventListener("input", () => action(Number(input.value)));
  return input;
}

function colourBar(stops, low, high, label) {
  const bar = make("div", "kx-colourbar");
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const ends = make("div", "kx-ends", make("span", "", plainNumber(low)), make("span", "", label), make("span", "", plainNumber(high)));
  return make("div", "", bar, ends);
}

// The legend in the corner of the cloud, by kind of mode: the meaning of colours, and settings.
const LEGENDS = {
  number: (x, mode) => [colourBar(x.setup.scales.value, mode.low, mode.high, mode.label)],
  score: (x, mode) => [
    colourBar(x.setup.scales.value, mode.low, mode.high, mode.label),
    thresholdRow(x, mode.low, mode.high),
  ],
  colour: () => [make("p", "", "Colour of the pixel each point falls on. Grey: no camera sees the point.")],
  features: (x) => componentRows(x),
  similarity: (x) => similarityRows(x),
  labels: (x) => classRows(x, "labels"),
  predictions: (x) => classRows(x, "predictions"),
  errors: (x) => errorRows(x),
};

function thresholdRow(x, low, high) {
  const step = (high - low) / 200;
  const valueText = make("span", "kx-value", x.state.threshold === null ? "off" : plainNumber(x.state.threshold));
  const input = slider(low - step, high, step, x.state.threshold ?? low - step, "Points below this turn grey", (value) => {
    const threshold = value < low ? null : Number(value.toPrecision(5));
    valueText.textContent = threshold === null ? "off" : plainNumber(threshold);
    x.change({ threshold });
  });
  input.classList.add("kx-threshold");
  return make("label", "kx-row", make("span", "", "threshold"), input, valueText);
}

function componentRows(x) {
  const set = x.setup.sets[x.shownSet()];
  if (!set?.channels) return [make("p", "", "No features in this set.")];
  const most = set.component_starts.length - 1;
  const rows = ["red", "green", "blue"].map((name, i) => {
    const valueText = make("span", "kx-value", `${x.state.components[i] + 1}`);
    const input = slider(0, Math.max(most, 0), 1, Math.min(x.state.components[i], most), `Component shown as ${name}`, (value) => {
      const components = x.state.components.slice();
      components[i] = value;
      valueText.textContent = `${value + 1}`;
      x.change({ components });
    });
    return make("label", "kx-row", make("span", `kx-dot kx-${name}`), input, valueText);
  });
  return [make("p", "", "Principal components; all sets share one basis"), ...rows];
}

function similarityRows(x) {
  const low = x.setup.similarity_low[x.state.cosine];
  const choice = make("div", "kx-segments", ...["centred", "plain"].map((cosine) => {
    const title = cosine === "centred" ? "Cosine of features minus their mean" : "Cosine of the features as they are";
    const node = button(cosine, title, () => x.change({ cosine }));
    node.setAttribute("aria-pressed", x.state.cosine === cosine);
    return node;
  }));
  const kinds = make("div", "kx-segments", ...[["pick", "pick", "A click picks one point"],
    ["positive", "+", "A click adds a point (as with shift)"],
    ["negative", "−", "A click adds a negative example (as with alt)"]].map(([kind, text, title]) => {
    const node = button(text, title, () => { x.clickKind = kind; x.showLegend(); });
    node.setAttribute("aria-pressed", x.clickKind === kind);
    return node;
  }));
  const set = x.setup.sets[x.shownSet()];
  const error = set?.channels
    ? `cosine ±${set.error_mean.toFixed(3)}, 99 % within ${set.error_99.toFixed(3)} (${set.channels} × int8 of ${set.width})`
    : "No features in this set.";
  return [
    colourBar(x.setup.scales.similarity, low, 1, `${x.state.cosine} cosine`),
    thresholdRow(x, low, 1),
    make("div", "kx-row", choice, kinds),
    make("p", "kx-small", error),
  ];
}

function classRows(x, what) {
  const counts = x.classCounts(what);
  const rows = x.setup.classes.names.map((name, label) => ({ name, label, count: counts[label] || 0 }));
  const nodes = rows.filter(({ count }) => count).map(({ name, label, count }) => {
    const hidden = x.state.hidden_classes.includes(label);
    const swatch = make("span", "kx-swatch");
    swatch.style.background = `rgb(${x.setup.classes.colours[label].join(",")})`;
    const node = button("", "Click: hide or show. Alt-click: only this one", (event) => x.toggleClass(label, event.altKey, counts), "kx-class");
    node.append(swatch, make("span", "kx-name", name), make("span", "kx-value", withCommas(count)));
    node.setAttribute("aria-pressed", !hidden);
    node.dataset.label = label;
    return node;
  });
  return nodes.length ? [make("div", "kx-classes", ...nodes)] : [make("p", "", `No ${what} in this keyframe.`)];
}

function errorRows(x) {
  const { correct, wrong } = x.errorCounts();
  if (correct + wrong === 0) return [make("p", "", "This keyframe has no labels or no predictions.")];
  const row = (colour, text, count) => {
    const swatch = make("span", "kx-swatch");
    swatch.style.background = colour;
    return make("div", "kx-class", swatch, make("span", "kx-name", text), make("span", "kx-value", withCommas(count)));
  };
  return [
    row(x.setup.wrong, "wrong", wrong),
    row(x.setup.correct, "correct", correct),
    make("p", "kx-small", `${((100 * wrong) / (correct + wrong)).toFixed(1)} % of the scored points are wrong`),
  ];
}

// ---------------------------------------------------------------- 6 · The explorer itself

class Explorer {
  constructor(model, root) {
    Object.assign(this, { model, root, frames: 0, clickKind: "pick", hovered: [], large: null, moving: 0, drawnRatio: 1, loaded: new Map(), thresholds: new Map(), followed: null });
    this.setup = model.get("setup");
    this.state = Object.fromEntries(this.setup.state.map((name) => [name, model.get(name)]));
    this.build();
    try {
      this.cloud = new Cloud(this.canvas, this.setup);
    } catch (error) {
      this.withoutWebGL(error);
      return;
    }
    const header = this.setup.header;
    const bytes = model.get("payload");
    this.loaded.set(header.keyframe, decode(header, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
    this.listen();
    this.theme();
    this.goTo(this.state.keyframe);
  }

  // --- building

  build() {
    this.root.classList.add("kx");
    this.root.dataset.lmSuppressShortcuts = "true"; // keys are for the explorer, not JupyterLab
    this.root.style.height = `${this.model.get("height")}px`;
    this.canvas = make("canvas", "kx-cloud");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("aria-label", "Point cloud: drag to turn, click a point");
    this.over = make("canvas", "kx-over");
    this.headings = make("div", "kx-headings");
    this.legend = make("div", "kx-legend");
    this.hint = make("div", "kx-hint");
    this.stage = make("div", "kx-stage", this.canvas, this.over, this.headings, this.legend, this.hint);
    this.largeNode = make("div", "kx-large");
    this.strip = make("div", "kx-strip");
    this.status = make("span", "kx-status");
    this.modes = make("div", "kx-modes");
    this.sets = make("div", "kx-segments");
    this.slider = make("div", "kx-keyframes");
    const bar = make("div", "kx-bar", this.modes, make("span", "kx-space"), this.sets);
    const notes = make("span", "kx-notes", this.setup.notes.join(" · "));
    notes.title = notes.textContent;
    const foot = make("div", "kx-foot", this.status, make("span", "kx-space"), notes, this.slider, this.viewButtons());
    this.root.replaceChildren(bar, make("div", "kx-middle", this.stage, this.largeNode), this.strip, foot);
  }

  viewButtons() {
    this.follow = make("select", "kx-select");
    this.follow.title = "View from a camera's position";
    this.follow.addEventListener("change", () => this.viewFrom(this.follow.value));
    return make("div", "kx-segments",
      button("Top", "From above, ahead is up (T)", () => this.top()),
      button("Home", "The first view (H)", () => this.change({ view: this.home })),
      this.follow,
      button("◐", "Light or dark", () => { this.forced = this.dark ? "light" : "dark"; this.theme(); }),
      button("PNG", "Save this view as a PNG", () => this.savePicture()));
  }

  withoutWebGL(error) {
    const text = "This browser offers no WebGL2, which the explorer needs. Instead, 10,000 of the points are shown; they cannot be clicked.";
    const place = make("div", "kx-fallback", make("p", "", "One moment ..."));
    this.root.replaceChildren(make("p", "kx-message", text), place);
    this.root.dataset.webgl2 = String(error.message);
    this.model.on("msg:custom", (message) => {
      if (message.type !== "fallback") return;
      const frame = make("iframe", "kx-frame");
      frame.setAttribute("sandbox", "allow-scripts");
      frame.srcdoc = message.page;
      place.replaceChildren(frame);
    });
    if (this.model.standalone) place.replaceChildren(flatPicture(this.setup, this.model.get("payload")));
    else this.model.send({ type: "no webgl2" });
  }

  // --- state

  // Change the state, inform Python, and draw again what depends on it.
  change(changes) {
    if ("mode" in changes && changes.mode !== this.state.mode) {
      this.thresholds.set(this.state.mode, this.state.threshold);
      changes = { threshold: this.thresholds.get(changes.mode) ?? null, ...changes };
    }
    const real = Object.entries(changes).filter(([name, value]) => !same(this.state[name], value));
    if (!real.length) return;
    Object.assign(this.state, Object.fromEntries(real));
    for (const [name, value] of real) this.model.set(name, value);
    this.model.save_changes();
    this.refresh(real.map(([name]) => name));
  }

  refresh(names) {
    if (names.includes("keyframe")) return this.goTo(this.state.keyframe);
    if (names.includes("view")) this.follow.value = this.state.view.camera || "";
    if (names.includes("view") && this.state.view.camera !== this.followed) this.followCamera();
    if (!this.data) return;
    if (names.some((name) => this.setup.colour_state.includes(name))) this.recolour();
    if (names.some((name) => ["picked", "negatives", "picked_in"].includes(name))) this.showStatus(this.state.picked.at(-1));
    // A slider that is being dragged must not be replaced under the pointer.
    if (names.some((name) => ["mode", "feature_set", "side_by_side", "cosine", "hidden_classes"].includes(name))) this.showControls();
    else if (!this.legend.contains(document.activeElement)) this.showLegend();
    this.redraw();
  }

  listen() {
    for (const name of this.setup.state) {
      this.model.on(`change:${name}`, () => {
        const value = this.model.get(name);
        if (same(value, this.state[name])) return;
        this.state[name] = value;
        this.refresh([name]);
      });
    }
    this.model.on("msg:custom", async (message) => {
      if (message.type !== "keyframe") return;
      const received = await this.model.widget_manager.get_model(message.model);
      const header = received.get("header");
      const { buffer, byteOffset, byteLength } = received.get("payload");
      this.loaded.set(header.keyframe, decode(header, new Uint8Array(buffer, byteOffset, byteLength).slice()));
      if (header.keyframe === this.state.keyframe) this.goTo(this.state.keyframe);
    });
    this.listenToPointer();
    this.observer = new ResizeObserver(() => this.redraw(true));
    this.observer.observe(this.stage);
    this.themes = new MutationObserver(() => this.theme());
    for (const node of [document.documentElement, document.body]) this.themes.observe(node, { attributes: true });
    this.scheme = window.matchMedia("(prefers-color-scheme: dark)");
    this.whenScheme = () => this.theme();
    this.scheme.addEventListener("change", this.whenScheme);
  }

  close() {
    this.observer?.disconnect();
    this.themes?.disconnect();
    this.scheme?.removeEventListener("change", this.whenScheme);
    this.cloud?.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  theme() {
    const { body } = document;
    const named = body.dataset.jpThemeLight ?? body.dataset.vscodeThemeKind ?? document.documentElement.getAttribute("theme");
    const dark = named ? named === "false" || /dark/.test(named) : this.scheme.matches;
    this.dark = this.forced ? this.forced === "dark" : dark;
    this.root.dataset.theme = this.dark ? "dark" : "light";
    this.root.style.setProperty("--stage", `rgb(${this.style().background.join(",")})`);
    if (this.data) {
      this.recolour();
      this.redraw();
    }
  }

  // Colours of the page, and sizes, for drawing.
  style() {
    const pixelRatio = window.devicePixelRatio || 1;
    return { ...this.setup.pages[this.dark ? "dark" : "light"], pixelRatio, pointSize: this.state.point_size };
  }

  // --- keyframes

  goTo(keyframe) {
    const data = this.loaded.get(keyframe);
    if (!data) {
      this.hint.textContent = "loading the keyframe ...";
      return this.model.send({ type: "need", keyframe });
    }
    this.data = data;
    this.cloud.load(data);
    this.hovered = [];
    if (!this.home) this.home = { ...this.state.view };
    this.pictures = data.cameras.map((camera) => new Picture(this, camera, false));
    this.strip.replaceChildren(...this.pictures.map((picture) => picture.node));
    this.follow.replaceChildren(...["", ...data.cameras.map((camera) => camera.name)].map((name) => {
      const option = make("option", "", name || "camera view");
      option.value = name;
      return option;
    }));
    this.follow.value = this.state.view.camera || "";
    this.follow.hidden = !data.cameras.length;
    this.enlarge(this.large);
    this.followCamera();
    this.recolour();
    this.showControls();
    this.showStatus();
    this.redraw(true);
  }

  // --- colours

  mode() {
    return this.setup.modes.find((mode) => mode.name === this.state.mode) || this.setup.modes[0];
  }

  shownSet() {
    return Math.max(this.setup.sets.findIndex((set) => set.name === this.state.feature_set), 0);
  }

  // Sets that are drawn, by number: several only where the mode depends on the set.
  shownSets() {
    const all = this.state.side_by_side && this.mode().per_set && this.setup.sets.length > 1;
    return all ? this.setup.sets.map((_, number) => number) : [this.shownSet()];
  }

  // Features of the picked points in a set, each with its weight in the similarity.
  picks(number) {
    const source = this.loaded.get(this.state.picked_in);
    const set = this.setup.sets[number];
    if (!source || !set?.channels) return [];
    const features = source === this.data ? this.cloud.features[number] : derived(source.arrays, "", `/${number}`, set);
    const weighted = (indices, sign) => {
      const found = indices.map((index) => this.pointOf(index, source)).filter((point) => point >= 0)
        .map((point) => featureOf(features, point)).filter((feature) => feature.length > 0);
      return found.map((feature) => ({ feature, weight: sign / found.length }));
    };
    return [...weighted(this.state.picked, 1), ...weighted(this.state.negatives, -1)];
  }

  recolour() {
    const mode = this.mode();
    const style = this.style();
    const numbers = this.shownSets();
    const all = [...new Set([...numbers, this.shownSet()])];
    const picks = {};
    if (mode.kind === "similarity") for (const number of all) picks[number] = this.picks(number);
    const hidden = new Set(this.state.hidden_classes);
    const { colours } = this.setup.classes;
    const classTable = new Uint8Array(1024).fill(255);
    colours.forEach((colour, label) => classTable.set([...colour, hidden.has(label) ? 0 : 255], 4 * label));
    const limits = mode.kind === "similarity" ? [this.setup.similarity_low[this.state.cosine], 1] : [mode.low ?? 0, mode.high ?? 1];
    const threshold = ["score", "similarity"].includes(mode.kind) ? this.state.threshold : null;
    this.lastPicks = picks;
    for (const number of all) {
      this.cloud.colour(number, {
        mode: mode.name, kind: mode.kind, branch: mode.branch, limits, threshold, picks, classTable,
        plain: this.state.cosine === "plain", components: this.state.components,
        noValue: style.no_value, correct: rgbOf(this.setup.correct), wrong: rgbOf(this.setup.wrong),
      });
    }
    this.limits = limits;
    this.threshold = threshold;
    this.imagesStale = true;
  }

  // Colours of the cells of an image's feature map, if it has one and the first set is shown.
  mapColours(camera) {
    const kind = this.mode().kind;
    const number = this.shownSet();
    if (!camera.map_size || number !== 0 || !["features", "similarity"].includes(kind)) return null;
    const picks = this.lastPicks?.[0] || [];
    if (kind === "similarity" && !picks.length) return null;
    const set = this.setup.sets[0];
    const [rows, columns] = camera.map_size;
    this.cells ||= new Map();
    const key = `${this.data.keyframe}/${camera.number}`;
    if (!this.cells.has(key)) this.cells.set(key, derived(this.data.arrays, `map/${camera.number}/`, "", set));
    const features = this.cells.get(key);
    const pixels = new Uint32Array(rows * columns);
    const bytes = new Uint8Array(pixels.buffer);
    const table = (this.similarityTable ||= scaleTable(this.setup.scales.similarity));
    for (let i = 0; i < pixels.length; i++) {
      if (kind === "features") bytes.set([...this.componentsOf(features, i, set), 255], 4 * i);
      else {
        const score = picks.reduce((sum, { feature, weight }) => sum + weight * cosineTo(feature, features, i, set, this.state.cosine === "plain"), 0);
        if (this.threshold !== null && score < this.threshold) continue;
        const ratio = clamp((score - this.limits[0]) / (this.limits[1] - this.limits[0]), 0, 1);
        const at = 4 * Math.round(ratio * 255);
        bytes.set([...table.subarray(at, at + 3), 255 * (0.35 + 0.65 * ratio)], 4 * i); // similar cells are less transparent
      }
    }
    return { canvas: canvasOf(pixels, columns, rows), cells: true };
  }

  componentsOf({ direction, rest, channels }, i, set) {
    const times = rest[4 * i] * rest[4 * i + 1];
    return this.state.components.map((component) => {
      if (component >= set.component_starts.length) return 128;
      let sum = 0;
      for (let k = 0; k < channels; k++) sum += direction[channels * i + k] * set.component_weights[component * channels + k];
      return Math.round(clamp(set.component_starts[component] + sum * times, 0, 1) * 255);
    });
  }

  // --- drawing

  redraw(resized = false) {
    this.resized ||= resized;
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    if (!this.data || !this.stage.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight].map((v) => Math.round(v * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      for (const canvas of [this.canvas, this.over]) [canvas.width, canvas.height] = [width, height];
      this.imagesStale = true;
    }
    const sets = this.shownSets();
    this.panels = sets.map((number, i) => {
      const [left, right] = [i, i + 1].map((at) => Math.round((at * width) / sets.length));
      return { number, x: left, y: 0, width: right - left, height };
    });
    this.cloud.draw(this.panels, this.state.view, this.style(), this.moving ? this.drawnRatio : 1);
    this.drawMarks();
    if (this.imagesStale || this.resized) {
      [...this.pictures, ...(this.largePicture ? [this.largePicture] : [])].forEach((picture) => picture.draw());
    }
    [this.imagesStale, this.resized] = [false, false];
    this.frames++;
  }

  // Points with a mark: the picked ones of this keyframe, and those under the pointer.
  marks() {
    const found = this.hovered.map((point) => ({ point, kind: "hover" }));
    if (this.state.picked_in !== this.data.keyframe) return found;
    for (const [indices, kind] of [[this.state.picked, "positive"], [this.state.negatives, "negative"]]) {
      for (const index of indices) found.push({ point: this.pointOf(index), kind });
    }
    return found;
  }

  drawMarks() {
    const marks = this.marks();
    this.over.hidden = !marks.length && this.panels.length < 2; // the browser has a layer less to compose
    if (this.over.hidden) return;
    const context = this.over.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.clearRect(0, 0, this.over.width, this.over.height);
    const { position } = this.data.arrays;
    for (const panel of this.panels) {
      const matrix = clipMatrix(this.state.view, panel.width / panel.height);
      for (const { point, kind } of marks) {
        const place = pixelOf(matrix, position.subarray(3 * point, 3 * point + 3), panel.width, panel.height);
        if (place && place[0] >= 0 && place[0] <= panel.width) ring(context, panel.x + place[0], place[1], 9 * ratio, kind, ratio);
      }
      if (panel.x) {
        context.fillStyle = `rgb(${this.style().divider.join(",")})`;
        context.fillRect(panel.x - ratio / 2, 0, ratio, panel.height);
      }
    }
  }

  // --- the number of a point among those drawn (`point`), and its index in the keyframe (`index`)

  indexOf(point) {
    return this.data.arrays.index ? this.data.arrays.index[point] : point;
  }

  // -1 for a point that is not drawn.
  pointOf(index, data = this.data) {
    const { index: drawn } = data.arrays;
    if (!drawn) return index < data.count ? index : -1;
    let [low, high] = [0, drawn.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (drawn[middle] < index) low = middle + 1;
      else high = middle;
    }
    return drawn[low] === index ? low : -1;
  }

  isShown(point) {
    const read = this.cloud.read(this.shownSet());
    return !read || read.colours[4 * point + 3] > 0;
  }

  // --- pointing and clicking

  panelAt(event) {
    const { left, bottom } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [x, y] = [(event.clientX - left) * ratio, (bottom - event.clientY) * ratio];
    const panel = this.panels.find((each) => x >= each.x && x < each.x + each.width) || this.panels[0];
    return { panel, x: x - panel.x, y };
  }

  pointAt(event) {
    if (!this.panels) return -1;
    const { panel, x, y } = this.panelAt(event);
    return this.cloud.pointAt(panel, x, y, this.state.view, this.style());
  }

  listenToPointer() {
    const { canvas } = this;
    const down = new Map();
    let [moved, pinch] = [0, 0];
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      down.set(event.pointerId, [event.clientX, event.clientY]);
      [moved, pinch] = [down.size > 1 ? 99 : 0, 0];
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = down.get(event.pointerId);
      if (!last) return this.hoverLater(event);
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      moved += Math.abs(dx) + Math.abs(dy);
      down.set(event.pointerId, [event.clientX, event.clientY]);
      if (down.size === 2) {
        const [a, b] = [...down.values()];
        const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (pinch) this.zoom(pinch / apart);
        pinch = apart;
      } else if (moved > 4) {
        if (event.buttons & 6 || event.shiftKey || event.ctrlKey) this.pan(dx, dy);
        else this.turn(dx, dy);
      }
    });
    const up = (event) => {
      const single = down.delete(event.pointerId) && down.size === 0;
      if (single && moved <= 4 && event.type === "pointerup" && event.button === 0) this.click(this.pointAt(event), event, "cloud");
      else if (single) this.syncView();
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(clamp(event.deltaY, -200, 200) * 0.0015));
      clearTimeout(this.wheeling);
      this.wheeling = setTimeout(() => this.syncView(), 200);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const act = { t: () => this.top(), h: () => this.change({ view: this.home }), Escape: () => this.clear() }[event.key];
      if (act) act();
    });
  }

  // Move the view; Python is informed when the gesture ends, by `syncView`.
  move(changes) {
    this.state.view = { ...this.state.view, ...changes };
    delete this.state.view.camera;
    this.followed = undefined;
    if (!this.waiting) this.adaptRatio();
    if (this.home && this.follow.value) [this.follow.value, this.state.view.fov] = ["", this.home.fov];
    this.redraw();
  }

  // Adapt the ratio of points drawn while the view moves, to about 25 frames a second.
  adaptRatio() {
    const now = performance.now();
    const spent = now - (this.moving || now);
    if (spent > 42 && spent < 1000) this.drawnRatio = Math.max(this.drawnRatio * 0.85, 0.05);
    else if (spent > 0 && spent < 30) this.drawnRatio = Math.min(this.drawnRatio * 1.12, 1);
    this.moving = now;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.moving = 0;
      if (this.drawnRatio < 1) this.redraw();
    }, 220);
  }

  syncView() {
    this.model.set("view", this.state.view);
    this.model.save_changes();
  }

  turn(dx, dy) {
    const { azimuth, elevation } = this.state.view;
    this.move({ azimuth: (azimuth + dx * 0.35 + 540) % 360 - 180, elevation: clamp(elevation + dy * 0.3, -85, 90) });
  }

  pan(dx, dy) {
    const { view } = this.state;
    const { right, up } = axesOf(view);
    const { width, height } = this.panels[0];
    const metres = (2 * view.distance) / focalOf(view, width / height) / this.stage.clientHeight;
    this.move({ target: add(add(view.target, right, -dx * metres), up, dy * metres) });
  }

  zoom(times) {
    this.move({ distance: clamp(this.state.view.distance * times, 0.5, 1000) });
  }

  top() {
    const { azimuth } = this.home;
    this.change({ view: { ...this.home, azimuth, elevation: 90, distance: this.home.distance * 1.15 } });
  }

  viewFrom(name) {
    this.change({ view: name ? { ...this.state.view, camera: name } : { ...this.home } });
  }

  // Move the eye to the view's camera, where it is in this keyframe.
  followCamera() {
    const { view } = this.state;
    this.followed = view.camera;
    const camera = this.data?.cameras.find(({ name }) => name === view.camera);
    if (!camera) return;
    const { azimuth, elevation, fov } = camera;
    const { ahead } = axesOf({ azimuth, elevation, target: [0, 0, 0], distance: 0 });
    this.state.view = { target: add(camera.eye, ahead, 10), distance: 10, azimuth, elevation, fov, camera: view.camera };
    this.syncView();
    this.redraw();
  }

  hoverLater(event) {
    this.pointer = event;
    this.hoverTimer ||= setTimeout(() => {
      this.hoverTimer = 0;
      const point = this.pointer ? this.pointAt(this.pointer) : -1;
      this.hover(point < 0 ? null : [point]);
    }, 60);
  }

  hoverImage(picture, place) {
    this.hover(picture.pairsAt(place, 6).slice(0, 24).map(([, i]) => picture.pairs.point[i]));
  }

  hover(points) {
    if (points === null) this.pointer = null;
    const next = points || [];
    if (same(next, this.hovered)) return;
    this.hovered = next;
    this.canvas.style.cursor = next.length ? "pointer" : "grab";
    this.showStatus(next.length ? this.indexOf(next[0]) : undefined);
    this.imagesStale = true;
    this.redraw();
  }

  click(point, event, place) {
    if (point < 0) return;
    const kind = event.altKey ? "negative" : event.shiftKey ? "positive" : this.clickKind;
    const index = this.indexOf(point);
    const here = this.state.picked_in === this.state.keyframe;
    let [picked, negatives] = here ? [this.state.picked, this.state.negatives] : [[], []];
    const toggled = (list) => (list.includes(index) ? list.filter((each) => each !== index) : [...list, index]);
    if (kind === "pick") [picked, negatives] = [[index], []];
    else if (kind === "positive") [picked, negatives] = [toggled(picked), negatives.filter((each) => each !== index)];
    else [picked, negatives] = [picked.filter((each) => each !== index), toggled(negatives)];
    this.change({ picked_in: this.state.keyframe, picked, negatives });
    this.showStatus(index);
    this.model.send({ type: "click", point: index, kind, keyframe: this.state.keyframe, place, picked, negatives });
  }

  // Select the points in a box of an image: they get a rim, and Python gets their index.
  select(points, place) {
    this.selection = points;
    this.cloud.mark(points);
    const indices = Int32Array.from(points, (point) => this.indexOf(point)).sort();
    this.model.send({ type: "select", place, keyframe: this.state.keyframe }, undefined, [indices.buffer]);
    this.status.textContent = `${withCommas(points.length)} points in the box`;
    this.imagesStale = true;
    this.redraw();
  }

  clear() {
    this.change({ picked: [], negatives: [] });
    if (this.selection?.length) this.select(new Int32Array(0), "cloud");
  }

  // --- texts

  showStatus(index) {
    if (index === undefined) index = this.state.picked_in === this.state.keyframe ? this.state.picked.at(-1) : undefined;
    const point = index === undefined ? -1 : this.pointOf(index);
    const { token, scene, count } = this.setup.keyframes[this.state.keyframe];
    if (point < 0) {
      this.status.textContent = `${scene || token} · ${withCommas(count)} points`;
    } else {
      const { arrays } = this.data;
      const at = [...arrays.position.subarray(3 * point, 3 * point + 3)].map((v) => v.toFixed(1));
      const parts = [`point ${index}`, `x ${at[0]}  y ${at[1]}  z ${at[2]} m`];
      if (arrays.labels) parts.push(this.setup.classes.names[arrays.labels[point]] || "not scored");
      const read = this.cloud.read(this.shownSet());
      const { kind, name } = this.mode();
      if (read && kind === "similarity" && this.state.picked.length) parts.push(`similarity ${read.scores[point].toFixed(2)}`);
      if (read && kind === "score") parts.push(`${name} ${read.scores[point].toFixed(2)}`);
      this.status.textContent = parts.join("  ·  ");
    }
    const asking = this.mode().kind === "similarity" && !this.state.picked.length;
    this.hint.textContent = asking ? "Click a point to see which points have similar features" : "";
  }

  classCounts(what) {
    const name = what === "labels" ? "labels" : `predicted/${this.shownSet()}`;
    const counts = {};
    for (const label of this.data.arrays[name] || []) counts[label] = (counts[label] || 0) + 1;
    return counts;
  }

  errorCounts() {
    const { arrays } = this.data;
    const predicted = arrays[`predicted/${this.shownSet()}`];
    let [correct, wrong] = [0, 0];
    const { ignore } = this.setup.classes;
    if (arrays.labels && predicted) {
      arrays.labels.forEach((label, i) => {
        if (label === ignore || predicted[i] === ignore) return;
        if (label === predicted[i]) correct++;
        else wrong++;
      });
    }
    return { correct, wrong };
  }

  toggleClass(label, only, counts) {
    const { hidden_classes: hidden } = this.state;
    const others = Object.keys(counts).map(Number).filter((each) => each !== label && each !== this.setup.classes.ignore);
    const alone = others.every((each) => hidden.includes(each)) && !hidden.includes(label);
    if (only) this.change({ hidden_classes: alone ? [] : others });
    else this.change({ hidden_classes: hidden.includes(label) ? hidden.filter((each) => each !== label) : [...hidden, label] });
  }

  showControls() {
    this.modes.replaceChildren(...this.setup.modes.map((mode) => {
      const node = button(mode.title, mode.label || mode.title, () => this.change({ mode: mode.name }), "kx-mode");
      node.setAttribute("aria-pressed", mode.name === this.mode().name);
      node.dataset.mode = mode.name;
      return node;
    }));
    const sets = this.setup.sets.map((set) => {
      const node = button(set.name, `Features of ${set.name}`, () => this.change({ feature_set: set.name, side_by_side: false }));
      node.setAttribute("aria-pressed", !this.state.side_by_side && set.name === this.setup.sets[this.shownSet()].name);
      return node;
    });
    if (sets.length > 1) {
      const node = button("side by side", "All sets, from one viewpoint", () => this.change({ side_by_side: !this.state.side_by_side }));
      node.setAttribute("aria-pressed", this.state.side_by_side);
      sets.push(node);
    }
    this.sets.replaceChildren(...sets);
    this.sets.hidden = !sets.length;
    const shown = this.shownSets();
    this.headings.replaceChildren(...(shown.length > 1 ? shown : []).map((number) => make("div", "kx-heading", this.setup.sets[number].name)));
    this.showKeyframes();
    this.showLegend();
    this.showStatus();
  }

  showKeyframes() {
    const count = this.setup.keyframes.length;
    this.slider.hidden = count < 2;
    if (this.slider.childElementCount && this.slider.contains(document.activeElement)) {
      this.slider.lastChild.textContent = `${this.state.keyframe + 1} / ${count}`;
      return;
    }
    const valueText = make("span", "kx-value", `${this.state.keyframe + 1} / ${count}`);
    const input = slider(0, count - 1, 1, this.state.keyframe, "Keyframe", (keyframe) => this.change({ keyframe }));
    this.slider.replaceChildren(make("span", "", "keyframe"), input, valueText);
  }

  showLegend() {
    const mode = this.mode();
    this.legend.replaceChildren(...LEGENDS[mode.kind](this, mode));
  }

  enlarge(name) {
    this.large = name;
    const camera = this.data.cameras.find((each) => each.name === name);
    this.largePicture = camera ? new Picture(this, camera, true) : null;
    this.largeNode.replaceChildren(...(camera ? [this.largePicture.node] : []));
    this.largeNode.hidden = !camera;
    this.redraw(true);
  }

  savePicture() {
    this.draw();
    const picture = make("canvas");
    [picture.width, picture.height] = [this.canvas.width, this.canvas.height];
    const context = picture.getContext("2d");
    for (const canvas of [this.canvas, this.over]) context.drawImage(canvas, 0, 0);
    picture.toBlob((png) => {
      const link = make("a");
      link.href = URL.createObjectURL(png);
      link.download = `${this.mode().name.replace(/\W+/g, "-")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }
}

// Points from above, drawn once, coloured by height: for browsers without WebGL2 and without Python.
function flatPicture(setup, bytes) {
  const data = decode(setup.header, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const canvas = make("canvas", "kx-flat");
  [canvas.width, canvas.height] = [900, 900];
  const context = canvas.getContext("2d");
  const table = scaleTable(setup.scales.value);
  const { low, high } = setup.modes.find(({ name }) => name === "height");
  const step = Math.max(1, Math.ceil(data.count / 10_000));
  for (let i = 0; i < data.count; i += step) {
    const [x, y, z] = data.arrays.position.subarray(3 * i, 3 * i + 3);
    const at = 4 * Math.round(clamp((z - low) / (high - low), 0, 1) * 255);
    context.fillStyle = `rgb(${table.subarray(at, at + 3).join(",")})`;
    context.fillRect(450 + 9 * x, 450 - 9 * y, 2, 2);
  }
  return canvas;
}

// ---------------------------------------------------------------- 7 · Entries

// In a notebook: anywidget gives the model and an element.
function render({ model, el }) {
  const root = make("div");
  el.append(root);
  root.explorer = new Explorer(model, root);
  return () => root.explorer.close();
}

async function inflate(text) {
  const compressed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// In a saved page: a model without a kernel, made from the data in the page.
async function openPage() {
  const traits = JSON.parse(document.getElementById("kx-traits").textContent);
  const payloads = new Map();
  for (const node of document.querySelectorAll("script[data-keyframe]")) {
    payloads.set(Number(node.dataset.keyframe), { header: JSON.parse(node.dataset.header), text: node.textContent });
  }
  const listeners = [];
  const first = payloads.get(traits.setup.header.keyframe);
  const state = { ...traits, payload: new DataView((await inflate(first.text)).buffer) };
  const model = {
    standalone: true,
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (event, call) => { if (event === "msg:custom") listeners.push(call); },
    send: async (message) => {
      const payload = message.type === "need" && payloads.get(message.keyframe);
      if (!payload) return;
      const received = { header: payload.header, payload: await inflate(payload.text) };
      model.widget_manager = { get_model: async () => ({ get: (name) => received[name] }) };
      listeners.forEach((call) => call({ type: "keyframe" }));
    },
  };
  const root = make("div", "kx-page");
  document.body.append(root);
  root.explorer = new Explorer(model, root);
  document.documentElement.dataset.ready = "yes";
}

export default { render };
