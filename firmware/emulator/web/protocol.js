// SPDX-License-Identifier: MIT
// The recorder's serial stream in JavaScript: bytes to events, with the rules of mgr_helpers/record/protocol.py, which
// explains the format. Tests compare both decoders, event by event, on damaged streams, too.

export const PROTOCOL_VERSION = 1, ADC_CLOCK_HZ = 48000000;
const HEADER = 1, SAMPLES = 2, OVERRUN = 3, END = 4, SAMPLES_16 = 5, PREFIX = 11, CRC = 4, LONGEST_FRAME = 2048;
const END_REASONS = ['button', 'host', 'length'];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// The bytes that COBS stands for, or null.
export function decodeCobs(encoded) {
  const bytes = new Uint8Array(encoded.length);
  let to = 0;
  for (let at = 0; at < encoded.length;) {
    const end = at + encoded[at], full = encoded[at] === 255;
    if (end > encoded.length) return null;
    bytes.set(encoded.subarray(at + 1, end), to);
    to += end - at - 1;
    if (end < encoded.length && !full) bytes[to++] = 0;
    at = end;
  }
  return bytes.subarray(0, to);
}

export function rateOf(header) {
  return header.clock_hz * 256 / header.period;
}

const failure = (reason, size) => ({ kind: 'error', reason, size });
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function checkedBody(encoded) {
  const bytes = decodeCobs(encoded);
  if (!bytes || bytes.length < PREFIX + CRC) return null;
  const body = bytes.subarray(0, -CRC);
  return view(bytes).getUint32(body.length, true) === crc32(body) ? body : null;
}

function unpack12Bit(packed, count) {
  const values = new Int16Array(packed.length / 3 * 2);
  for (let from = 0, to = 0; from < packed.length; from += 3, to += 2) {
    values[to] = packed[from] | (packed[from + 1] & 15) << 8;
    values[to + 1] = packed[from + 1] >> 4 | packed[from + 2] << 4;
  }
  return values.subarray(0, count);
}

function parseSamples(kind, ids, fields) {
  const first = view(fields).getUint32(0, true), count = view(fields).getUint16(4, true), packed = fields.subarray(6);
  if (packed.length !== (kind === SAMPLES_16 ? 2 * count : ((count + 1) >> 1) * 3)) {
    return failure('samples frame of the wrong length', fields.length);
  }
  const values = kind === SAMPLES ? unpack12Bit(packed, count)
    : Uint16Array.from({ length: count }, (_, i) => packed[2 * i] | packed[2 * i + 1] << 8);
  return { kind: 'samples', ...ids, first, values };
}

function parseHeader(ids, fields) {
  const data = view(fields), [version, bits, recording] = fields;
  if (version !== PROTOCOL_VERSION) {
    return failure(`the Pico speaks protocol ${version}, this helper ${PROTOCOL_VERSION}: update the older one`,
      fields.length);
  }
  const [clock_hz, period] = [3, 7].map((at) => data.getUint32(at, true));
  if (period === 0) return failure('header with a sampling period of zero', fields.length);
  const texts = new TextDecoder('utf-8', { ignoreBOM: true }).decode(fields.subarray(27)).split('\0');
  return {
    kind: 'header', ...ids, version, bits, recording: recording > 0, clock_hz, period,
    bias: data.getUint16(11, true), peak: data.getUint16(13, true), planned: data.getUint32(15, true),
    position: data.getUint32(19, true), lost: data.getUint32(23, true), firmware: texts[0], board: texts[1] ?? '',
  };
}

function parseEnd(ids, fields) {
  const data = view(fields), reason = data.getUint8(10);
  return {
    kind: 'end', ...ids, total: data.getUint32(0, true), lost: data.getUint32(4, true), bias: data.getUint16(8, true),
    reason: END_REASONS[reason] ?? `reason ${reason}`, complete: true,
  };
}

function parse(kind, ids, fields) {
  const { length } = fields;
  if (![HEADER, SAMPLES, OVERRUN, END, SAMPLES_16].includes(kind)) {
    return failure(`unknown frame type ${kind}: newer firmware?`, length);
  }
  const fits = {
    [HEADER]: length >= 27, [SAMPLES]: length >= 6, [SAMPLES_16]: length >= 6, [OVERRUN]: length === 8,
    [END]: length === 11,
  };
  if (!fits[kind]) return failure(`frame type ${kind} of the wrong length`, length);
  if (kind === SAMPLES || kind === SAMPLES_16) return parseSamples(kind, ids, fields);
  if (kind === HEADER) return parseHeader(ids, fields);
  if (kind === END) return parseEnd(ids, fields);
  const data = view(fields);
  return { kind: 'gap', ...ids, first: data.getUint32(0, true), count: data.getUint32(4, true), cause: 'overrun' };
}

