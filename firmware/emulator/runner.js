// SPDX-License-Identifier: MIT
// Runs an image on the emulated Pico: `node runner.js job.json`. mgr_helpers/pico/emulator.py writes the job and reads
// the result. Fields of the job, all optional but `image` and `result`:
//   image        flash contents from 0x10000000 (file)
//   result       where the JSON result goes (file)
//   seconds      emulated time after which to stop; without it, the image ends the run (emulator_exit)
//   adc          12-bit counts that A0 delivers, one after another (file of uint16); the last one is repeated
//   adc_rate     the counts were taken at adc_rate Hz: A0 delivers the value at the current time, interpolated
//   adc_log      where every delivered count goes (file of uint16)
//   input/output what emulator_read() reads and emulator_write() appends (files)
//   uart         what the image sent by UART 0 (file)
//   interactive  UART 0 is this process's stdin and stdout; the run ends when stdin is closed
//   opens        emulated time at which the host opens USB serial (default 0: it is open from the start)
//   stalls       [[from, to], ...]: from when to when (s) the host reads nothing; SERIAL_ROOM bytes can wait
//   typed        [[seconds, text], ...]: what the host sends (at most 24 characters at a time)
//   pace         at most this many seconds of emulated time per second (0: no limit)
//   events       [[seconds, pin, 0 or 1], ...]: levels of input pins (a button)
//   progress     from time to time, prints on stderr how many seconds have been emulated
//   xip          count the flash reads that would miss the RP2040's XIP cache (slower)
//   plain        rp2040js itself executes every instruction (slower)
'use strict';
const fs = require('fs');
const { RP2040 } = require('rp2040js');
const { fastCore } = require('./fast_core.js');
const board = require('./board.js');

const { RAM, RAM_BYTES, STACK_BOTTOM, PAINT, SLICE_MS, complain } = board;
const MARK = 0x180, CALL = 0x184; // SIO offsets: include/emulator.h
const ROOM_FOR_BYTES = 24;
const UART_FLAGS = 0x18, TX_FULL = 1 << 5;
const SERIAL_ROOM = 256, UART_ROOM = 32; // bytes: the arduino-pico core's buffer of USB serial, the UART's own

// The RP2040's XIP cache: 16 KB, two ways, lines of 8 bytes, least recently used replaced. Misses cost no cycles here.
class XipCache {
  constructor() {
    this.tags = new Int32Array(2048).fill(-1); // set s has ways 2s (newer) and 2s + 1
    this.reads = 0;
    this.misses = 0;
  }
  read(offset) {
    const line = offset >> 3, newer = (line & 1023) << 1, tags = this.tags;
    this.reads++;
    if (tags[newer] === line) return;
    if (tags[newer + 1] !== line) this.misses++;
    tags[newer + 1] = tags[newer];
    tags[newer] = line;
  }
}

// Cycles awake between marks and, with the cache model, misses.
class Stages {
  constructor(now) {
    this.now = now; // () => [cycles, misses]
    this.totals = {};
    this.open = 0;
  }
  mark(stage) {
    const [cycles, misses] = this.now();
    if (this.open) {
      const total = (this.totals[this.open] ??= { count: 0, cycles: 0, least: Infinity, most: 0, misses: 0 });
      const spent = cycles - this.cycles;
      total.count++;
      total.cycles += spent;
      total.misses += misses - this.misses;
      total.least = Math.min(total.least, spent);
      total.most = Math.max(total.most, spent);
    }
    [this.open, this.cycles, this.misses] = [stage, cycles, misses];
  }
}

// Appends to a file, buffered.
class Log {
  constructor(file) {
    this.handle = file ? fs.openSync(file, 'w') : null;
    this.buffer = Buffer.alloc(1 << 16);
    this.used = 0;
    this.bytes = 0;
  }
  push(byte) {
    this.bytes++;
    if (this.handle === null) return;
    this.buffer[this.used++] = byte;
    if (this.used === this.buffer.length) this.flush();
  }
  pushAll(bytes) {
    for (const byte of bytes) this.push(byte);
  }
  flush() {
    if (this.handle !== null && this.used) fs.writeSync(this.handle, this.buffer, 0, this.used);
    this.used = 0;
  }
}

// Reads a file piece by piece.
class Reader {
  constructor(file) {
    this.handle = file ? fs.openSync(file, 'r') : null;
  }
  fill(target) {
    return this.handle === null ? 0 : fs.readSync(this.handle, target, 0, target.length);
  }
}

