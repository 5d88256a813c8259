// Entry for saved pages: a model without a kernel, made from the data in the page.

import { decoding, sizeOf } from "./data.js";
import { make } from "./dom.js";
import { Explorer } from "./explorer.js";
import { misfitOf, stateOf } from "./links.js";
import { SLICE, inSlices, pause } from "./slices.js";
import { readingText } from "./text85.js";

const PIECE = 1 << 20; // bytes that are inflated at once

/**
 * The bytes of a keyframe.
 * @param {{header: import("./data.js").Header, text: string, size: number}} stored
 */
async function inflate({ header, text, size }) {
  const packed = await inSlices(readingText(text, size));
  const { readable, writable } = new DecompressionStream("deflate");
  const [writer, reader] = [writable.getWriter(), readable.getReader()];
  const write = async () => {
    for (let at = 0; at < packed.length; at += PIECE) await writer.write(packed.subarray(at, at + PIECE));
    await writer.close();
  };
  write();
  const bytes = new Uint8Array(sizeOf(header));
  for (let at = 0, began = performance.now(); ;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes.set(value, at);
    at += value.length;
    if (performance.now() - began < SLICE) continue;
    await pause();
    began = performance.now();
  }
}

async function openPage() {
  const traits = JSON.parse(document.getElementById("kx-traits").textContent);
  const payloads = new Map();
  /** @type {NodeListOf<HTMLScriptElement>} */
  const nodes = document.querySelectorAll("script[data-keyframe]");
  for (const node of nodes) {
    payloads.set(Number(node.dataset.keyframe), { header: JSON.parse(node.dataset.header), text: node.textContent, size: Number(node.dataset.size) });
  }
  /** @type {((message: {type: string}) => void)[]} */
  const listeners = [];
  const first = payloads.get(traits.setup.header.keyframe);
  const state = { ...traits, payload: new DataView((await inflate(first)).buffer) };
  const { known, misfit } = linkedState(traits.setup);
  Object.assign(state, known);
  const bytes = new Uint8Array(state.payload.buffer);
  /** @type {import("./link.js").Model} */
  const model = {
    standalone: true,
    decoded: await inSlices(decoding(traits.setup.header, bytes)),
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (event, call) => { if (event === "msg:custom") listeners.push(call); },
    off: () => {},
    send: async (message) => {
      const payload = message.type === "need" && payloads.get(message.keyframe);
      if (!payload) return;
      /** @type {Record<string, unknown>} */
      const received = { header: payload.header, payload: await inflate(payload) };
      model.widget_manager = { get_model: async () => ({ get: (name) => received[name] }) };
      listeners.forEach((call) => call({ type: "keyframe" }));
    },
  };
  /** @type {HTMLElement & {explorer?: Explorer}} */
  const root = make("div", "kx-page");
  document.body.append(make("main", "", make("h1", "kx-hidden", document.title), root));
  root.explorer = new Explorer(model, root);
  document.getElementById("kx-poster")?.remove();
  document.documentElement.dataset.ready = "yes";
  follow(root.explorer, misfit);
}

/**
 * What the page's address says of the state; nothing where a value does not fit, which is named.
 * @param {import("./content.js").Setup} setup
 */
function linkedState(setup) {
  const linked = Object(stateOf(location.hash) ?? {});
  const misfit = misfitOf(linked, setup);
  return { misfit, known: misfit ? {} : Object.fromEntries(Object.entries(linked).filter(([name]) => /** @type {string[]} */ (setup.state).includes(name))) };
}

/** Say what is wrong with the link, and follow others. @param {Explorer} x @param {string} misfit */
function follow(x, misfit) {
  const say = (/** @type {string} */ name) => x.tell("link", name && `The link does not fit this page: ${name}`);
  say(misfit);
  window.addEventListener("hashchange", () => {
    const linked = linkedState(x.setup);
    say(linked.misfit);
    x.change(linked.known);
  });
}

openPage();
