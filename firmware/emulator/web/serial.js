// SPDX-License-Identifier: MIT
// A real board over Web Serial: bytes in, bytes out, and a word when it is gone.

const BAUD_RATE = 921600; // a USB port has no baud rate
const REFUSED = {
  NotFoundError: 'no board was chosen: plug a Pico in, start again, and choose it',
  NetworkError: 'the board is in use: close the program that uses it (a serial monitor, another page)',
  InvalidStateError: 'this page has the board already: stop first',
};

export class SerialBoard {
  constructor({ onBytes, onGone }) {
    Object.assign(this, { onBytes, onGone, port: null, closing: false });
  }

  static available() {
    return 'serial' in navigator;
  }

  async open() {
    try {
      this.port = await navigator.serial.requestPort();
      await this.port.open({ baudRate: BAUD_RATE, bufferSize: 65536 });
    } catch (error) {
      throw new Error(REFUSED[error.name] ?? `the board can't be opened: ${error.message}`);
    }
    await this.port.setSignals?.({ dataTerminalReady: true });
    this.done = this.read();
  }

  async read() {
    try {
      this.reader = this.port.readable.getReader();
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) break;
        this.onBytes(value);
      }
    } catch {
      // a cable that is pulled ends the stream with an error: the same as its end
    }
    if (!this.closing) this.onGone('unplugged');
  }

  // Sends bytes; what can't be sent is told by read(), since the board is gone.
  send(bytes) {
    this.writer ??= this.port.writable.getWriter();
    this.writer.write(bytes).catch(() => {});
  }

  async close() {
    this.closing = true;
    await this.reader?.cancel().catch(() => {}); // read() has told why
    await this.done;
    this.reader?.releaseLock();
    this.writer?.releaseLock();
    await this.port?.close().catch(() => {}); // a port that is gone can't be closed
  }
}
