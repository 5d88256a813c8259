// Entry for saved pages: a model without a kernel, made from the data in the page.

import { make } from "./dom.js";
import { Explorer } from "./explorer.js";
import { stateOf } from "./history.js";
import { bytesOf } from "./text85.js";

async function inflate({ text, size }) {
  const stream = new Blob([bytesOf(text, size)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function openPage() {
  const traits = JSON.parse(document.getElementById("kx-traits").textContent);
  const payloads = new Map();
  /** @type {NodeListOf<HTMLScriptElement>} */
  const nodes = document.querySelectorAll("script[data-keyframe]");
  for (const node of nodes) {
    payloads.set(Number(node.dataset.keyframe), { header: JSON.parse(node.dataset.header), text: node.textContent, size: Number(node.dataset.size) });
  }
  const listeners = [];
  const first = payloads.get(traits.setup.header.keyframe);
  const state = { ...traits, payload: new DataView((await inflate(first)).buffer) };
  const linked = stateOf(location.hash);
  for (const name of traits.setup.state) if (linked && name in linked) state[name] = linked[name];
  const model = {
    standalone: true,
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (event, call) => { if (event === "msg:custom") listeners.push(call); },
    off: () => {},
    send: async (message) => {
      const payload = message.type === "need" && payloads.get(message.keyframe);
      if (!payload) return;
      const received = { header: payload.header, payload: await inflate(payload) };
      model.widget_manager = { get_model: async () => ({ get: (name) => received[name] }) };
      listeners.forEach((call) => call({ type: "keyframe" }));
    },
  };
  const root = make("div", "kx-page");
  document.body.append(make("main", "", make("h1", "kx-hidden", document.title), root));
  root.explorer = new Explorer(model, root);
  document.getElementById("kx-poster")?.remove();
  document.documentElement.dataset.ready = "yes";
}

openPage();
