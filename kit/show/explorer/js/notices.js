// What cannot be shown, said on the cloud.

/** @typedef {import("./explorer.js").Explorer} Explorer */

/**
 * Sentences about what is missing in the present state.
 * @param {Explorer} x the explorer @returns {string[]}
 */
export function noticesOf(x) {
  const found = [...x.troubles.values()];
  if (!x.data) return found;
  const { kind } = x.mode();
  const { keyframe } = x.state;
  if (x.data.keyframe !== keyframe) found.push(`Keyframe ${x.data.keyframe + 1} is shown until keyframe ${keyframe + 1} is here`);
  for (const number of x.shownSets()) {
    const [set, predicted] = [x.setup.sets[number], x.data.arrays[`predicted/${number}`]];
    if (["predictions", "errors"].includes(kind) && set && !predicted) found.push(`${set.name} has no predictions`);
    if (["features", "similarity"].includes(kind) && set && !set.channels) found.push(`${set.name} has no features`);
    else if (["features", "similarity"].includes(kind) && set && x.cloud && !x.cloud.features[number]) found.push(`The features of ${set.name} are too large for this graphics card; max_points or channels make them smaller`);
  }
  if (["labels", "errors"].includes(kind) && !x.data.arrays.labels) found.push("This keyframe has no labels");
  if (kind === "similarity" && !x.state.picked.length) found.push("Click a point to see which points have similar features");
  else if (kind === "similarity") found.push(...unanswered(x));
  return found;
}

/**
 * Picks that cannot be compared: their keyframe is not here, or they have no feature.
 * @param {Explorer} x
 */
function unanswered(x) {
  const { picked_in: from } = x.state;
  if (!x.loaded.has(from)) return [`The picked point is in keyframe ${from + 1}, which is being loaded`];
  const without = x.shownSets().filter((number) => x.setup.sets[number].channels && !x.lastPicks?.[number]?.length);
  const where = from === x.data.keyframe ? "" : ` (keyframe ${from + 1})`;
  return without.map((number) => `The picked point${where} has no feature in ${x.setup.sets[number].name}`);
}
