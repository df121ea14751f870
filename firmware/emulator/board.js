// SPDX-License-Identifier: MIT
// The emulated board: rp2040js with an image in its flash, memory that is fast and checked, its clocks, its pins, and
// the loop that runs it. runner.js gives it files, web/worker.js gives it the sound of a browser.
'use strict';

const RAM = 0x20000000, RAM_BYTES = 0x42000, STACK_BOTTOM = 0x20040000, VECTORS = 0x10000100;
const PAINT = 0xa5, SLICE_MS = 20;
const CLK_ADC_SOURCES = { 0: 'pllUsb', 1: 'pllSys' }, XOSC = 3, WAKE_EN = 0xa0, SLEEP_EN1 = 0xac; // of CLOCKS

function loadImage(mcu, image) {
  mcu.flash.set(image, 0);
  mcu.logger = { debug() {}, info() {}, warn: complain, error: complain };
  mcu.sram.fill(PAINT); // a byte that still has this value at the end was never used as stack
  mcu.core.VTOR = VECTORS;
  mcu.core.reset();
  mcu.clkSys = 125e6;
}

// The clock tree as an image sets it up: rp2040js follows clk_sys and clk_peri, this clk_adc. An image that sets up
// nothing runs at 125 MHz, with the ADC at 48 MHz. What is measured counts from the last change of clk_sys.
function connectClocks(mcu, state) {
  const { clocks } = mcu, gates = state.gates, write = clocks.writeUint32.bind(clocks);
  const read = clocks.readUint32.bind(clocks), isGate = (offset) => offset >= WAKE_EN && offset <= SLEEP_EN1;
  clocks.readUint32 = (offset) => (isGate(offset) ? gates[(offset - WAKE_EN) >> 2] : read(offset));
  clocks.writeUint32 = (offset, value) => {
    if (isGate(offset)) gates[(offset - WAKE_EN) >> 2] = value >>> 0;
    else write(offset, value);
  };
  state.nanosPerCycle = 1e9 / mcu.clkSys;
  mcu.addClockListener((hertz) => {
    state.nanosPerCycle = 1e9 / hertz;
    state.since = { nanos: mcu.clock.nanos, asleep: state.asleep };
  });
}

function adcHertz(mcu) {
  const { adcCtrl } = mcu.clocks, source = (adcCtrl >> 5) & 7;
  if (!adcCtrl) return 48e6;
  return source === XOSC ? mcu.xoscFreq : mcu[CLK_ADC_SOURCES[source]].frequency;
}

function complain(component, message) {
  throw new Error(`${component}: ${message}`);
}

// Reads and writes RAM and flash through typed arrays: faster than rp2040js, with the same result. An unaligned access
// stops the run, as on a Cortex-M0+.
function checkedMemory(mcu, cache) {
  const { core, sram, flash } = mcu;
  const unaligned = (address) => complain('memory', `unaligned access to 0x${(address >>> 0).toString(16)}`);
  for (const [bits, View] of [[8, Uint8Array], [16, Uint16Array], [32, Uint32Array]]) {
    const ram = new View(sram.buffer), rom = new View(flash.buffer), shift = Math.log2(bits / 8), mask = bits / 8 - 1;
    const slowRead = mcu[`readUint${bits}`].bind(mcu), slowWrite = mcu[`writeUint${bits}`].bind(mcu);
    core[`readUint${bits}`] = (address) => {
      const page = address >>> 24, offset = address & 0xffffff;
      if (page === 0x10) {
        if (offset & mask) unaligned(address);
        if (cache) cache.read(offset);
        return rom[offset >> shift];
      }
      if (page === 0x20 && offset < RAM_BYTES) {
        if (offset & mask) unaligned(address);
        return ram[offset >> shift];
      }
      return slowRead(address >>> 0);
    };
    core[`writeUint${bits}`] = (address, value) => {
      const offset = address & 0xffffff;
      if (address >>> 24 === 0x20 && offset < RAM_BYTES) {
        if (offset & mask) unaligned(address);
        ram[offset >> shift] = value;
      } else {
        slowWrite(address >>> 0, value);
      }
    };
  }
}

// An input pin follows its pull until an event drives it.
function drivePins(mcu) {
  for (const pin of mcu.gpio) {
    let driven;
    Object.defineProperty(pin, 'rawInputValue', {
      get: () => driven ?? pin.pullupEnabled,
      set: (value) => { if (value !== pin.rawInputValue) driven = value; },
    });
  }
}

function step(core) {
  const before = core.cycles;
  core.executeInstruction();
  return core.cycles - before;
}

// Runs until `end` (emulated nanoseconds), until the image exits, or for SLICE_MS of the host's time. Returns why the
// run has stopped, or null after SLICE_MS.
function runSlice(mcu, state, end) {
  const { core, clock } = mcu, wallEnd = Date.now() + SLICE_MS;
  while (state.exit === null && clock.nanosCounter < end) {
    for (let i = 0; i < 2000 && state.exit === null && clock.nanosCounter < end; i++) {
      const alarm = clock.nextAlarm;
      if (core.waiting) {
        if (core.pendingInterrupts & core.enabledInterrupts) { // WFI ends even if PRIMASK blocks the handler
          core.waiting = false;
          core.interruptsUpdated = true;
          continue;
        }
        const wait = Math.min(alarm ? clock.nanosToNextAlarm : Infinity, end - clock.nanosCounter);
        if (wait === Infinity) return 'stuck: asleep, and nothing will wake it';
        state.asleep += wait;
        clock.tick(wait);
        continue;
      }
      const due = (Math.min(end, alarm ? alarm.nanos : Infinity) - clock.nanosCounter) / state.nanosPerCycle;
      const fast = state.fast ? state.fast(Math.min(due, 1e5)) : 0;
      const cycles = fast || (state.points ? state.points.step() : step(core)); // points: web/points.js
      const target = clock.nanosCounter + cycles * state.nanosPerCycle;
      if (clock.nextAlarm !== null && clock.nextAlarm.nanos <= target) clock.tick(target - clock.nanosCounter);
      else clock.nanosCounter = target;
    }
    if (Date.now() > wallEnd) return null;
  }
  return state.exit === null ? 'time' : 'exit';
}

module.exports = {
  RAM, RAM_BYTES, STACK_BOTTOM, PAINT, SLICE_MS, complain, loadImage, connectClocks, adcHertz, checkedMemory, drivePins,
  step, runSlice,
};
