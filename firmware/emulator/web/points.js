// SPDX-License-Identifier: MIT
// Looks at the emulated Pico when it enters or leaves a function. The first instruction is replaced by one that
// fast_core.js leaves to step(), and put back for the moment in which it is executed. No cycle is added.
import { step } from '../board.js';

const UNDEFINED = 0xde00;

export class Points {
  constructor(mcu) {
    this.core = mcu.core;
    this.flash = new Uint16Array(mcu.flash.buffer);
    this.ram = new Uint16Array(mcu.sram.buffer);
    this.visits = new Map(); // address: [instruction, function to call]
  }

  _place(address) {
    return [address >>> 24 === 0x10 ? this.flash : this.ram, (address & 0xffffff) >> 1];
  }

  add(address, visit) {
    if (this.visits.has(address)) return;
    const [memory, index] = this._place(address);
    this.visits.set(address, [memory[index], visit]);
    memory[index] = UNDEFINED;
  }

  // Calls `enter(registers)` at the start of a function and `leave()` where its caller goes on.
  around(address, enter, leave) {
    this.add(address, (registers) => {
      enter(registers);
      this.add(registers[14] & ~1, leave);
    });
  }

  // Executes the next instruction; returns its cycles.
  step() {
    const { core } = this;
    if (core.interruptsUpdated && core.checkForInterrupts()) core.waiting = false; // this may move the PC
    const address = core.PC & ~1, point = this.visits.get(address);
    if (!point) return step(core);
    const [memory, index] = this._place(address), [instruction, visit] = point;
    visit(core.registers);
    memory[index] = instruction;
    const cycles = step(core);
    memory[index] = UNDEFINED;
    return cycles;
  }
}
