// Bytes written as text, five letters for four bytes, see text85.py.

import { atOnce } from "./slices.js";

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%()*+-;=?@^_`{|}~,.:";

/** @param {string} text @param {number} count of the bytes */
export const bytesOf = (text, count) => atOnce(readingText(text, count));

/**
 * The same as a generator, for `inSlices`.
 * @param {string} text @param {number} count @returns {Generator<unknown, Uint8Array<ArrayBuffer>>}
 */
export function* readingText(text, count) {
  const digits = new Uint8Array(128);
  [...LETTERS].forEach((letter, i) => { digits[letter.charCodeAt(0)] = i; });
  const bytes = new Uint8Array(4 * Math.ceil(count / 4));
  for (let at = 0, to = 0; to < bytes.length; to += 4) {
    let word = 0;
    for (let k = 0; k < 5; k++) word = word * 85 + digits[text.charCodeAt(at++)];
    if (to % 4_000_000 === 0) yield;
    [bytes[to], bytes[to + 1], bytes[to + 2], bytes[to + 3]] = [word >>> 24, word >>> 16, word >>> 8, word];
  }
  return bytes.subarray(0, count);
}
