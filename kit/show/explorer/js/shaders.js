// The programs of the GPU.

import { RING } from "./marks.js";

// Computes the colour of every point once per change, into a buffer (transform feedback); turning
// the cloud then only reads four bytes per point. Alpha: 255 has a value, 96 has none, 0 hidden.
// The branches of u_branch are those of the table of modes in modes.py.
export const COLOUR_SHADER = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D; precision highp isampler2D;
in float a_value; in vec4 a_rgb; in vec4 a_rest; in uint a_label; in uint a_predicted;
uniform int u_branch, u_texels, u_shift, u_picks, u_ignore;
uniform vec2 u_limits; uniform float u_threshold, u_meanSquare, u_least; uniform bool u_thresholded, u_plain;
uniform vec3 u_noValue, u_correct, u_wrong, u_start;
uniform sampler2D u_scale, u_classes, u_pickTable, u_components; uniform isampler2D u_direction;
flat out uint v_colour; flat out float v_score;

vec4 own(int texel) {
  int at = gl_VertexID * u_texels + texel;
  return vec4(texelFetch(u_direction, ivec2(at & ((1 << u_shift) - 1), at >> u_shift), 0)) * a_rest.x;
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
  if (u_branch == 0) {
    v_score = a_value > u_least ? a_value : -2e30;
    if (a_value > u_least) colour = onScale(a_value);
  }
  else if (u_branch == 1) { if (a_rgb.a > 0.0) colour = a_rgb; }
  else if (u_branch == 2) {
    v_score = float(a_label);
    if (int(a_label) != u_ignore) colour = vec4(ofLabel.rgb, 1.0);
  } else if (u_branch == 3) {
    v_score = a_label == a_predicted ? 0.0 : 1.0;
    if (int(a_label) != u_ignore && int(a_predicted) != u_ignore) colour = vec4(a_label == a_predicted ? u_correct : u_wrong, 1.0);
  } else if (u_branch == 4) {
    if (a_rest.y > 0.0 && u_picks > 0) for (int pick = 0; pick < u_picks; pick++) v_score += cosineTo(pick);
    else v_score = -2e30;
  } else if (u_branch == 5) { if (a_rest.y > 0.0) colour = vec4(components(), 1.0); }
  if (ofLabel.a < 0.5) colour.a = 0.0;
  uvec4 bytes = uvec4(clamp(colour, 0.0, 1.0) * 255.0 + 0.5);
  v_colour = bytes.r | bytes.g << 8 | bytes.b << 16 | bytes.a << 24;
  gl_Position = vec4(0.0);
}`;
export const NO_FRAGMENTS = `#version 300 es
precision mediump float; out vec4 colour; void main() { colour = vec4(0.0); }`;

// Colours of points. u_glow: points with high scores are drawn again, as soft discs of light.
export const POINT_SHADER = `#version 300 es
precision highp float;
in vec3 a_position; in vec4 a_colour; in uint a_mark; in float a_score;
uniform mat4 u_matrix; uniform float u_spread; uniform vec4 u_size; // pixels at one metre, least, most, ratio without a value
uniform vec3 u_glow; // low, high end of the scores, and the strength; 0: no glow
uniform bool u_marking;
out vec4 v_colour; flat out float v_marked; flat out float v_inner;
void main() {
  bool marked = a_mark > 0u;
  gl_Position = u_matrix * vec4(a_position, 1.0);
  float size = clamp(u_size.x * (1.0 + u_spread * length(a_position)) / gl_Position.w, u_size.y, u_size.z);
  gl_PointSize = marked ? max(size * 1.5, u_size.y * 2.2) : a_colour.a < 0.5 ? max(size * u_size.w, 1.0) : size;
  float ratio = clamp((a_score - u_glow.x) / (u_glow.y - u_glow.x), 0.0, 1.0);
  v_colour = vec4(a_colour.rgb, 1.0); v_marked = marked ? 1.0 : 0.0; v_inner = 0.0;
  if (u_glow.z > 0.0) {
    v_inner = 0.36; v_colour.a = u_glow.z * smoothstep(0.6, 1.0, ratio);
    gl_PointSize = max(size, u_size.y) / v_inner;
    if (a_colour.a < 0.9 || ratio < 0.6) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  }
  if (a_colour.a < 0.1 || (u_marking && !marked)) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;
export const POINT_FRAGMENTS = `#version 300 es
precision mediump float;
in vec4 v_colour; flat in float v_marked; flat in float v_inner; uniform vec3 u_accent; out vec4 colour;
void main() {
  vec2 off = gl_PointCoord * 2.0 - 1.0; float square = dot(off, off);
  if (square > 1.0) discard;
  if (v_inner > 0.0) {
    float far = (sqrt(square) - v_inner) / (1.0 - v_inner);
    if (far < 0.0) discard;
    colour = vec4(v_colour.rgb * v_colour.a * (1.0 - far) * (1.0 - far), 0.0);
  } else colour = vec4(v_marked > 0.5 && square > 0.3 ? u_accent : v_colour.rgb, 1.0);
}`;

// Lines, and images in space.
export const SHAPE_SHADER = `#version 300 es
precision highp float;
in vec3 a_position; in vec4 a_rgb; uniform mat4 u_matrix; out vec4 v_rgb;
void main() { gl_Position = u_matrix * vec4(a_position, 1.0); v_rgb = a_rgb; }`;
export const SHAPE_FRAGMENTS = `#version 300 es
precision mediump float;
in vec4 v_rgb; uniform sampler2D u_image; uniform float u_textured; out vec4 colour;
void main() {
  vec4 own = u_textured > 0.0 ? vec4(texture(u_image, v_rgb.xy).rgb, u_textured) : v_rgb;
  colour = vec4(own.rgb * own.a, own.a);
}`;

// The drawn panel on the screen: eye-dome lighting, and the background behind it.
// Source: C. Boucheny, Interactive scientific visualisation of large datasets, 2009: each pixel is
// darker the farther it lies behind its neighbours, by differences of the logarithm of depth.
export const SCREEN_SHADER = `#version 300 es
void main() {
  vec2 corner = vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2));
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;
export const SCREEN_FRAGMENTS = `#version 300 es
precision highp float; precision highp sampler2D;
uniform sampler2D u_colour, u_depth, u_photo;
uniform vec4 u_panel; uniform vec4 u_box; // left, low, width, height in pixels; the photograph's place
uniform vec3 u_background; uniform float u_strength, u_lift, u_photoAlpha;
uniform ivec2 u_around[8]; uniform int u_taps; // the neighbours of a pixel
out vec4 colour;
float nearness(ivec2 at) { return 1.00007 - texelFetch(u_depth, at, 0).r; }
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 own = texelFetch(u_colour, at, 0);
  vec2 place = (gl_FragCoord.xy - u_panel.xy) / u_panel.zw;
  float far = length((place - vec2(0.5, 0.42)) * vec2(1.1, 1.25));
  vec3 behind = u_background + u_lift * (0.5 - far);
  if (u_photoAlpha > 0.0) {
    vec2 inside = (gl_FragCoord.xy - u_box.xy) / u_box.zw;
    if (all(greaterThanEqual(inside, vec2(0.0))) && all(lessThan(inside, vec2(1.0))))
      behind = mix(behind, texture(u_photo, vec2(inside.x, 1.0 - inside.y)).rgb, u_photoAlpha);
  }
  if (own.a >= 1.0 && u_strength > 0.0) {
    float mine = nearness(at), product = 1.0; // one logarithm of a product: that of each neighbour takes long
    ivec2 last = ivec2(u_panel.xy + u_panel.zw) - 1, first = ivec2(u_panel.xy);
    for (int tap = 0; tap < u_taps; tap++)
      product *= max(1.0, nearness(clamp(at + u_around[tap], first, last)) / mine);
    if (mine > 0.0001) own.rgb *= exp(-u_strength * min(log2(product) / float(u_taps), 1.2));
  }
  colour = vec4(behind * (1.0 - own.a) + own.rgb, 1.0);
}`;

// Rings as in marks.js, and lines: a wide stroke, and a narrow one of the other colour on it. Lengths
// are in pixels of the page; the borders of strokes are as soft as a pixel of the canvas.
const real = (/** @type {number} */ value) => value.toFixed(3);
export const RING_SHADER = `#version 300 es
precision highp float;
in vec3 a_position; uniform vec2 u_canvas; uniform float u_ratio;
out vec2 v_off; flat out int v_kind;
void main() {
  v_kind = int(a_position.z);
  v_off = (vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0) * ${real(RING.radius + RING.wide / 2 + 1.25)};
  vec2 place = vec2(a_position.x, u_canvas.y - a_position.y) + v_off * u_ratio;
  gl_Position = vec4(place / u_canvas * 2.0 - 1.0, 0.0, 1.0);
  if (v_kind == 3) gl_Position.y = sign(v_off.y);
}`;
export const RING_FRAGMENTS = `#version 300 es
precision highp float;
in vec2 v_off; flat in int v_kind; uniform float u_ratio; uniform vec3 u_divider; out vec4 colour;
float within(float far) { return clamp(0.5 - far * u_ratio, 0.0, 1.0); }
void main() {
  float middle = length(v_off);
  float far = v_kind == 3 ? abs(v_off.x) : abs(middle - (v_kind == 2 ? ${real(RING.hover * RING.radius)} : ${real(RING.radius)}));
  if (v_kind == 1) far = min(far, max(abs(v_off.y), abs(v_off.x) - ${real(RING.bar * RING.radius)}));
  float wide = within(far - ${real(RING.wide / 2)}), narrow = within(far - ${real(RING.narrow / 2)});
  if (v_kind == 0) narrow = max(narrow, within(middle - ${real(RING.dot)}));
  vec3 dark = vec3(0.0667), light = vec3(1.0);
  vec3 below = v_kind == 1 ? light : dark, above = v_kind == 1 ? dark : light;
  if (v_kind == 3) { wide = 0.0; narrow = within(far - 0.5); above = u_divider; }
  colour = vec4(below * wide * (1.0 - narrow) + above * narrow, wide + narrow - wide * narrow);
}`;
