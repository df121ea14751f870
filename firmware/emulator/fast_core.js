// SPDX-License-Identifier: MIT
// The common Thumb instructions of rp2040js's core in one loop, three times as fast as executeInstruction(). This loop
// uses only registers, RAM and flash. Everything else (a peripheral, the return from an exception, a rare instruction)
// is left to rp2040js. rp2040js is also the reference: tests run both and compare every register and cycle.
'use strict';

const RAM_BYTES = 0x42000;
const STR = 0, STRH = 1, STRB = 2, LDRSB = 3, LDR = 4, LDRH = 5, LDRB = 6, LDRSH = 7, NO_ACCESS = -1;
const ALIGNMENT = [3, 1, 0, 0, 3, 1, 0, 1];

// Returns run(limit). It executes until `limit` cycles have passed or rp2040js must execute the next instruction. It
// returns the cycles that passed, and leaves the core in the same state as rp2040js would.
function fastCore(mcu, cache) {
  const { core } = mcu;
  const r = new Int32Array(core.registers.buffer);
  const [ram8, rom8] = [mcu.sram, mcu.flash];
  const [ram16, ram32] = [new Uint16Array(ram8.buffer), new Int32Array(ram8.buffer)];
  const [rom16, rom32] = [new Uint16Array(rom8.buffer), new Int32Array(rom8.buffer)];
  const inRam = (address, bytes) =>
    address >>> 24 === 0x20 && (address & 0xffffff) + bytes <= RAM_BYTES && !(address & 3);

  return function run(limit) {
    if (core.interruptsUpdated || core.waiting || (core.N && core.Z)) return 0;
    let pc = r[15], cycles = 0, carry = core.C, overflow = core.V;
    let nz = core.Z ? 0 : core.N ? -1 : 1; // sign and zero of the last result
    let a, b, result;

    loop: while (cycles < limit) {
      const page = pc >>> 24, offset = pc & 0xfffffe;
      if (page !== 0x10 && (page !== 0x20 || offset >= RAM_BYTES)) break;
      if (cache !== null && page === 0x10) cache.read(offset);
      const op = page === 0x10 ? rom16[offset >> 1] : ram16[offset >> 1];
      const d = op & 7, m = (op >> 3) & 7, imm8 = op & 0xff, d8 = (op >> 8) & 7;
      let next = pc + 2, access = NO_ACCESS, address = 0, target = d, spent = 1;

      switch (op >> 8) {
        case 0x00: case 0x01: case 0x02: case 0x03: case 0x04: case 0x05: case 0x06: case 0x07: { // LSLS
          const shift = (op >> 6) & 31;
          a = r[m];
          if (shift) carry = ((a >>> (32 - shift)) & 1) === 1;
          r[d] = nz = a << shift;
          break;
        }
        case 0x08: case 0x09: case 0x0a: case 0x0b: case 0x0c: case 0x0d: case 0x0e: case 0x0f: { // LSRS
          const shift = (op >> 6) & 31;
          a = r[m];
          carry = ((a >>> (shift ? shift - 1 : 31)) & 1) === 1;
          r[d] = nz = shift ? a >>> shift : 0;
          break;
        }
        case 0x10: case 0x11: case 0x12: case 0x13: case 0x14: case 0x15: case 0x16: case 0x17: { // ASRS
          const shift = (op >> 6) & 31 || 32;
          a = r[m];
          carry = ((a >> (shift - 1)) & 1) === 1;
          r[d] = nz = a >> (shift > 31 ? 31 : shift);
          break;
        }
        case 0x18: case 0x19: case 0x1c: case 0x1d: // ADDS register, 3 bits
          a = r[m];
          b = op & 0x400 ? (op >> 6) & 7 : r[(op >> 6) & 7];
          r[d] = nz = result = (a + b) | 0;
          carry = result >>> 0 < a >>> 0;
          overflow = ((a ^ result) & (b ^ result)) < 0;
          break;
        case 0x1a: case 0x1b: case 0x1e: case 0x1f: // SUBS register, 3 bits
          a = r[m];
          b = op & 0x400 ? (op >> 6) & 7 : r[(op >> 6) & 7];
          r[d] = nz = result = (a - b) | 0;
          carry = a >>> 0 >= b >>> 0;
          overflow = ((a ^ b) & (a ^ result)) < 0;
          break;
        case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: case 0x26: case 0x27: // MOVS
          r[d8] = nz = imm8;
          break;
        case 0x28: case 0x29: case 0x2a: case 0x2b: case 0x2c: case 0x2d: case 0x2e: case 0x2f: // CMP
        case 0x38: case 0x39: case 0x3a: case 0x3b: case 0x3c: case 0x3d: case 0x3e: case 0x3f: // SUBS
          a = r[d8];
          nz = result = (a - imm8) | 0;
          if (op & 0x1000) r[d8] = result;
          carry = a >>> 0 >= imm8;
          overflow = (a & ~result) < 0;
          break;
        case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: case 0x36: case 0x37: // ADDS
          a = r[d8];
          r[d8] = nz = result = (a + imm8) | 0;
          carry = result >>> 0 < a >>> 0;
          overflow = (~a & result) < 0;
          break;
        case 0x40: case 0x41: case 0x42: case 0x43:
          a = r[d];
          b = r[m];
          switch ((op >> 6) & 15) {
            case 0: r[d] = nz = a & b; break;
            case 1: r[d] = nz = a ^ b; break;
            case 5: { // ADCS
              const sum = (a >>> 0) + (b >>> 0) + (carry ? 1 : 0);
              r[d] = nz = result = sum | 0;
              carry = sum > 0xffffffff;
              overflow = ((a ^ result) & (b ^ result)) < 0;
              break;
            }
            case 6: { // SBCS
              const rest = (a >>> 0) - (b >>> 0) - (carry ? 0 : 1);
              r[d] = nz = result = rest | 0;
              carry = rest >= 0;
              overflow = ((a ^ b) & (a ^ result)) < 0;
              break;
            }
            case 8: nz = a & b; break;
            case 9: a = 0; // RSBS, then as CMP
            case 10: // eslint-disable-line no-fallthrough
              nz = result = (a - b) | 0;
              if (!(op & 0x80)) r[d] = result;
              carry = a >>> 0 >= b >>> 0;
              overflow = ((a ^ b) & (a ^ result)) < 0;
              break;
            case 12: r[d] = nz = a | b; break;
            case 13: r[d] = nz = Math.imul(a, b); break;
            case 14: r[d] = nz = a & ~b; break;
            case 15: r[d] = nz = ~b; break;
            default: { // shifts by a register: 2 LSLS, 3 LSRS, 4 ASRS; the rest is rare
              const kind = (op >> 6) & 15, shift = b & 0xff;
              if (kind > 4 || shift === 0 || shift > 31) break loop;
              carry = ((kind === 2 ? a >>> (32 - shift) : a >> (shift - 1)) & 1) === 1;
              r[d] = nz = kind === 2 ? a << shift : kind === 3 ? a >>> shift : a >> shift;
            }
          }
          break;
        case 0x44: case 0x46: { // ADD, MOV with high registers
          const to = ((op >> 4) & 8) | d, from = (op >> 3) & 15;
          if (to === 15 || to === 13 || from === 15) break loop;
          r[to] = op & 0x200 ? r[from] : r[to] + r[from];
          break;
        }
        case 0x45: // CMP with high registers
          a = r[((op >> 4) & 8) | d];
          b = r[(op >> 3) & 15];
          nz = result = (a - b) | 0;
          carry = a >>> 0 >= b >>> 0;
          overflow = ((a ^ b) & (a ^ result)) < 0;
          break;
        case 0x47: // BX, BLX
          a = r[(op >> 3) & 15];
          if (a >>> 28 === 15 || ((op >> 3) & 15) === 15 || d) break loop;
          if (op & 0x80) r[14] = next | 1;
          next = a & ~1;
          spent = 2;
          break;
        case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f: // LDR literal
          access = LDR;
          address = ((pc + 4) & ~3) + 4 * imm8;
          target = d8;
          break;
        case 0x50: case 0x51: case 0x52: case 0x53: case 0x54: case 0x55: case 0x56: case 0x57:
        case 0x58: case 0x59: case 0x5a: case 0x5b: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
          access = (op >> 9) & 7;
          address = r[m] + r[(op >> 6) & 7];
          break;
        case 0x60: case 0x61: case 0x62: case 0x63: case 0x64: case 0x65: case 0x66: case 0x67:
        case 0x68: case 0x69: case 0x6a: case 0x6b: case 0x6c: case 0x6d: case 0x6e: case 0x6f:
          access = op & 0x800 ? LDR : STR;
          address = r[m] + ((op >> 4) & 0x7c);
          break;
        case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
        case 0x78: case 0x79: case 0x7a: case 0x7b: case 0x7c: case 0x7d: case 0x7e: case 0x7f:
          access = op & 0x800 ? LDRB : STRB;
          address = r[m] + ((op >> 6) & 0x1f);
          break;
        case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87:
        case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8c: case 0x8d: case 0x8e: case 0x8f:
          access = op & 0x800 ? LDRH : STRH;
          address = r[m] + ((op >> 5) & 0x3e);
          break;
        case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
        case 0x98: case 0x99: case 0x9a: case 0x9b: case 0x9c: case 0x9d: case 0x9e: case 0x9f:
          access = op & 0x800 ? LDR : STR;
          address = r[13] + 4 * imm8;
          target = d8;
          break;
        case 0xa0: case 0xa1: case 0xa2: case 0xa3: case 0xa4: case 0xa5: case 0xa6: case 0xa7: // ADR
          r[d8] = (pc & ~3) + 4 + 4 * imm8;
          break;
        case 0xa8: case 0xa9: case 0xaa: case 0xab: case 0xac: case 0xad: case 0xae: case 0xaf: // ADD SP
          r[d8] = r[13] + 4 * imm8;
          break;
        case 0xb0: // ADD, SUB to SP
          r[13] += op & 0x80 ? -4 * (op & 0x7f) : 4 * (op & 0x7f);
          break;
        case 0xb2: // SXTH, SXTB, UXTH, UXTB
          a = r[m];
          r[d] = op & 0x80 ? (op & 0x40 ? a & 0xff : a & 0xffff) : op & 0x40 ? (a << 24) >> 24 : (a << 16) >> 16;
          break;
        case 0xb4: case 0xb5: { // PUSH
          let count = op & 0x100 ? 1 : 0;
          for (let bits = imm8; bits; bits &= bits - 1) count++;
          address = r[13] - 4 * count;
          if (!inRam(address, 4 * count)) break loop;
          let word = (address & 0xffffff) >> 2;
          for (let i = 0; i < 8; i++) if (imm8 & (1 << i)) { ram32[word++] = r[i]; spent++; }
          if (op & 0x100) ram32[word] = r[14];
          r[13] = address;
          break;
        }
        case 0xbc: case 0xbd: { // POP
          address = r[13];
          if (!inRam(address, 36)) break loop;
          let word = (address & 0xffffff) >> 2, count = 0;
          if (op & 0x100) {
            for (let bits = imm8; bits; bits &= bits - 1) count++;
            if (ram32[word + count] >>> 28 === 15) break loop; // return from an exception
          }
          for (let i = 0; i < 8; i++) if (imm8 & (1 << i)) { r[i] = ram32[word++]; spent++; address += 4; }
          if (op & 0x100) {
            next = ram32[word] & ~1;
            address += 4;
            spent += 2;
          }
          r[13] = address;
          break;
        }
        case 0xc0: case 0xc1: case 0xc2: case 0xc3: case 0xc4: case 0xc5: case 0xc6: case 0xc7: // STM
        case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcc: case 0xcd: case 0xce: case 0xcf: { // LDM
          address = r[d8];
          if (!inRam(address, 32)) break loop;
          let word = (address & 0xffffff) >> 2;
          for (let i = 0; i < 8; i++) {
            if (imm8 & (1 << i)) {
              if (op & 0x800) r[i] = ram32[word++];
              else ram32[word++] = r[i];
              spent++;
            }
          }
          if (!(imm8 & (1 << d8))) r[d8] = address + 4 * (spent - 1);
          break;
        }
        case 0xd0: case 0xd1: case 0xd2: case 0xd3: case 0xd4: case 0xd5: case 0xd6: case 0xd7:
        case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: { // B with a condition
          let taken;
          switch ((op >> 9) & 7) {
            case 0: taken = nz === 0; break;
            case 1: taken = carry; break;
            case 2: taken = nz < 0; break;
            case 3: taken = overflow; break;
            case 4: taken = carry && nz !== 0; break;
            case 5: taken = nz < 0 === overflow; break;
            default: taken = nz < 0 === overflow && nz !== 0;
          }
          if (taken !== ((op & 0x100) !== 0)) {
            next = pc + 4 + ((imm8 << 24) >> 23);
            spent = 2;
          }
          break;
        }
        case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe4: case 0xe5: case 0xe6: case 0xe7: // B
          next = pc + 4 + ((op << 21) >> 20);
          spent = 2;
          break;
        case 0xf0: case 0xf1: case 0xf2: case 0xf3: case 0xf4: case 0xf5: case 0xf6: case 0xf7: { // BL
          const second = page === 0x10 ? rom16[(offset >> 1) + 1] : ram16[(offset >> 1) + 1];
          if (second >> 14 !== 3 || !(second & 0x1000)) break loop;
          if (cache !== null && page === 0x10) cache.read(offset + 2);
          const s = (op >> 10) & 1, i1 = 1 ^ s ^ (second >> 13) & 1, i2 = 1 ^ s ^ (second >> 11) & 1;
          r[14] = (pc + 4) | 1;
          next = (s ? 0xff000000 : 0) | (i1 << 23) | (i2 << 22) | ((op & 0x3ff) << 12) | ((second & 0x7ff) << 1);
          next += pc + 4;
          spent = 3;
          break;
        }
        default:
          break loop;
      }

      if (access !== NO_ACCESS) {
        const bank = address >>> 24, at = address & 0xffffff;
        if (address & ALIGNMENT[access]) break;
        if (bank === 0x20 && at < RAM_BYTES) {
          switch (access) {
            case STR: ram32[at >> 2] = r[target]; break;
            case STRH: ram16[at >> 1] = r[target]; break;
            case STRB: ram8[at] = r[target]; break;
            case LDRSB: r[target] = (ram8[at] << 24) >> 24; break;
            case LDR: r[target] = ram32[at >> 2]; break;
            case LDRH: r[target] = ram16[at >> 1]; break;
            case LDRB: r[target] = ram8[at]; break;
            default: r[target] = (ram16[at >> 1] << 16) >> 16;
          }
        } else if (bank === 0x10 && access >= LDRSB) {
          if (cache !== null) cache.read(at);
          switch (access) {
            case LDRSB: r[target] = (rom8[at] << 24) >> 24; break;
            case LDR: r[target] = rom32[at >> 2]; break;
            case LDRH: r[target] = rom16[at >> 1]; break;
            case LDRB: r[target] = rom8[at]; break;
            default: r[target] = (rom16[at >> 1] << 16) >> 16;
          }
        } else {
          break;
        }
        spent = 2;
      }
      pc = next;
      cycles += spent;
    }

    r[15] = pc;
    core.N = nz < 0;
    core.Z = nz === 0;
    core.C = carry;
    core.V = overflow;
    core.cycles += cycles;
    return cycles;
  };
}

module.exports = { fastCore };
