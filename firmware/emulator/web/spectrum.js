// SPDX-License-Identifier: MIT
// The picture of a sound: a Hann window and an FFT over the last counts. Only for the eyes: the Pico has its own.

const N = 2048, ROWS = 128, FLOOR_DB = -90, TOP_DB = -10;
const hann = Float64Array.from({ length: N }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / N));
const cosine = Float64Array.from({ length: N }, (_, i) => Math.cos(2 * Math.PI * i / N));
const sine = Float64Array.from({ length: N }, (_, i) => -Math.sin(2 * Math.PI * i / N));

function transform(re, im) {
  for (let i = 1, j = 0; i < N; i++) {
    for (let bit = N >> 1; (j ^= bit) < bit; bit >>= 1);
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let size = 2; size <= N; size *= 2) {
    for (let start = 0; start < N; start += size) {
      for (let k = 0, w = 0; k < size / 2; k++, w += N / size) {
        const a = start + k, b = a + size / 2;
        const x = re[b] * cosine[w] - im[b] * sine[w], y = re[b] * sine[w] + im[b] * cosine[w];
        [re[b], im[b]] = [re[a] - x, im[a] - y];
        [re[a], im[a]] = [re[a] + x, im[a] + y];
      }
    }
  }
}

// Follows counts; every `step` of them gives a column for the picture.
export class Spectrum {
  constructor(step, top) {
    Object.assign(this, { step, top, ring: new Uint16Array(N), filled: 0, peak: 0, clipped: 0, bias: null });
  }

  // Takes in a count. After each step returns {levels: ROWS bytes, low to high, peak (0 to 1), clipped}, else null.
  push(count) {
    this.ring[this.filled++ % N] = count;
    if (count === 0 || count === this.top) this.clipped++;
    if (this.filled % this.step) return null;
    const column = { levels: this.levels(), peak: this.loudest(), clipped: this.clipped };
    this.clipped = 0;
    return column;
  }

  loudest() {
    let peak = 0;
    for (let i = 1; i <= this.step; i++) {
      peak = Math.max(peak, Math.abs(this.ring[(this.filled - i) % N] - this.bias));
    }
    return peak / ((this.top + 1) / 2);
  }

  levels() {
    const re = new Float64Array(N), im = new Float64Array(N), known = Math.min(N, this.filled), levels = [];
    let sum = 0;
    for (let i = 0; i < known; i++) sum += this.ring[i];
    this.bias = sum / known;
    for (let i = 0; i < N; i++) re[i] = hann[i] * (this.ring[(this.filled + i) % N] - this.bias);
    transform(re, im);
    for (let row = 0, width = N / 2 / ROWS; row < ROWS; row++) {
      let power = 1e-9;
      for (let bin = row * width; bin < (row + 1) * width; bin++) power = Math.max(power, re[bin] ** 2 + im[bin] ** 2);
      const db = 10 * Math.log10(power) - 20 * Math.log10(N / 4 * (this.top + 1) / 2);
      levels.push(Math.max(0, Math.min(255, Math.round(255 * (db - FLOOR_DB) / (TOP_DB - FLOOR_DB)))));
    }
    return Uint8Array.from(levels);
  }
}
