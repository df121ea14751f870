// SPDX-License-Identifier: MIT
// Executes random Thumb instructions by fast_core.js and by rp2040js itself. Every register, flag, cycle and byte of RAM
// must be equal. `node check_fast_core.js <firmware/emulator> <count>` prints how many of them fast_core.js executed.
'use strict';
const { RP2040 } = require('rp2040js');
const { fastCore } = require(`${process.argv[2]}/fast_core.js`);

let seed = 1;
function random() { // xorshift32
  seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5;
  return seed >>> 0;
}

function machine() {
  const mcu = new RP2040();
  mcu.onBreak = () => {};
  mcu.logger = { debug() {}, info() {}, warn() {}, error() {} };
  return mcu;
}

const VALUES = [() => random(), () => random() % 100, () => 0x20001000 + (random() % 0x1000 & ~3),
  () => 0x10002000 + (random() % 0x1000 & ~3), () => 0, () => 0xffffffff, () => random() % 40 + 0x80000000];
const [fast, plain] = [machine(), machine()];
const run = fastCore(fast, null);

function prepare(opcodes) {
  const registers = Array.from({ length: 13 }, () => VALUES[random() % VALUES.length]());
  const flags = [0, 0, random() & 1, random() & 1], sign = random() % 3;
  if (sign) flags[sign - 1] = 1;
  for (const mcu of [fast, plain]) {
    const { core } = mcu;
    core.registers.set(registers);
    [core.N, core.Z, core.C, core.V] = flags.map(Boolean);
    core.SP = 0x20001800;
    core.LR = 0x10000401;
    core.PC = 0x10000200;
    core.cycles = 0;
    core.interruptsUpdated = core.waiting = false;
    opcodes.forEach((opcode, i) => mcu.flashView.setUint16(0x200 + 2 * i, opcode, true));
  }
}

function state({ core }) {
  return JSON.stringify([[...core.registers], core.N, core.Z, core.C, core.V, core.cycles]);
}

for (let i = 0; i < 0x4000; i += 4) {
  const word = VALUES[random() % VALUES.length]();
  for (const mcu of [fast, plain]) {
    mcu.sramView.setUint32(i, word, true);
    mcu.flashView.setUint32(0x2000 + (i & 0x1ffc), word, true);
  }
}
let taken = 0;
const count = Number(process.argv[3]);
for (let i = 0; i < count; i++) {
  const opcode = random() & 0xffff, second = 0xd000 | (random() & 0x2fff);
  prepare([opcode, second]);
  if (opcode === 0x47f0) continue; // BLX LR: rp2040js has a bug, it overwrites LR before the jump
  if (!run(1)) continue; // left to rp2040js
  taken++;
  plain.core.executeInstruction();
  if (state(fast) !== state(plain)) {
    console.log(`opcode ${opcode.toString(16)} ${second.toString(16)}\nfast  ${state(fast)}\nplain ${state(plain)}`);
    process.exit(1);
  }
  if (i % 1000 === 0 && Buffer.compare(fast.sram.subarray(0, 0x8000), plain.sram.subarray(0, 0x8000))) {
    console.log(`memory differs before instruction ${i}`);
    process.exit(1);
  }
}
console.log(taken);
