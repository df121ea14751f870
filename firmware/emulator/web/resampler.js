// SPDX-License-Identifier: MIT
// Changes the sampling rate of a stream: a sinc with a Hann window, whose cut-off lies below half the lower rate.

const ZEROS = 32, STEPS = 256; // zeros of the sinc on each side; table entries between two of them
const PASS = 0.95; // share of the lower rate's band that is kept

export class Resampler {
  constructor(from, to) {
    this.step = from / to; // input samples from one output to the next
    this.scale = PASS * Math.min(1, to / from); // zeros of the sinc per input sample
    this.reach = ZEROS / this.scale; // input samples on each side
    this.table = Float64Array.from({ length: ZEROS * STEPS + 2 }, (_, i) => {
      const x = i / STEPS, hann = x < ZEROS ? 0.5 + 0.5 * Math.cos(Math.PI * x / ZEROS) : 0;
      return (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1) * hann * this.scale;
    });
    this.input = new Float32Array(Math.ceil(this.reach));
    this.position = this.input.length; // of the next output, in this.input
  }

  weight(distance) {
    const place = Math.abs(distance) * this.scale * STEPS, index = Math.floor(place);
    return this.table[index] + (this.table[index + 1] - this.table[index]) * (place - index);
  }

  // Takes in samples; returns those that are complete.
  push(samples) {
    const input = new Float32Array(this.input.length + samples.length), outputs = [];
    input.set(this.input);
    input.set(samples, this.input.length);
    for (; this.position + this.reach < input.length; this.position += this.step) {
      let sum = 0;
      const end = Math.floor(this.position + this.reach);
      for (let i = Math.max(0, Math.ceil(this.position - this.reach)); i <= end; i++) {
        sum += input[i] * this.weight(i - this.position);
      }
      outputs.push(sum);
    }
    const done = Math.max(0, Math.floor(this.position - this.reach));
    this.input = input.slice(done);
    this.position -= done;
    return outputs;
  }
}
