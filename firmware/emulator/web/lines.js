// SPDX-License-Identifier: MIT
// The lines that the recogniser prints: `DECISION key=value ...` and, after the command v, `FRAME key=value ...`.

const bytesOf = (hex, Kind) => Kind.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

// {word, key: text, ...} of a line; null when the line is something else.
function fieldsOf(line) {
  const [word, ...pairs] = line.trim().split(/ (?=\w+=)/); // a genre's name may hold a space
  if (!['READY', 'DECISION', 'FRAME', 'OVERRUN'].includes(word)) return null;
  return { word, ...Object.fromEntries(pairs.map((pair) => pair.split('=', 2))) };
}

export function parseLine(line) {
  const fields = fieldsOf(line);
  if (fields?.word === 'DECISION' && fields.scores) {
    const numbers = Object.fromEntries(['window', 'time_ms', 'confidence'].map((key) => [key, Number(fields[key])]));
    return { kind: 'decision', ...fields, ...numbers, scores: fields.scores.split(',').map(Number) };
  }
  if (fields?.word === 'FRAME' && fields.mel) {
    const mel = Int32Array.from(bytesOf(fields.mel, Uint8Array), (value) => value << 6); // Q6.9 >> 6
    return { kind: 'frame', mel, mfcc: fields.mfcc ? bytesOf(fields.mfcc, Int8Array) : null };
  }
  if (fields?.word === 'READY' && fields.genres) return { kind: 'ready', genres: fields.genres.split(',') };
  if (fields?.word === 'OVERRUN') return { kind: 'overrun', lost: Number(fields.lost) };
  return { kind: 'text' };
}

// Cuts a stream of bytes into lines.
export class Lines {
  constructor() {
    this.rest = '';
    this.decoder = new TextDecoder();
  }
  feed(bytes) {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop();
    return lines.map((line) => line.replace(/\r$/, ''));
  }
}