function connectAdc(mcu, job, log) {
  const bytes = job.adc ? fs.readFileSync(job.adc) : Buffer.alloc(0);
  const counts = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const adc = { delivered: 0, first: 0, last: 0 };
  const hold = (index) => (counts.length ? counts[Math.min(index, counts.length - 1)] : 2048);
  const atTime = (position) => {
    const index = Math.floor(position), part = position - index;
    return Math.round(hold(index) * (1 - part) + hold(index + 1) * part);
  };
  mcu.adc.onADCRead = () => {
    adc.last = mcu.clock.nanos;
    if (!adc.delivered) adc.first = adc.last;
    const value = job.adc_rate ? atTime((adc.last - adc.first) * 1e-9 * job.adc_rate) : hold(adc.delivered);
    adc.delivered++;
    log.push(value & 0xff);
    log.push(value >> 8);
    adc.value = value;
    done.schedule(96e9 / board.adcHertz(mcu)); // a conversion takes 96 cycles
  };
  const { multiShotAlarm } = mcu.adc, schedule = multiShotAlarm.schedule.bind(multiShotAlarm);
  multiShotAlarm.schedule = (nanos) => schedule(nanos * 48e6 / board.adcHertz(mcu)); // rp2040js assumes 48 MHz
  const done = mcu.clock.createAlarm(() => mcu.adc.completeADCRead(adc.value, false));
  return adc;
}

function connectCalls(mcu, job, state, input, output) {
  const { sio } = mcu, write = sio.writeUint32.bind(sio);
  sio.writeUint32 = (offset, value) => {
    if (offset === MARK) state.stages.mark(value);
    else if (offset === CALL) call(value >>> 0);
    else write(offset, value);
  };
  function call(address) {
    const request = new Uint32Array(mcu.sram.buffer, address - RAM, 3);
    const [operation, pointer, count] = request;
    if (operation === 2) state.exit = count;
    else if (operation === 3) state.heap = count;
    else if (operation === 4) request[0] = SERIAL_ROOM - state.waiting.length;
    else if (operation === 5) request[0] = mcu.clock.nanos >= (job.opens ?? 0) * 1e9;
    else if (operation === 6) state.isUart = true;
    else {
      if (pointer < RAM || pointer + count > RAM + RAM_BYTES) complain('call', `not RAM: 0x${pointer.toString(16)}`);
      const memory = mcu.sram.subarray(pointer - RAM, pointer - RAM + count);
      if (operation === 0) request[0] = input.fill(memory);
      else output.pushAll(memory);
    }
  }
}

function connectUart(mcu, job, state, log) {
  const pending = [], { waiting } = state, uart = mcu.uart[0], read = uart.readUint32.bind(uart);
  let start = null; // of the current line: [seconds, seconds asleep until then]
  const isFull = () => waiting.length >= (state.isUart ? UART_ROOM : SERIAL_ROOM);
  uart.readUint32 = (offset) => read(offset) | (offset === UART_FLAGS && isFull() ? TX_FULL : 0);
  const stalls = job.stalls ?? [], seconds = () => mcu.clock.nanos / 1e9;
  const stalled = () => stalls.some(([from, to]) => from <= seconds() && seconds() < to);
  for (const [, to] of stalls) {
    mcu.clock.createAlarm(() => { while (waiting.length) take(waiting.shift()); }).schedule(to * 1e9);
  }
  // A byte takes ten bits on the wire of a real UART. USB is as fast as the host.
  const sent = mcu.clock.createAlarm(() => {
    take(waiting.shift());
    if (waiting.length) sent.schedule(10e9 / uart.baudRate);
  });
  uart.onByte = (byte) => {
    if (state.isUart && waiting.push(byte) === 1) sent.schedule(10e9 / uart.baudRate);
    if (!state.isUart) stalled() ? waiting.push(byte) : take(byte);
  };
  function take(byte) {
    log.push(byte);
    start ??= [mcu.clock.nanos / 1e9, state.asleep / 1e9];
    if (byte === 10 && state.lines.length < 100000) {
      state.lines.push([mcu.clock.nanos / 1e9, state.adc.delivered, ...start]);
    }
    if (byte === 10) start = null;
    if (job.interactive) state.sent.push(byte);
  }
  for (const [at, text] of job.typed ?? []) {
    mcu.clock.createAlarm(() => Buffer.from(text).forEach((byte) => uart.feedByte(byte))).schedule(at * 1e9);
  }
  if (job.interactive) {
    process.stdin.on('data', (data) => pending.push(...data));
    process.stdin.on('end', () => { state.closed = true; });
    process.stdin.resume();
  }
  return () => {
    const { rxFIFO } = mcu.uart[0];
    while (pending.length && rxFIFO.itemCount < ROOM_FOR_BYTES) mcu.uart[0].feedByte(pending.shift());
  };
}

function connectPins(mcu, job, state) {
  board.drivePins(mcu);
  for (const [seconds, pin, value] of job.events ?? []) {
    mcu.clock.createAlarm(() => mcu.gpio[pin].setInputValue(!!value)).schedule(seconds * 1e9);
  }
  mcu.gpio.forEach((pin, index) => pin.addListener((value) => {
    if (value <= 1 && state.pins.length < 100000) state.pins.push([mcu.clock.nanos / 1e9, index, value]);
  }));
}

