// The way to Python: its changes of the state, keyframes and answers, and what to say without it.

import { decoding } from "./data.js";
import { same } from "./maths.js";
import { inSlices } from "./slices.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

const PATIENCE = 8000; // milliseconds until an answer of Python is missed

/**
 * @typedef {{get: (name: string) => any, set: (name: string, value: unknown) => void,
 *   save_changes: () => void, on: Listen, off?: Listen, standalone?: boolean,
 *   send: (message: Request, callbacks?: unknown, buffers?: ArrayBufferLike[]) => unknown,
 *   decoded?: import("./data.js").Data,
 *   widget_manager?: {get_model: (id: string) => Promise<{get: (name: string) => any}>}}} Model of
 *   anywidget, or of a saved page
 * @typedef {{type: string, keyframe?: number, [name: string]: unknown}} Request
 * @typedef {(event: string, call: (message?: any) => void) => void} Listen
 * @typedef {{type: string, model?: string, error?: string, mode?: string, page?: string,
 *   modes?: import("./content.js").Mode[]}} Message from Python
 */

export class Link {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    /** @type {Map<string, number>} timers of the requests without an answer */
    this.asked = new Map();
    /** @type {[string, (message?: any) => void][]} */
    this.heard = [];
    /** @type {Set<string>} names of values that came from Python and are not shown yet */
    this.changed = new Set();
  }

  /** Follow the model's changes; a request that is answered is no longer missed. */
  listen() {
    const { x } = this;
    for (const name of x.setup.state) {
      this.on(`change:${name}`, () => {
        const value = x.model.get(name);
        if (same(value, x.state[name])) return;
        Object.assign(x.state, { [name]: value });
        if (!this.changed.size) queueMicrotask(() => this.refresh());
        this.changed.add(name);
      });
    }
    this.on("msg:custom", (message) => this.receive(message));
  }

  /** Values that came together are shown together: picked points with their keyframe. */
  refresh() {
    const names = [...this.changed];
    this.changed.clear();
    if (!this.x.closed) this.x.refresh(names);
  }

  /** @param {string} event @param {(message?: any) => void} call */
  on(event, call) {
    this.x.model.on(event, call);
    this.heard.push([event, call]);
  }

  close() {
    for (const [event, call] of this.heard) this.x.model.off?.(event, call);
    for (const timer of this.asked.values()) clearTimeout(timer);
  }

  /**
   * Send a message; without a kernel there is nobody to hear it.
   * @param {Request} message @param {ArrayBufferLike[]} buffers
   */
  send(message, buffers = []) {
    try {
      this.x.model.send(message, undefined, buffers);
    } catch {
      this.missed("send");
    }
  }

  /** Send a message that has to be answered. @param {string} key @param {Request} message */
  request(key, message) {
    clearTimeout(this.asked.get(key));
    if (!this.x.model.standalone) this.asked.set(key, setTimeout(() => this.missed(key), PATIENCE));
    this.send(message);
  }

  /** It may be asked for again. @param {string} key */
  missed(key) {
    this.asked.delete(key);
    this.x.playing.stop();
    this.x.tell(key, "Python does not answer; is the kernel still running? What is here can still be explored.");
  }

  /** @param {string} key */
  answered(key) {
    clearTimeout(this.asked.get(key));
    this.asked.delete(key);
    this.x.tell(key, "");
  }

  /** @param {number} keyframe */
  need(keyframe) {
    const key = `keyframe ${keyframe}`;
    if (this.asked.has(key)) return;
    this.x.tell(key, `Loading keyframe ${keyframe + 1} ...`);
    this.asked.set(key, 0);
    this.request(key, { type: "need", keyframe });
  }

  /** @param {Message} message */
  async receive(message) {
    const { x } = this;
    if (message.type === "keyframe") return this.receiveKeyframe(message);
    if (message.type !== "answer") return;
    this.answered("ask");
    if (message.error) return x.tell("ask", message.error, 8000);
    x.setup.modes = message.modes;
    for (const data of x.loaded.values()) if (data.keyframe !== x.state.keyframe) x.forget(data);
    x.loaded.clear();
    x.state.mode = message.mode;
    this.need(x.state.keyframe);
  }

  /** @param {Message} message */
  async receiveKeyframe(message) {
    const { x } = this;
    const received = await x.model.widget_manager.get_model(message.model);
    const header = received.get("header");
    const { buffer, byteOffset, byteLength } = received.get("payload");
    x.remember(await inSlices(decoding(header, new Uint8Array(buffer, byteOffset, byteLength).slice())));
    this.answered(`keyframe ${header.keyframe}`);
    if (header.keyframe === x.state.keyframe) x.goTo(header.keyframe);
    else if (header.keyframe === x.state.picked_in) x.refresh(["picked_in"]);
  }
}
