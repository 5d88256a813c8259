// Entry for notebooks: anywidget gives the model and an element.

import { make } from "./dom.js";
import { Explorer } from "./explorer.js";

/** @param {{model: import("./link.js").Model, el: HTMLElement}} given */
function render({ model, el }) {
  /** @type {HTMLElement & {explorer?: Explorer}} */
  const root = make("div");
  el.append(root);
  root.explorer = new Explorer(model, root);
  return () => root.explorer.close();
}

export default { render };
