// The state as text for links, and which states fit an explorer.

/**
 * @typedef {import("./content.js").State} State
 * @typedef {import("./content.js").Setup} Setup
 */

/** The state as a text for links: JSON in base64 without signs that links do not allow. @param {Partial<State>} state */
export function linkOf(state) {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `#kx=${letters.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/**
 * The state of a link, or null.
 * @param {string} link
 */
export function stateOf(link) {
  const letters = /^#kx=([\w-]+)$/.exec(link)?.[1];
  if (!letters) return null;
  try {
    const text = atob(letters.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}

/** @param {unknown} value @param {number} low @param {number} high */
const isNumber = (value, low = -Infinity, high = Infinity) => Number.isFinite(value) && Number(value) >= low && Number(value) <= high;
/** @param {unknown} value @param {number} count */
const isIndex = (value, count) => Number.isInteger(value) && isNumber(value, 0, count - 1);
/** @param {unknown} value @param {(each: unknown) => boolean} check */
const isListOf = (value, check) => Array.isArray(value) && value.every(check);
/** @param {unknown} value */
const isSwitch = (value) => typeof value === "boolean";

/** @param {any} view */
function isView(view) {
  const { target, distance, azimuth, elevation, fov, camera = "" } = view ?? {};
  const numbers = isListOf(target, (each) => isNumber(each)) && target.length === 3 && [azimuth, elevation].every((each) => isNumber(each));
  return numbers && isNumber(distance) && distance > 0 && isNumber(fov) && fov > 0 && fov < 180 && typeof camera === "string";
}

/**
 * Checks of a state's values, as those of the traits in widget.py.
 * @param {Setup} setup @param {Partial<State>} state
 * @returns {Record<keyof State, (value: any) => boolean>}
 */
function checks({ modes, sets, classes, keyframes, colour_maps: maps }, state) {
  const names = sets.map(({ name }) => name);
  const components = Math.max(3, Math.min(12, ...sets.filter(({ channels }) => channels).map(({ component_starts: starts }) => starts.length)));
  const isOther = (/** @type {unknown} */ value) => ["", ...names].includes(String(value));
  const isPoint = (/** @type {unknown} */ value) => isIndex(value, keyframes[state.picked_in ?? 0]?.count ?? 0);
  const arePoints = (/** @type {unknown} */ value) => isListOf(value, isPoint);
  return {
    mode: (value) => modes.some(({ name }) => name === value),
    feature_set: (value) => (names.length ? names : [""]).includes(value),
    compare_with: isOther, swipe_with: isOther,
    keyframe: (value) => isIndex(value, keyframes.length), picked_in: (value) => isIndex(value, keyframes.length),
    picked: arePoints, negatives: arePoints,
    cosine: (value) => ["centred", "plain"].includes(value),
    similarity_range: (value) => ["auto", "fixed"].includes(value),
    background: (value) => ["dark", "light"].includes(value),
    threshold: (value) => value === null || isNumber(value),
    thresholds: (value) => Object(value) === value && !Array.isArray(value) && Object.values(value).every((each) => isNumber(each)),
    components: (value) => isListOf(value, (each) => isIndex(each, components)) && value.length === 3,
    hidden_classes: (value) => isListOf(value, (each) => isIndex(each, classes.names.length)),
    colour_map: (value) => maps.includes(value),
    palette: (value) => Object.keys(classes.colours).includes(value),
    view: isView,
    point_size: (value) => isNumber(value, 0.1, 10), density: (value) => isNumber(value, 0.01, 1), swipe: (value) => isNumber(value, 0, 1),
    side_by_side: isSwitch, shading: isSwitch, frusta: isSwitch, boxes: isSwitch,
  };
}

/**
 * The name of a value that does not fit, or "".
 * @param {Partial<State>} state @param {Setup} setup
 */
export function misfitOf(state, setup) {
  const known = checks(setup, state);
  return setup.state.find((name) => name in state && !known[name]?.(state[name])) ?? "";
}
