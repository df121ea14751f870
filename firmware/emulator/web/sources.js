// SPDX-License-Identifier: MIT
// Where sound comes from: the microphone, a built-in song, or a file. Each gives {node, begin(), end()}.

export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const REFUSED = {
  NotAllowedError: 'the browser refused the microphone: allow it for this page, and start again',
  NotFoundError: 'no microphone was found: plug one in, or choose a song',
};

export async function openMicrophone(context) {
  if (!navigator.mediaDevices) throw new Error('the browser gives the microphone only to pages by https or localhost');
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `the microphone can't be opened: ${error.message}`);
  }
  const node = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  return { node, begin() {}, end() { stream.getTracks().forEach((track) => track.stop()); } };
}

async function openBytes(context, bytes, name, loop, onended) {
  let buffer;
  try {
    buffer = await context.decodeAudioData(bytes);
  } catch (error) {
    throw new Error(`${name} is no sound that this browser can decode: try WAV or MP3`);
  }
  const node = new AudioBufferSourceNode(context, { buffer, loop });
  node.onended = onended;
  return { node, begin() { node.start(); }, end() { node.onended = null; node.disconnect(); } };
}

export async function openFile(context, file, onended) {
  if (!file) throw new Error('choose a file first, or drop one on the page');
  return openBytes(context, await file.arrayBuffer(), file.name, false, onended);
}

export const openSong = (context, name, base64) => openBytes(context, fromBase64(base64).buffer, name, true, null);

// An image for the emulated Pico from a file: {flash, names, genres} of tools/web.py, or the bare flash.
export async function readImage(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] === 0x7b) { // {
    const { flash, ...facts } = JSON.parse(new TextDecoder().decode(bytes));
    if (flash) return { ...facts, flash: fromBase64(flash) };
  } else if (bytes.length > 0x108 && bytes.length <= 2 ** 21) {
    const [stack, reset] = [0x100, 0x104].map((at) => new DataView(bytes.buffer).getUint32(at, true));
    if (stack >>> 20 === 0x200 && reset >>> 24 === 0x10) return { flash: bytes, names: null, genres: [] };
  }
  throw new Error(`${file.name} is no image for the emulated Pico: give image.json or image.bin of tools.web`);
}
