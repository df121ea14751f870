// SPDX-License-Identifier: MIT
// The emulated Pico in a thread of its own. Its time is the time of the sound: where the ADC wants a count that has not
// come yet, the Pico stands still. Messages in: {boot}, {send}, {heard}. Out: {sent}, {column}, {frame}, {stats}, ...
import { RP2040 } from 'rp2040js';
import { fastCore } from '../fast_core.js';
import * as board from '../board.js';
import { Points } from './points.js';
import { Spectrum } from './spectrum.js';

const CALL = 0x184, EXIT = 2, ROOM = 4, OPEN = 5, SERIAL_ROOM = 256; // ../include/emulator.h
const BOOT_SECONDS = 8, LONGEST_QUEUE = 3, LONGEST_MEMORY = 600; // seconds
const STATS_MS = 250, SPEED_SECONDS = 5, ROOM_FOR_BYTES = 24;
const HUNGRY = 'hungry'; // why a run stops: the ADC wants a count

let pico = null;

class Pico {
  constructor({ flash, names, adcRate, top, frameStep }) {
    Object.assign(this, { names, adcRate, top });
    this.mcu = new RP2040();
    board.loadImage(this.mcu, flash);
    board.checkedMemory(this.mcu, null);
    this.state = { exit: null, asleep: 0, since: { nanos: 0, asleep: 0 }, gates: new Uint32Array(4).fill(0xffffffff) };
    board.connectClocks(this.mcu, this.state);
    board.drivePins(this.mcu);
    this.state.fast = fastCore(this.mcu, null);
    this.mcu.onBreak = () => board.complain('image', `stopped at 0x${this.mcu.core.PC.toString(16)}`);
    this.spectrum = new Spectrum(frameStep, top);
    Object.assign(this, { queue: [], at: 0, queued: 0, heard: [] }); // counts that are waiting, and all of them
    Object.assign(this, { first: null, expected: 0, delivered: 0, dropped: 0, time: 0 }); // numbers of counts
    Object.assign(this, { toPico: [], fromPico: [] }); // bytes
    Object.assign(this, { listening: false, running: false, busyMs: 0, told: 0, measured: [0, 0] });
    this.connectSerial();
    this.connectAdc();
  }

  connectSerial() {
    const { sio } = this.mcu, write = sio.writeUint32.bind(sio);
    sio.writeUint32 = (offset, value) => {
      if (offset !== CALL) return write(offset, value);
      const request = new Uint32Array(this.mcu.sram.buffer, (value >>> 0) - board.RAM, 3);
      if (request[0] === ROOM) request[0] = SERIAL_ROOM;
      else if (request[0] === OPEN) request[0] = 1;
      else if (request[0] === EXIT) this.state.exit = `exit status ${request[2]}`;
    };
    this.mcu.uart[0].onByte = (byte) => this.fromPico.push(byte);
  }

  connectAdc() {
    const done = this.mcu.clock.createAlarm(() => this.mcu.adc.completeADCRead(this.value, false));
    this.convert = () => {
      this.value = this.next();
      done.schedule(96e9 / board.adcHertz(this.mcu)); // a conversion takes 96 cycles
    };
    this.mcu.adc.onADCRead = () => {
      if (!this.listening) this.startListening();
      if (this.queued) this.convert();
      else this.state.exit = HUNGRY;
    };
  }

  startListening() {
    this.listening = true;
    if (this.names) this.watch();
  }

  next() {
    const block = this.queue[0], value = block[this.at++];
    this.queued--;
    this.delivered++;
    if (this.at === block.length) [this.at] = [0, this.queue.shift()];
    const column = this.spectrum.push(value);
    if (column) postMessage({ column });
    return value;
  }

  // What the Pico computes, read where its functions begin and end. `names` is written by tools/web.py. The LSTM takes
  // its steps when the window is over.
  watch() {
    const { functions, hidden, nMels, nMfcc } = this.names, points = new Points(this.mcu), { core } = this.mcu;
    const read = (Kind, address, n) => {
      const start = (address >>> 0) - board.RAM;
      return new Kind(this.mcu.sram.slice(start, start + n * Kind.BYTES_PER_ELEMENT).buffer);
    };
    const step = {};
    let lstm = 0, start = 0, mel = null;
    this.cycles = { mel: 0, mfcc: 0, lstm: 0, frames: 0, last: core.cycles };
    const stage = (name) => {
      this.cycles[name] += core.cycles - start;
      start = core.cycles;
    };
    points.around(functions.mfcc_shifted_frame, () => { start = core.cycles; }, () => {
      stage('mfcc');
      postMessage({ frame: { mel, cycles: this.meanCycles() } });
    });
    points.add(functions.mfcc_dct, ([logs]) => {
      stage('mel');
      mel = read(Int32Array, logs, nMels);
    });
    points.around(functions.lstm_step, ([state, features]) => {
      [lstm, start] = [state, core.cycles];
      step.mfcc = read(Int8Array, features, nMfcc);
    }, () => {
      stage('lstm');
      postMessage({ frame: { ...step, hidden: read(Int8Array, lstm + hidden.offset, hidden.units) } });
    });
    this.state.points = points;
  }

