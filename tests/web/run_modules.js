// For the tests beside it: runs modules of the page on lines of JSON. `task` says which; the result goes to a file.
import fs from 'node:fs';
import { Decoder } from '../../firmware/emulator/web/protocol.js';
import { TakeSorter, zipFile } from '../../firmware/emulator/web/takes.js';
import { parseLine } from '../../firmware/emulator/web/lines.js';
import { Resampler } from '../../firmware/emulator/web/resampler.js';
import { Spectrum } from '../../firmware/emulator/web/spectrum.js';
import { filesOf } from '../../firmware/emulator/web/recording.js';

const plain = (event) => (event.values ? { ...event, values: [...event.values] } : event);

function eventsOf({ stream, pieces }) {
  const bytes = Buffer.from(stream, 'base64'), decoder = new Decoder(), events = [];
  let at = 0;
  for (const size of [...pieces, bytes.length]) {
    events.push(...decoder.feed(bytes.subarray(at, at + size)));
    at += size;
  }
  return [...events, ...decoder.finish()];
}

function zipOf(streams) {
  const takes = [], sorter = new TakeSorter(() => 'jazz', (take) => takes.push(take));
  for (const stream of streams) eventsOf(stream).forEach((event) => sorter.add(event));
  return zipFile(filesOf(takes));
}

// Blocks of 128, as an AudioWorklet gets them.
function resample({ from, to, samples }) {
  const resampler = new Resampler(from, to), outputs = [];
  for (let at = 0; at < samples.length; at += 128) outputs.push(...resampler.push(samples.slice(at, at + 128)));
  return outputs;
}

function columnsOf({ counts }) {
  const spectrum = new Spectrum(1024, 4095);
  return counts.map((count) => spectrum.push(count)).filter(Boolean).map((column) => (
    { ...column, levels: [...column.levels] }));
}

const tasks = { events: (line) => eventsOf(line).map(plain), resample, columns: columnsOf, lines: ({ line }) => {
  const found = parseLine(line);
  return found.mel ? { ...found, mel: [...found.mel], mfcc: found.mfcc && [...found.mfcc] } : found;
} };
const [, , task, from, to] = process.argv;
const lines = fs.readFileSync(from, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const texts = () => lines.map((line) => JSON.stringify(tasks[task](line))).join('\n');
fs.writeFileSync(to, task === 'takes' ? zipOf(lines) : texts());
