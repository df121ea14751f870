// SPDX-License-Identifier: MIT
// Takes in the browser: events of the recorder's stream to a WAV file and its sidecar, as mgr_helpers/record/takes.py
// writes them, and all takes to one zip file of folders by label.
import { ADC_CLOCK_HZ, PROTOCOL_VERSION, crc32, rateOf } from './protocol.js';

const AMPLIFIER_TOP = 2.45 / 3.3; // of the ADC's range: a MAX9814 clips there, as record/takes.py says

const WAV_HEADER = 44;
const text = (string) => new TextEncoder().encode(string);
const two = (number) => String(number).padStart(2, '0');

export function checkLabel(label) {
  if (!/^[\p{L}\p{N}_-]{1,40}$/u.test(label)) {
    throw new Error(`"${label}" can't be a label: use letters, digits, - and _`);
  }
  return label;
}

// Rounds as Python does: halves to even.
function round(value, digits = 0) {
  const scaled = value * 10 ** digits, near = Math.round(scaled);
  return (Math.abs(scaled % 1) === 0.5 && near % 2 ? near - 1 : near) / 10 ** digits;
}

function concatenate(parts, Kind = Uint8Array) {
  const all = new Kind(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((place, part) => (all.set(part, place), place + part.length), 0);
  return all;
}

// A level in counts as dB: 0 dB is half the ADC's range.
export function decibels(peak, bits = 12) {
  return 20 * Math.log10(Math.max(peak, 0.5) / 2 ** (bits - 1));
}

export function wavFile(samples, rate) {
  const bytes = new Uint8Array(WAV_HEADER + 2 * samples.length), data = new DataView(bytes.buffer);
  for (const [at, word] of [[0, 'RIFF'], [8, 'WAVEfmt '], [36, 'data']]) bytes.set(text(word), at);
  for (const [at, value] of [[4, bytes.length - 8], [16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples.length]]) {
    data.setUint32(at, value, true);
  }
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) data.setUint16(at, value, true);
  samples.forEach((value, i) => data.setInt16(WAV_HEADER + 2 * i, value, true));
  return bytes;
}

function isoTime(date) {
  const offset = -date.getTimezoneOffset(), hours = Math.floor(Math.abs(offset) / 60);
  const local = new Date(date.getTime() + 60000 * offset).toISOString().slice(0, 19);
  return `${local}${offset < 0 ? '-' : '+'}${two(hours)}:${two(Math.abs(offset) % 60)}`;
}

export class Take {
  constructor(label, started = new Date()) {
    const local = isoTime(started).slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    const random = [...crypto.getRandomValues(new Uint8Array(3))].map((byte) => byte.toString(16).padStart(2, '0'));
    Object.assign(this, { label: checkLabel(label), started, stem: `${label}_${local}_${random.join('')}` });
    Object.assign(this, { header: null, blocks: [], gaps: [], errors: 0, samples: 0, end: null });
  }

  get seconds() {
    return this.samples / (this.header ? rateOf(this.header) : 22050);
  }

  // Takes in a header, samples, a gap, an error or an end.
  add(event) {
    if (event.kind === 'header') this.header ??= event;
    else if (event.kind === 'gap') this.gaps.push({ at: this.samples, missing: event.count, cause: event.cause });
    else if (event.kind === 'error') this.errors++;
    else if (event.kind === 'end') this.end = event;
    else {
      this.blocks.push(event.values);
      this.samples += event.values.length;
    }
  }

  // {wav (bytes), sidecar (object)} of a take with samples.
  files() {
    const counts = concatenate(this.blocks, Int32Array), sum = counts.reduce((total, count) => total + count, 0);
    const header = this.header ?? { // it was lost: assume the nominal rate, and the mean as bias
      session: 0, take: 0, version: PROTOCOL_VERSION, bits: this.blocks[0] instanceof Uint16Array ? 16 : 12, clock_hz: ADC_CLOCK_HZ,
      period: round(ADC_CLOCK_HZ * 256 / 22050), bias: round(sum / counts.length), firmware: 'unknown', board: '',
    };
    const { bias, bits } = header, shift = 16 - bits, rate = rateOf(header), top = 32767 >> shift;
    const far = (found, count) => Math.max(found, Math.abs(count - bias));
    const clips = bits === 16 ? 65535 : 2 ** bits * AMPLIFIER_TOP;
    const extreme = (count) => count === 0 || count >= clips;
    const audio = counts.map((count) => Math.max(-32768, Math.min(32767, (count - bias) * 2 ** shift)));
    const sidecar = {
      file: `${this.stem}.wav`, label: this.label, recorded_at: isoTime(this.started), samples: counts.length,
      seconds: round(counts.length / rate, 3), sample_rate: round(rate), true_sample_rate: rate, adc_bits: bits, bias,
      mean: round(sum / Math.max(1, counts.length), 2), shift, peak: counts.reduce(far, 0),
      clipped: bias ? counts.filter(extreme).length : 0, saturated: counts.filter((count) => count - bias > top).length,
      complete: this.end.complete && !this.gaps.length, end: this.end.reason, gaps: this.gaps,
      missing: this.gaps.reduce((total, gap) => total + gap.missing, 0), unused_pieces: this.errors,
      session: header.session, take: header.take, board: header.board, firmware: header.firmware,
      protocol: header.version,
    };
    return { wav: wavFile(audio, sidecar.sample_rate), sidecar };
  }
}

// Sorts the events of a decoder into takes; `finished` is called with each take that has samples.
export class TakeSorter {
  constructor(labelNow, finished) {
    Object.assign(this, { labelNow, finished, take: null });
  }

  add(event) {
    if (!this.take && (event.kind === 'error' || event.kind === 'header' && !event.recording)) return;
    this.take ??= new Take(this.labelNow());
    this.take.add(event);
    if (event.kind !== 'end') return;
    const { take } = this;
    this.take = null;
    if (take.samples) this.finished(take);
  }
}

// A zip file, not compressed, of {name: bytes}.
export function zipFile(files, date = new Date()) {
  const local = [], central = [];
  const time = date.getHours() << 11 | date.getMinutes() << 5 | date.getSeconds() >> 1;
  const day = date.getFullYear() - 1980 << 9 | date.getMonth() + 1 << 5 | date.getDate();
  let offset = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const title = text(name), entry = new DataView(new ArrayBuffer(26));
    [20, 0x800, 0, time, day].forEach((value, i) => entry.setUint16(2 * i, value, true)); // 0x800: names in UTF-8
    [crc32(bytes), bytes.length, bytes.length].forEach((value, i) => entry.setUint32(10 + 4 * i, value, true));
    entry.setUint16(22, title.length, true);
    const fields = new Uint8Array(entry.buffer), end = new DataView(new ArrayBuffer(14));
    end.setUint32(10, offset, true);
    local.push(text('PK\x03\x04'), fields, title, bytes);
    central.push(text('PK\x01\x02\x14\x00'), fields, new Uint8Array(end.buffer), title);
    offset += 30 + title.length + bytes.length;
  }
  const tail = new DataView(new ArrayBuffer(22)), index = concatenate(central), count = Object.keys(files).length;
  [0x50, 0x4b, 5, 6].forEach((value, i) => tail.setUint8(i, value));
  [8, 10].forEach((at) => tail.setUint16(at, count, true));
  tail.setUint32(12, index.length, true);
  tail.setUint32(16, offset, true);
  return concatenate([...local, index, new Uint8Array(tail.buffer)]);
}

export const sidecarText = (sidecar) => text(`${JSON.stringify(sidecar, null, 1)}\n`);
