// SPDX-License-Identifier: MIT
// The emulated Pico as the page sees it: a worker that hears a node of the AudioContext.

const PATIENCE_MS = 1000;
const blobUrl = (script) => URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));

// A page from disk may not load a worklet from a blob, but from a data URL.
function addModule({ audioWorklet }, script) {
  return audioWorklet.addModule(blobUrl(script)).catch(
    () => audioWorklet.addModule(`data:text/javascript;charset=utf-8,${encodeURIComponent(script)}`));
}

export class EmulatedBoard {
  constructor(handlers) {
    this.handlers = handlers; // onBytes, onColumn, onFrame, onStats, onGone
  }

  // Boots `image` ({flash, names}); returns the audio node that is its microphone.
  async open(context, image, { scripts, adc, gain }) {
    await addModule(context, scripts.worklet);
    const processorOptions = { adcRate: adc.rate, bias: adc.bias, top: adc.top, gain };
    this.microphone = new AudioWorkletNode(context, 'microphone', { numberOfOutputs: 0, processorOptions });
    const { port1, port2 } = new MessageChannel();
    this.worker = new Worker(blobUrl(scripts.worker));
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => this.handlers.onGone(event.message);
    const boot = { ...image, adcRate: adc.rate, top: adc.top, frameStep: adc.frameStep };
    this.worker.postMessage({ boot, ears: port2 }, [port2]);
    this.microphone.port.postMessage({ port: port1 }, [port1]);
    return this.microphone;
  }

  receive(message) {
    if (message.sent) this.handlers.onBytes(message.sent, message);
    if (message.column) this.handlers.onColumn(message.column);
    if (message.frame) this.handlers.onFrame(message.frame);
    if (message.stats) this.handlers.onStats(message.stats);
    if (message.heard) this.answer(message.heard);
    if (message.stopped) this.handlers.onGone(message.stopped);
  }

  setGain(gain) {
    this.microphone.port.postMessage({ gain });
  }

  send(bytes) {
    this.worker.postMessage({ send: bytes });
  }

  // All counts that its ADC was given, from the first on; null when the worker has failed.
  heard() {
    return new Promise((resolve) => {
      this.answer = resolve;
      this.worker?.postMessage({ heard: true });
      setTimeout(resolve, PATIENCE_MS, null);
    });
  }

  async close() {
    this.microphone?.disconnect();
    this.worker?.terminate();
  }
}
