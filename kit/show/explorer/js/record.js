// Files and links of what is shown: a picture with legend and images, a film of a turn, a link.

import { button, make } from "./dom.js";
import { linkOf } from "./links.js";
import { plainNumber } from "./numbers.js";
import { hasBar, rangesOf, swatchesOf } from "./swatches.js";
import { turn } from "./view.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

const TURN = 8; // seconds of a turntable
const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** What can be saved, for the popover. @param {Explorer} x */
export function saveChoices(x) {
  const several = x.setup.keyframes.length > 1;
  const choices = [
    button("Picture (PNG)", "The cloud with its legend and the images", () => savePicture(x), "kx-choice"),
    button("Turntable (WebM)", `A film of one turn, ${TURN} seconds`, () => saveFilm(x, turntable), "kx-choice"),
  ];
  if (several) choices.push(button("Keyframes (WebM)", "A film of all keyframes", () => saveFilm(x, keyframes), "kx-choice"));
  if (x.steps.group()) choices.push(button("Steps (WebM)", "A film of all steps of the feature set", () => saveFilm(x, throughSteps), "kx-choice"));
  choices.push(button("Copy link", "A link to this state: for a saved page, or for Explorer.restore", () => copyLink(x), "kx-choice"));
  return choices;
}

/** @param {Explorer} x */
function copyLink(x) {
  const link = linkOf(x.state);
  const place = x.model.standalone ? `${location.href.split("#")[0]}${link}` : link;
  if (x.model.standalone) window.history.replaceState(null, "", link);
  const told = () => x.tell("link", "The link is copied", 2500);
  navigator.clipboard?.writeText(place).then(told, () => x.tell("link", place, 8000));
}

