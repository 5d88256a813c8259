// Without WebGL2: a message, and points that cannot be clicked.

import { decode } from "./data.js";
import { make } from "./dom.js";
import { clamp } from "./maths.js";
import { scaleTable } from "./numbers.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/**
 * Show a figure made by Python, or the points from above where there is no kernel.
 * @param {Explorer} x
 * @param {Error} error
 */
export function withoutWebGL(x, error) {
  const text = "This browser offers no WebGL2, which the explorer needs. Instead, 10,000 of the points are shown; they cannot be clicked.";
  const place = make("div", "kx-fallback", make("p", "", "One moment ..."));
  x.root.replaceChildren(make("p", "kx-message", text), place);
  x.root.dataset.webgl2 = String(error.message);
  x.model.on("msg:custom", (message) => {
    if (message.type !== "fallback") return;
    const frame = make("iframe", "kx-frame");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.title = "The points, without the explorer";
    frame.srcdoc = message.page;
    place.replaceChildren(frame);
  });
  if (x.model.standalone) place.replaceChildren(flatPicture(x.setup, x.model.get("payload")));
  else x.model.send({ type: "no webgl2" });
}

/** Points from above, drawn once, coloured by height. @param {import("./content.js").Setup} setup @param {DataView} bytes */
function flatPicture(setup, bytes) {
  const data = decode(setup.header, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const canvas = make("canvas", "kx-flat");
  [canvas.width, canvas.height] = [900, 900];
  const context = canvas.getContext("2d");
  const table = scaleTable(setup.scales["viridis light"]);
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