function send(state) {
  if (!state.sent.length) return Promise.resolve();
  const bytes = Buffer.from(state.sent);
  state.sent.length = 0;
  return new Promise((resolve) => process.stdout.write(bytes, resolve));
}

async function run(mcu, job, state, feed) {
  const end = (job.seconds ?? Infinity) * 1e9, wallStart = Date.now();
  for (;;) {
    feed();
    const ahead = job.pace ? (Date.now() - wallStart + SLICE_MS) * 1e6 * job.pace : Infinity;
    const step = job.interactive ? mcu.clock.nanos + 5e6 : Infinity; // check stdin at least every 5 ms
    const stop = board.runSlice(mcu, state, Math.min(end, ahead, step));
    if (job.progress) process.stderr.write(`progress ${mcu.clock.nanos / 1e9}\n`);
    if (job.interactive) await send(state);
    if (stop && (stop !== 'time' || mcu.clock.nanos >= end)) return stop;
    if (state.closed) return 'closed';
    const early = job.pace ? mcu.clock.nanos / 1e6 / job.pace - (Date.now() - wallStart) : 0;
    if (early > SLICE_MS / 2) await new Promise((resolve) => setTimeout(resolve, early));
    else if (job.interactive) await new Promise((resolve) => setImmediate(resolve));
  }
}

function stackBytes(mcu) {
  const stack = mcu.sram.subarray(STACK_BOTTOM - RAM);
  const unused = stack.findIndex((byte) => byte !== PAINT);
  return unused < 0 ? 0 : stack.length - unused;
}

function summary(mcu, state, stopped, cache, wall) {
  const { adc, since } = state, nanos = mcu.clock.nanos, stack = stackBytes(mcu);
  const [cycles, asleep] = [nanos - since.nanos, state.asleep - since.asleep].map((t) => Math.round(t * mcu.clkSys / 1e9));
  if (stack === RAM + RAM_BYTES - STACK_BOTTOM) stopped = `the stack of ${stack} bytes has overflowed (${stopped})`;
  return {
    stopped, exit_status: state.exit, seconds: nanos / 1e9, wall_seconds: wall,
    cycles, cycles_awake: cycles - asleep, cycles_asleep: asleep, awake_share: (cycles - asleep) / cycles,
    clk_sys: mcu.clkSys, clk_adc: board.adcHertz(mcu), clock_gates: [...state.gates],
    plls_on: ['pllSys', 'pllUsb'].filter((name) => !(mcu[name].pwr & 1)),
    adc_start: adc.first / 1e9, adc_samples: adc.delivered,
    adc_rate: adc.delivered > 1 ? (adc.delivered - 1) / ((adc.last - adc.first) * 1e-9) : 0,
    stack_bytes: stack, heap_bytes: state.heap, uart_bytes: state.uart.bytes,
    lines: state.lines, pins: state.pins, stages: state.stages.totals,
    xip: cache && { reads: cache.reads, misses: cache.misses },
  };
}

async function main() {
  const job = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const mcu = new RP2040(), cache = job.xip ? new XipCache() : null;
  const logs = { adc: new Log(job.adc_log), output: new Log(job.output), uart: new Log(job.uart) };
  board.loadImage(mcu, fs.readFileSync(job.image));
  board.checkedMemory(mcu, cache);
  const state = { exit: null, heap: 0, asleep: 0, closed: false, sent: [], lines: [], pins: [], uart: logs.uart,
    waiting: [], gates: new Uint32Array(4).fill(0xffffffff), since: { nanos: 0, asleep: 0 } };
  board.connectClocks(mcu, state);
  state.fast = job.plain ? null : fastCore(mcu, cache);
  state.stages = new Stages(() => [mcu.core.cycles, cache ? cache.misses : 0]);
  state.adc = connectAdc(mcu, job, logs.adc);
  connectCalls(mcu, job, state, new Reader(job.input), logs.output);
  const feed = connectUart(mcu, job, state, logs.uart);
  connectPins(mcu, job, state);
  mcu.onBreak = (code) => complain('image', `stopped by udf #${code} at 0x${mcu.core.PC.toString(16)}`);
  const start = Date.now();
  let stopped;
  try {
    stopped = await run(mcu, job, state, feed);
  } catch (error) { // keep what the image sent before it failed
    stopped = `fault: ${error.message} (PC 0x${mcu.core.PC.toString(16)}, LR 0x${mcu.core.LR.toString(16)})`;
  }
  for (const log of Object.values(logs)) log.flush();
  fs.writeFileSync(job.result, JSON.stringify(summary(mcu, state, stopped, cache, (Date.now() - start) / 1000)));
  process.exit(0);
}

main();
