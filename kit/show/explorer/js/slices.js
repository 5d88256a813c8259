// Long work in slices, between which the page can answer.

export const SLICE = 24; // milliseconds

/** The end of the task, after which the page handles its events. @param {number} milliseconds */
export const pause = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Run a generator to its end, a slice of time after the other.
 * @template T @param {Generator<unknown, T>} steps @param {number} slice milliseconds
 */
export async function inSlices(steps, slice = SLICE) {
  for (;;) {
    const began = performance.now();
    do {
      const { done, value } = steps.next();
      if (done) return /** @type {T} */ (value);
    } while (performance.now() - began < slice);
    await pause();
  }
}

/** Run a generator to its end at once. @template T @param {Generator<unknown, T>} steps */
export function atOnce(steps) {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return /** @type {T} */ (value);
  }
}