export class Decoder {
  constructor() {
    Object.assign(this, { buffer: new Uint8Array(0), session: null, oldSessions: new Set(), expected: 0, take: 0 });
    Object.assign(this, { open: false, position: 0, framesMissing: false });
  }

  // Events of the frames that end within `data`, oldest first.
  feed(data) {
    const bytes = new Uint8Array(this.buffer.length + data.length), events = [];
    bytes.set(this.buffer);
    bytes.set(data, this.buffer.length);
    let start = 0;
    for (let end; (end = bytes.indexOf(0, start)) >= 0; start = end + 1) {
      if (end > start) this.frame(bytes.subarray(start, end), events);
    }
    this.buffer = bytes.slice(start);
    if (this.buffer.length > LONGEST_FRAME) {
      events.push(failure(`no end of a frame within ${LONGEST_FRAME} bytes`, this.buffer.length));
      this.buffer = new Uint8Array(0);
    }
    return events;
  }

  // Events of a stream that stops here.
  finish(reason = 'the stream ended') {
    const events = this.buffer.length ? [failure('half a frame at the end', this.buffer.length)] : [];
    this.buffer = new Uint8Array(0);
    this.close(events, reason);
    return events;
  }

  frame(encoded, events) {
    const body = checkedBody(encoded);
    if (!body) {
      events.push(failure('damaged frame', encoded.length));
      return;
    }
    const data = view(body), ids = { session: data.getUint32(1, true), take: data.getUint16(5, true) };
    const event = parse(body[0], ids, body.subarray(PREFIX));
    if (event.kind === 'error') events.push(event);
    else if (this.inOrder(ids, data.getUint32(7, true), encoded.length, events)) this.use(event, events);
  }

  inOrder({ session, take }, sequence, size, events) {
    if (session !== this.session) {
      if (this.oldSessions.has(session)) {
        events.push(failure('frame from before the Pico restarted', size));
        return false;
      }
      this.close(events, 'the Pico started again');
      this.oldSessions.add(this.session);
      Object.assign(this, { session, expected: sequence, take, position: 0 });
    }
    if (sequence < this.expected) {
      events.push(failure('frame came late or twice', size));
      return false;
    }
    if (sequence > this.expected) {
      events.push(failure(`${sequence - this.expected} frames are missing`, 0));
      this.framesMissing = true;
    }
    this.expected = sequence + 1;
    return true;
  }

  use(event, events) {
    if (event.take !== this.take) {
      this.close(events, 'its end was lost');
      // an idle header with a position: every frame of that take was lost
      Object.assign(this, { take: event.take, position: 0, open: event.kind === 'header' && event.position > 0 });
    }
    if (event.kind === 'header') {
      this.useHeader(event, events);
    } else if (event.kind === 'end') {
      this.open = true;
      this.skipTo(event.total, events);
      this.open = false;
      events.push(event);
    } else if (event.first < this.position) {
      events.push(failure('samples overlap those before', 0));
    } else {
      this.open = true;
      this.skipTo(event.first, events);
      this.position += event.kind === 'gap' ? event.count : event.values.length;
      events.push(event);
    }
  }

  useHeader(header, events) {
    this.open ||= header.recording;
    if (this.open) this.skipTo(header.position, events);
    events.push(header);
    if (!header.recording) this.close(events, 'its end was lost');
  }

  // Reports a gap if samples before number `position` have not come.
  skipTo(position, events) {
    if (position > this.position) {
      const cause = this.framesMissing || this.position === 0 ? 'transport' : 'overrun';
      const { session, take } = this;
      events.push({ kind: 'gap', session, take, first: this.position, count: position - this.position, cause });
      this.position = position;
    }
    this.framesMissing = false;
  }

  close(events, reason) {
    const { session, take, position } = this;
    if (this.open) {
      events.push({ kind: 'end', session, take, total: position, lost: 0, bias: 0, reason, complete: false });
    }
    this.open = false;
  }
}