  // Cycles of a frame by stage, from the frames of a whole window; null until it is whole.
  meanCycles() {
    const { cycles } = this, now = this.mcu.core.cycles;
    if (++cycles.frames < this.names.nFrames) return null;
    const [mel, mfcc, lstm, all] = [cycles.mel, cycles.mfcc, cycles.lstm, now - cycles.last].map(
      (sum) => sum / cycles.frames);
    this.cycles = { mel: 0, mfcc: 0, lstm: 0, frames: 0, last: now };
    return lstm ? { mel, mfcc, lstm, rest: all - mel - mfcc - lstm } : null; // the first window's LSTM comes after it
  }

  hear({ counts, first, time }) {
    this.first ??= this.expected = first; // what came before it had a listener is nobody's loss
    this.dropped += first - this.expected;
    this.expected = first + counts.length;
    this.time = time;
    if (this.queued > LONGEST_QUEUE * this.adcRate) {
      this.dropped += counts.length;
      return;
    }
    this.heard.push(counts);
    if (this.heard.length * counts.length > LONGEST_MEMORY * this.adcRate) this.heard.shift();
    this.queue.push(counts);
    this.queued += counts.length;
    this.run();
  }

  // Runs until the ADC waits for a count. Gives way to messages every SLICE_MS.
  async run() {
    if (this.running) return;
    this.running = true;
    try {
      while (this.state.exit === null || this.state.exit === HUNGRY && this.queued) {
        if (this.state.exit) this.convert();
        this.state.exit = null;
        if (!this.slice()) break;
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      this.state.exit = `fault: ${error.message}`;
    }
    this.tell();
    this.running = this.state.exit !== HUNGRY; // a Pico that has stopped never runs again
    if (this.running) postMessage({ stopped: this.state.exit });
  }

  slice() {
    const { rxFIFO } = this.mcu.uart[0], start = performance.now();
    while (this.toPico.length && rxFIFO.itemCount < ROOM_FOR_BYTES) this.mcu.uart[0].feedByte(this.toPico.shift());
    const end = this.listening ? Infinity : BOOT_SECONDS * 1e9, why = board.runSlice(this.mcu, this.state, end);
    this.busyMs += performance.now() - start;
    if (why === 'time') this.state.exit = 'it does not listen: the ADC was never started';
    this.tell();
    return why === null; // there is more to do
  }

  tell() {
    if (this.fromPico.length) {
      const sent = Uint8Array.from(this.fromPico.splice(0));
      postMessage({ sent, delivered: this.delivered, time: this.time - this.queued / this.adcRate });
    }
    if (performance.now() - this.told < STATS_MS) return;
    this.told = performance.now();
    const emulated = this.mcu.clock.nanos / 1e9, { since, asleep } = this.state, [seconds, busyMs] = this.measured;
    this.speed = 1000 * (emulated - seconds) / Math.max(0.1, this.busyMs - busyMs);
    if (emulated - seconds > SPEED_SECONDS) this.measured = [emulated, this.busyMs];
    postMessage({ stats: {
      emulatedSeconds: emulated, audioSeconds: (this.expected - this.first) / this.adcRate,
      droppedSamples: this.dropped, realTimeFactor: this.speed, clockHz: this.mcu.clkSys,
      awakeShare: 1 - (asleep - since.asleep) / Math.max(1, this.mcu.clock.nanos - since.nanos),
    } });
  }
}

onmessage = ({ data }) => {
  if (data.boot) {
    pico = new Pico(data.boot);
    data.ears.onmessage = (event) => pico.hear(event.data);
    pico.run();
  } else if (data.send) {
    pico.toPico.push(...data.send);
  } else if (data.heard) {
    const counts = new Uint16Array(pico.heard.reduce((sum, block) => sum + block.length, 0));
    pico.heard.reduce((place, block) => (counts.set(block, place), place + block.length), 0);
    postMessage({ heard: counts });
  }
};
