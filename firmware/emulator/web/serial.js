// SPDX-License-Identifier: MIT
// A real board over Web Serial: bytes in, bytes out, and why it is gone.

const PICO_VENDOR = 0x2e8a, BAUD_RATE = 921600; // a USB port has no baud rate

export class SerialBoard {
  constructor({ onBytes, onGone }) {
    Object.assign(this, { onBytes, onGone, port: null, closing: false });
  }

  static available() {
    return 'serial' in navigator;
  }

  async open() {
    this.port = await navigator.serial.requestPort({ filters: [{ usbVendorId: PICO_VENDOR }] });
    await this.port.open({ baudRate: BAUD_RATE, bufferSize: 65536 });
    await this.port.setSignals?.({ dataTerminalReady: true });
    this.done = this.read();
  }

  async read() {
    let why = 'closed';
    try {
      this.reader = this.port.readable.getReader();
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) break;
        this.onBytes(value);
      }
      if (!this.closing) why = 'the board is gone';
    } catch (error) {
      why = `the board is gone (${error.message})`;
    }
    this.onGone(why);
  }

  async send(bytes) {
    const writer = this.port.writable?.getWriter();
    if (!writer) return;
    try {
      await writer.write(bytes);
    } finally {
      writer.releaseLock();
    }
  }

  async close() {
    this.closing = true;
    await this.reader?.cancel().catch(() => {}); // read() has told why
    await this.done;
    this.reader?.releaseLock();
    await this.port?.close().catch(() => {}); // a port that is gone can't be closed
  }
}
