// Entry for notebooks: anywidget gives the model, and for each view an element.

import { make } from "./dom.js";
import { Explorer } from "./explorer.js";

const PREPARED = Symbol.for("kit.explorer.prepared");
const UNSEEN = 20_000; // milliseconds in which a view has to come

/**
 * @typedef {import("./link.js").Model} Model
 * @typedef {HTMLElement & {explorer?: Explorer}} Root
 * @typedef {{payload: unknown, root: Root | null}} Prepared an explorer without a view
 */

/** @type {Record<symbol, Prepared | null>} shared by all scripts of the page */
const shared = /** @type {any} */ (globalThis);

/** @param {Model} model */
function newRoot(model) {
  /** @type {Root} */
  const root = make("div");
  root.explorer = new Explorer(model, root);
  return root;
}

/**
 * Make the explorer while Python still draws its picture for the notebook. Only one at a time: where
 * a notebook is opened again, there are many models, and most are not looked at soon.
 * @param {{model: Model}} given
 */
function initialize({ model }) {
  const payload = model.get("payload");
  if (shared[PREPARED] || payload !== model.get("payload")) return undefined; // by which `render` knows it
  /** @type {Prepared} */
  const mine = { payload, root: null };
  shared[PREPARED] = mine;
  // Not at once: anywidget waits for what happens here.
  setTimeout(() => { if (shared[PREPARED] === mine) mine.root = newRoot(model); });
  const forget = () => {
    if (shared[PREPARED] !== mine) return;
    shared[PREPARED] = null;
    mine.root?.explorer.close();
  };
  setTimeout(forget, UNSEEN);
  return forget;
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const prepared = shared[PREPARED];
  const isMine = prepared?.payload === model.get("payload");
  if (isMine) shared[PREPARED] = null;
  const root = (isMine && prepared.root) || newRoot(model);
  el.append(root);
  return () => root.explorer.close();
}

export default { initialize, render };
