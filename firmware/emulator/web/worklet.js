// SPDX-License-Identifier: MIT
// The microphone module and the ADC, in the browser's audio thread: sound of any rate to 12-bit counts at the ADC's.
// Posts {counts, first, time}: `first` numbers the first count, `time` (s, of the AudioContext) is that of the last.
import { Resampler } from './resampler.js';

const BLOCK = 256; // counts in a message: 11.6 ms

class Microphone extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    Object.assign(this, processorOptions); // adcRate, bias, top, gain
    this.resampler = new Resampler(sampleRate, this.adcRate);
    this.made = 0;
    this.counts = new Uint16Array(BLOCK);
    this.port.onmessage = ({ data }) => {
      if (data.port) this.pico = data.port;
      if (data.gain !== undefined) this.gain = data.gain;
    };
  }

  process([channels]) {
    const sound = new Float32Array(128);
    for (const channel of channels) for (let i = 0; i < 128; i++) sound[i] += channel[i] / channels.length;
    for (const value of this.resampler.push(sound)) this.take(value);
    return true;
  }

  take(value) {
    const level = Math.round(this.bias + value * this.gain * (this.top + 1) / 2);
    this.counts[this.made++ % BLOCK] = Math.max(0, Math.min(this.top, level));
    if (this.made % BLOCK || !this.pico) return;
    this.pico.postMessage({ counts: this.counts.slice(), first: this.made - BLOCK, time: currentTime });
  }
}

registerProcessor('microphone', Microphone);
