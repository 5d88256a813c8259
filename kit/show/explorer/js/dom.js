// Elements of the page. Every text becomes a text node: names from data cannot become markup.

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} className @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/**
 * @param {string | Node} content @param {string} title @param {(event: MouseEvent) => void} action
 */
export function button(content, title, action, className = "kx-button") {
  const node = make("button", className, content);
  node.type = "button";
  node.title = title;
  if (typeof content !== "string") node.setAttribute("aria-label", title);
  node.addEventListener("click", action);
  return node;
}

/**
 * Whether a button is pressed, for eyes and for screen readers.
 * @template {Element} T @param {T} node @param {boolean} pressed @returns {T}
 */
export function press(node, pressed) {
  node.setAttribute("aria-pressed", String(Boolean(pressed)));
  return node;
}

/** @param {number} low @param {number} high @param {number} step @param {number} value
 * @param {string} title @param {(value: number) => void} action */
export function slider(low, high, step, value, title, action) {
  const input = make("input", "kx-slider");
  Object.assign(input, { type: "range", min: low, max: high, step, title });
  input.value = String(value);
  input.setAttribute("aria-label", title);
  input.addEventListener("input", () => action(Number(input.value)));
  return input;
}

/**
 * A row with a name, a slider and its value as text.
 * @param {string | Node} name @param {HTMLElement} input @param {string} value
 */
export function row(name, input, value) {
  const shown = make("span", "kx-value", value);
  const node = make("label", "kx-row", typeof name === "string" ? make("span", "", name) : name, input, shown);
  return { node, shown };
}

/** @param {string[][]} choices value and text @param {string} value @param {string} title @param {(value: any) => void} action */
export function select(choices, value, title, action) {
  const node = make("select", "kx-select");
  node.title = title;
  node.setAttribute("aria-label", title);
  fill(node, choices, value);
  node.addEventListener("change", () => action(node.value));
  return node;
}

/** Give a select new choices. @param {HTMLSelectElement} node @param {string[][]} choices @param {string} value */
export function fill(node, choices, value) {
  node.replaceChildren(...choices.map(([each, text]) => {
    const option = make("option", "", text);
    option.value = each;
    return option;
  }));
  node.value = value;
}

/**
 * Buttons of which one is pressed.
 * @template {string} T @param {[T, string, string][]} choices value, text, title @param {T} value @param {(value: T) => void} action
 */
export function segments(choices, value, action) {
  return make("div", "kx-segments", ...choices.map(([each, text, title]) =>
    press(button(text, title, () => action(each)), each === value)));
}

/**
 * A box to tick.
 * @param {string} text @param {boolean} checked @param {string} title @param {(checked: boolean) => void} action
 */
export function checkbox(text, checked, title, action) {
  const input = make("input");
  input.type = "checkbox";
  input.checked = checked;
  input.addEventListener("change", () => action(input.checked));
  const node = make("label", "kx-check", input, text);
  node.title = title;
  return node;
}

/** @typedef {keyof typeof ICONS} IconName */

// Outlines in a square of 16 x 16.
const ICONS = {
  top: "M8 2v12M8 2 4.5 5.5M8 2l3.5 3.5M2.5 14h11",
  home: "M2.5 7.5 8 2.5l5.5 5M4 6.5V13.5h8V6.5",
  lasso: "M8 2.5c3.3 0 5.8 1.7 5.8 3.9S11.3 10.3 8 10.3 2.2 8.6 2.2 6.4 4.7 2.5 8 2.5M4.6 9.6c-1.2 1.6.2 2.6 1 3.9",
  light: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  display: "M2.5 4.5h6M12 4.5h1.5M8.5 2.8v3.4h3V2.8zM2.5 11.5H4M7.5 11.5h6M4 9.8v3.4h3V9.8z",
  save: "M8 2.5v7.5M8 10 5 7M8 10l3-3M2.5 11v2.5h11V11",
  undo: "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5 6 3.5M3 6.5l3 3",
  redo: "M13 6.5H6.5a3.5 3.5 0 0 0 0 7H10M13 6.5 10 3.5M13 6.5l-3 3",
  full: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  help: "M5.8 6a2.3 2.3 0 1 1 3.3 2c-.8.4-1.1.8-1.1 1.7M8 12.3v.4",
  play: "M4.5 3v10l8-5z",
  pause: "M5.5 3v10M10.5 3v10",
  next: "M4.5 3v10l6-5zM12 3v10",
  link: "M6.5 9.5l3-3M7 4.5 8.5 3a3.2 3.2 0 0 1 4.5 4.5L11.5 9M9 11.5 7.5 13A3.2 3.2 0 0 1 3 8.5L4.5 7",
  close: "M4 4l8 8M12 4l-8 8",
  fold: "M4 6l4 4 4-4",
};

/**
 * The only markup that is parsed; it comes from the table above.
 * @param {keyof typeof ICONS} name @returns {SVGElement}
 */
export function icon(name) {
  const outline = document.createElement("template");
  outline.innerHTML = `<svg viewBox="0 0 16 16" class="kx-icon" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return /** @type {SVGElement} */ (outline.content.firstElementChild.cloneNode(true));
}

/**
 * Keep the pointer's events of a drag; a test's events have no pointer to keep.
 * @param {Element} node @param {PointerEvent} event
 */
export function capture(node, event) {
  try {
    node.setPointerCapture(event.pointerId);
  } catch {
    // the pointer is no longer there
  }
}

/**
 * Pixels 0xAABBGGRR as a canvas.
 * @param {Uint32Array<ArrayBuffer>} pixels @param {number} width @param {number} height
 */
export function canvasOf(pixels, width, height) {
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [width, height];
  const bytes = new Uint8ClampedArray(pixels.buffer);
  canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  return canvas;
}
