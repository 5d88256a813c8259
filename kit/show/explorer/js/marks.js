// Rings around points, on the cloud and on images.

const RINGS = { positive: "#ffffff", negative: "#111111", hover: "#ffffff" };

/**
 * A ring that is visible on any background: light in a dark one, or dark in a light one.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y
 * @param {number} radius @param {"positive" | "negative" | "hover"} kind @param {number} ratio
 */
export function ring(context, x, y, radius, kind, ratio) {
  const light = kind !== "negative";
  for (const [width, colour] of [[4.5, light ? "#111111" : "#ffffff"], [2.2, RINGS[kind]]]) {
    context.beginPath();
    context.arc(x, y, kind === "hover" ? radius * 0.7 : radius, 0, 2 * Math.PI);
    if (kind === "negative") {
      context.moveTo(x - radius * 0.6, y);
      context.lineTo(x + radius * 0.6, y);
    }
    context.lineWidth = Number(width) * ratio;
    context.strokeStyle = String(colour);
    context.stroke();
  }
  if (kind !== "positive") return;
  context.beginPath();
  context.arc(x, y, 2 * ratio, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
}

/**
 * A name on a dark pill, its lower middle at (x, y).
 * @param {CanvasRenderingContext2D} context
 */
export function nameTag(context, text, x, y, ratio, colour = "#ffffff") {
  context.font = `500 ${11 * ratio}px Inter, "Helvetica Neue", Arial, sans-serif`;
  const width = context.measureText(text).width + 12 * ratio;
  const height = 17 * ratio;
  context.fillStyle = "rgba(12, 15, 20, 0.78)";
  context.beginPath();
  context.roundRect(x - width / 2, y - height, width, height, 5 * ratio);
  context.fill();
  context.fillStyle = colour;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.fillText(text, x, y - height / 2 + ratio);
}
