// For tests/web/test_protocol_js.py: reads {stream, pieces} a line, writes the decoder's events; or takes as files.
import fs from 'node:fs';
import { Decoder } from '../../firmware/emulator/web/protocol.js';
import { TakeSorter, sidecarText, zipFile } from '../../firmware/emulator/web/takes.js';
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

const [, , task, from, to] = process.argv;
const lines = fs.readFileSync(from, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
if (task === 'events') {
  fs.writeFileSync(to, lines.map((line) => JSON.stringify(eventsOf(line).map(plain))).join('\n'));
} else {
  const takes = [], sorter = new TakeSorter(() => 'jazz', (take) => takes.push(take));
  for (const line of lines) eventsOf(line).forEach((event) => sorter.add(event));
  fs.writeFileSync(to, zipFile(filesOf(takes)));
}
