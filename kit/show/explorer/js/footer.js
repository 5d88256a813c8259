// The bar below: what is under the pointer, notes, and the keyframes in time.

import { button, icon, make, slider } from "./dom.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

const SPEEDS = [0.5, 1, 2, 4]; // keyframes a second

export class Footer {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.status = make("span", "kx-status");
    this.status.setAttribute("role", "status");
    const notes = make("span", "kx-notes", x.setup.notes.join(" · "));
    notes.title = notes.textContent;
    notes.hidden = !x.setup.notes.length;
    this.time = this.timeline();
    this.node = make("div", "kx-foot", this.status, make("span", "kx-space"), notes, this.time);
  }

  timeline() {
    const { x } = this;
    const count = x.setup.keyframes.length;
    this.value = make("span", "kx-value");
    this.play = button(icon("play"), "Play the keyframes (space)", () => x.playing.toggle(), "kx-tool");
    this.speed = button("1×", "Speed of playing", () => this.nextSpeed(), "kx-tool kx-speed");
    this.slider = slider(0, count - 1, 1, x.state.keyframe, "Keyframe", (keyframe) => x.change({ keyframe }));
    const node = make("div", "kx-keyframes", this.play, this.slider, this.value, this.speed);
    node.hidden = count < 2;
    return node;
  }

  nextSpeed() {
    const { playing } = this.x;
    playing.speed = SPEEDS[(SPEEDS.indexOf(playing.speed) + 1) % SPEEDS.length];
    this.speed.textContent = `${playing.speed}×`;
  }

  show() {
    const { x } = this;
    if (document.activeElement !== this.slider) this.slider.value = String(x.state.keyframe);
    this.value.textContent = `${x.state.keyframe + 1} / ${x.setup.keyframes.length}`;
  }

  /** @param {boolean} playing */
  showPlaying(playing) {
    this.play.replaceChildren(icon(playing ? "pause" : "play"));
  }
}

/** Goes through the keyframes; a keyframe that is not loaded is waited for. */
export class Playing {
  /** @param {Explorer} x */
  constructor(x) {
    this.x = x;
    this.speed = 1;
    this.timer = 0;
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.x.setup.keyframes.length > 1) this.next();
    this.x.footer.showPlaying(Boolean(this.timer));
  }

  next() {
    const { x } = this;
    const arrived = x.data?.keyframe === x.state.keyframe;
    this.timer = setTimeout(() => {
      if (arrived) x.step(1);
      this.next();
    }, arrived ? 1000 / this.speed : 100);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.x.footer.showPlaying(false);
  }
}
