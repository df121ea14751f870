// SPDX-License-Identifier: MIT
// A three-band equaliser that follows what the Pico says. It is in the way to the loudspeaker only: the Pico hears the
// music as it is.

export const BANDS = [
  { name: 'bass', type: 'lowshelf', frequency: 220 },
  { name: 'middle', type: 'peaking', frequency: 1000, Q: 0.7 },
  { name: 'treble', type: 'highshelf', frequency: 4000 },
];
export const MOST_DB = 12;
const SMOOTH_SECONDS = 0.6; // time constant: a change takes about two seconds
const GAINS = { disco: [5, -1, 4], jazz: [2, 2, 1], metal: [4, -4, 5], classical: [0, 1, 2], hiphop: [7, -1, 2],
  blues: [2, 2, 0], country: [0, 2, 3], pop: [2, 1, 3], reggae: [6, -1, 1], rock: [4, -2, 4] };

// Starting gains (dB: bass, middle, treble) of a genre; flat for one that this page doesn't know.
export const gainsOf = (genre) => [...(GAINS[genre] ?? [0, 0, 0])];

export class Equaliser {
  constructor(context) {
    this.context = context;
    this.filters = BANDS.map(({ type, frequency, Q = 1 }) => new BiquadFilterNode(context, { type, frequency, Q }));
    this.input = new GainNode(context); // makes room for what the filters add
    [this.input, ...this.filters].reduce((from, to) => from.connect(to));
    this.output = this.filters.at(-1);
  }

  // Moves to gains in dB: smoothly, or at once.
  set(gains, smooth = true) {
    const now = this.context.currentTime, room = 10 ** (-Math.max(0, ...gains) / 20);
    const targets = [[this.input.gain, room], ...this.filters.map((filter, i) => [filter.gain, gains[i]])];
    for (const [parameter, value] of targets) {
      if (smooth) parameter.setTargetAtTime(value, now, SMOOTH_SECONDS);
      else parameter.value = value;
    }
  }

  // Gains now, in dB.
  get gains() {
    return this.filters.map((filter) => filter.gain.value);
  }

  // Level (dB) at frequencies (Hz), without the room.
  response(frequencies) {
    const total = new Float64Array(frequencies.length);
    for (const filter of this.filters) {
      const magnitude = new Float32Array(frequencies.length);
      filter.getFrequencyResponse(Float32Array.from(frequencies), magnitude, new Float32Array(frequencies.length));
      magnitude.forEach((value, i) => { total[i] += 20 * Math.log10(value); });
    }
    return total;
  }
}