/** Hand bytes to the user as a file. @param {Blob} blob @param {string} name */
function download(blob, name) {
  const link = make("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {Explorer} x */
const fileName = (x) => x.mode().title.replace(/\W+/g, "-").toLowerCase() || "explorer";

/** @param {Explorer} x */
export function savePicture(x) {
  pictureOf(x).toBlob((/** @type {Blob} */ png) => download(png, `${fileName(x)}.png`));
}

/** The cloud with its legend, and the images below it, as one canvas. @param {Explorer} x */
export function pictureOf(x) {
  x.draw();
  x.catchUp();
  const ratio = window.devicePixelRatio || 1;
  const images = x.pictures.map(({ canvas }) => canvas).filter(({ width }) => width);
  const gap = 6 * ratio;
  const across = images.reduce((sum, image) => sum + image.width / image.height, 0);
  const free = x.canvas.width - gap * (images.length + 1);
  const height = images.length ? Math.min(free / across, 0.3 * x.canvas.height) : 0;
  const picture = make("canvas");
  [picture.width, picture.height] = [x.canvas.width, Math.round(x.canvas.height + (height ? height + 2 * gap : 0))];
  const context = picture.getContext("2d");
  context.fillStyle = `rgb(${x.style().background.join(",")})`;
  context.fillRect(0, 0, picture.width, picture.height);
  for (const canvas of x.over.hidden ? [x.canvas] : [x.canvas, x.over]) context.drawImage(canvas, 0, 0);
  let left = (picture.width - height * across - gap * (images.length - 1)) / 2;
  for (const image of images) {
    const width = (height * image.width) / image.height;
    context.drawImage(image, left, x.canvas.height + gap, width, height);
    left += width + gap;
  }
  drawLegend(x, context, ratio);
  return picture;
}

/**
 * The legend in the lower left corner: a colour bar, or names and their colours.
 * @param {Explorer} x
 * @param {CanvasRenderingContext2D} context @param {number} ratio
 */
function drawLegend(x, context, ratio) {
  const ranges = rangesOf(x).map(({ name, range }) => ({ text: `${name}: ${range}`, colour: "transparent" }));
  const lines = [...ranges, ...swatchesOf(x).filter(({ label }) => !x.state.hidden_classes.includes(label))];
  const bar = hasBar(x.mode().kind);
  const line = 17 * ratio;
  const height = (lines.length + (bar ? 2 : 0) + 2) * line;
  const [left, top] = [14 * ratio, x.canvas.height - height - 14 * ratio];
  const light = x.state.background === "light";
  context.fillStyle = light ? "rgba(255, 255, 255, 0.86)" : "rgba(16, 19, 25, 0.82)";
  context.beginPath();
  context.roundRect(left, top, 210 * ratio, height, 8 * ratio);
  context.fill();
  context.fillStyle = light ? "#22272e" : "#e4e7eb";
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.font = `600 ${13 * ratio}px Inter, "Helvetica Neue", Arial, sans-serif`;
  context.fillText(x.mode().title, left + 12 * ratio, top + line);
  context.font = `${12 * ratio}px Inter, "Helvetica Neue", Arial, sans-serif`;
  lines.forEach(({ colour, text }, i) => {
    context.fillText(text, left + 28 * ratio, top + (i + 2) * line);
    context.save();
    context.fillStyle = colour;
    context.fillRect(left + 12 * ratio, top + (i + 2) * line - 5 * ratio, 10 * ratio, 10 * ratio);
    context.restore();
  });
  if (bar) drawBar(x, context, ranges.length ? ["median", "best"] : x.limits.map(plainNumber), left + 12 * ratio, top + (1.8 + lines.length) * line, 186 * ratio, ratio);
}

/** @param {Explorer} x @param {CanvasRenderingContext2D} context @param {string[]} ends @param {number} left @param {number} top @param {number} width @param {number} ratio */
function drawBar(x, context, ends, left, top, width, ratio) {
  const stops = x.setup.scales[x.scaleName()];
  const gradient = context.createLinearGradient(left, 0, left + width, 0);
  stops.forEach((colour, i) => gradient.addColorStop(i / (stops.length - 1), colour));
  const ink = context.fillStyle;
  context.fillStyle = gradient;
  context.fillRect(left, top, width, 9 * ratio);
  context.fillStyle = ink;
  context.fillText(ends[0], left, top + 21 * ratio);
  context.textAlign = "right";
  context.fillText(ends[1], left + width, top + 21 * ratio);
}

/** Record the cloud while something moves it. @param {Explorer} x @param {(x: Explorer) => Promise<void>} play */
async function saveFilm(x, play) {
  const type = TYPES.find((each) => window.MediaRecorder?.isTypeSupported(each));
  if (!type) return x.tell("film", "This browser cannot record films", 4000);
  if (x.film) return x.tell("second film", "A film is being recorded; the next one can begin when it is done", 4000);
  const film = await filmOf(x, play, type);
  download(film, `${fileName(x)}.webm`);
}

/** @param {Explorer} x @returns {Promise<Blob>} @param {(x: Explorer) => Promise<void>} play */
export async function filmOf(x, play, type = TYPES[1]) {
  const canvas = make("canvas"); // beside that of the cloud: names and the lasso have one of their own
  x.film = canvas.getContext("2d");
  x.draw(); // in its whole size
  [canvas.width, canvas.height] = [x.canvas.width, x.canvas.height];
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 12_000_000 });
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((done) => { recorder.onstop = done; });
  x.tell("film", "Recording ...");
  recorder.start();
  x.draw();
  try {
    await play(x);
  } finally {
    x.film = null;
    recorder.stop();
  }
  await stopped;
  x.tell("film", "");
  return new Blob(parts, { type });
}

/** One turn around the target. @param {Explorer} x */
export async function turntable(x, seconds = TURN) {
  const began = performance.now();
  let [last, done] = [began, 0];
  while (done < 360) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    const degrees = Math.min(((now - last) / 1000) * (360 / seconds), 360 - done);
    turn(x, degrees / 0.35, 0);
    [last, done] = [now, done + degrees];
  }
}

/** All steps of the feature set, half a second each. @param {Explorer} x */
async function throughSteps(x) {
  const first = x.state.feature_set;
  for (const number of x.steps.group().steps) {
    x.change({ feature_set: x.setup.sets[number].name });
    await new Promise((done) => setTimeout(done, 500));
  }
  x.change({ feature_set: first });
}

/** All keyframes, half a second each. @param {Explorer} x */
async function keyframes(x) {
  const first = x.state.keyframe;
  for (let i = 0; i < x.setup.keyframes.length; i++) {
    x.change({ keyframe: i });
    for (let tries = 0; x.data.keyframe !== i && tries < 100; tries++) await new Promise((done) => setTimeout(done, 50));
    await new Promise((done) => setTimeout(done, 500));
  }
  x.change({ keyframe: first });
}
