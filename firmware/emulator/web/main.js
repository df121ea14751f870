// SPDX-License-Identifier: MIT
// The page: it connects sources, boards and panels. `facts` are written by tools/web.py.
import { Curve } from './curve.js';
import { EmulatedBoard } from './emulated.js';
import { Equaliser, gainsOf } from './equaliser.js';
import { Lines, parseLine } from './lines.js';
import { Strip, drawScores, genreColor, showLegend, showLevel, showWork } from './panels.js';
import { Recording, download, filesOf } from './recording.js';
import { SerialBoard } from './serial.js';
import { fromBase64, openFile, openMicrophone, openSong, readImage } from './sources.js';
import { Spectrum } from './spectrum.js';
import { Decoder } from './protocol.js';
import { Take, zipFile } from './takes.js';

const $ = (id) => document.getElementById(id);
const facts = JSON.parse($('facts').textContent), { adc } = facts;
const NO_GENRE = ['unsure', 'silence'], MOST_LINES = 400, MOST_DECISIONS = 3600;
const MEL_RANGE = [4 << 9, 17 << 9]; // logarithms (Q6.9) of the darkest and the brightest colour
const [heat, signs] = [facts.colors.sequential, facts.colors.diverging].map(fromBase64);
const strips = { sound: new Strip($('sound'), heat), mel: new Strip($('mel'), heat),
  mfcc: new Strip($('mfcc'), signs), hidden: new Strip($('hidden'), signs) };
const recording = new Recording((values) => values.forEach(hearCount), say);
const images = Object.fromEntries(Object.entries(facts.images).map(([name, image]) => [
  name, { ...image, flash: fromBase64(image.flash) }]));
const gains = {}; // of the equaliser, by genre
const curve = new Curve($('curve'), (changed) => {
  gains[$('eq-genre').value] = changed;
  equalise();
});
let run = null, stopping = null, decisions = [], genres = [], work = null, heard = null, serialSpectrum = null;
window.picoStats = { emulatedSeconds: 0, audioSeconds: 0, droppedSamples: 0, realTimeFactor: 0 };
window.picoHeard = async () => {
  await stopping;
  return run?.board instanceof EmulatedBoard ? run.board.heard() : heard;
};
window.picoParts = { Decoder, Equaliser, gainsOf };

const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const colorOf = (genre) => genreColor(genre, facts.colors);

function say(text, bad = false) {
  $('status').textContent = text;
  $('status').classList.toggle('bad', bad);
}

// --- starting and stopping

function busy(is) {
  $('start').disabled = $('modes').disabled = is;
}

async function start() {
  if ($('start').disabled) return;
  busy(true);
  await stop();
  clear();
  const mode = chosen('mode'), source = $('source').value;
  say(source === 'mic' ? 'asking for the microphone …' : 'starting …');
  run = { mode, source, lines: new Lines(), overruns: 0 };
  try {
    await (source === 'serial' ? startBoard() : startEmulated(mode, source));
    $('stop').disabled = false;
  } catch (error) {
    await stop();
    say(error.message, true);
  }
  busy(false);
}

// A run's board talks to the page only while it is the run.
function handlers(of) {
  const mine = (use) => (...values) => { if (run === of) use(...values); };
  return { onBytes: mine(receive), onColumn: mine(showColumn), onFrame: mine(showFrame), onStats: mine(showStats),
    onGone: mine(gone) };
}

async function startEmulated(mode, source) {
  const context = run.context = new AudioContext({ latencyHint: 'interactive' });
  context.resume();
  const sound = run.sound = await openSource(context, source);
  run.board = new EmulatedBoard(handlers(run));
  const image = mode === 'record' ? images.recorder : images.recognizer;
  const microphone = await run.board.open(context, image, { scripts: facts.scripts, adc, gain: gainNow() });
  if (image.genres?.length) tell(image.genres);
  sound.node.connect(microphone);
  if (source !== 'mic') playAlong(context, sound.node);
  if (mode === 'record') recording.connect(send);
  sound.begin();
  say({ mic: 'The Pico hears your microphone.', file: 'The Pico hears the file.',
    song: 'The Pico hears the song. It is synthetic: the model learnt real music, and may be unsure.' }[source]);
}

function openSource(context, source) {
  if (source === 'mic') return openMicrophone(context);
  const song = $('song').value;
  if (source === 'song') return openSong(context, song, facts.songs[song]);
  return openFile(context, $('file').files[0] ?? dropped, fileOver);
}

// The windows that the file has begun are still to end.
function fileOver() {
  const ending = run;
  setTimeout(async () => {
    if (run !== ending) return;
    await stop();
    say('The file is over.');
  }, 1500);
}

function playAlong(context, node) {
  run.equaliser = new Equaliser(context);
  node.connect(run.equaliser.input);
  run.equaliser.output.connect(context.destination);
  equalise(false);
}

async function startBoard() {
  if (!SerialBoard.available()) {
    throw new Error('This browser has no Web Serial: use Chrome, Edge or Opera on a computer, by https or localhost.');
  }
  run.board = new SerialBoard(handlers(run));
  run.mode = null; // until its first bytes
  await run.board.open();
  serialSpectrum = new Spectrum(adc.frameStep, adc.top);
  say('Connected. Waiting for the board to say what it is …');
}

function stop() {
  if (run) {
    stopping = finish(run);
    run = null;
  }
  return stopping;
}

async function finish({ board, sound, context, verbose }) {
  $('stop').disabled = true;
  if (verbose) board.send(new TextEncoder().encode('v\n'));
  recording.disconnect('stopped');
  if (board instanceof EmulatedBoard) heard = await board.heard();
  sound?.end();
  await board?.close();
  await context?.close();
  if (!decisions.length) $('hint').textContent = 'not started';
  say('Stopped.');
}

// The board has gone by itself: what was recorded until then is kept.
async function gone(why) {
  recording.disconnect(why);
  await stop();
  say(`The Pico stopped: ${why}.`, true);
}

function clear() {
  decisions = [];
  [work, heard] = [null, null];
  know([]);
  Object.values(strips).forEach((strip) => strip.clear());
  for (const id of ['says', 'confidence', 'latency', 'log']) $(id).textContent = '';
  $('hint').textContent = 'listening …';
  $('dot').style.backgroundColor = '';
  $('decisions').dataset.count = 0;
  $('save').disabled = true;
  showScores();
}

// --- what comes from a board

const send = (command) => run.board.send(new TextEncoder().encode(`${command}\n`));

function receive(bytes, about) {
  if (run.mode === null && !recognise(bytes)) return;
  if (run.mode === 'record') recording.feed(bytes);
  else run.lines.feed(bytes).forEach((line) => readLine(line, about));
}

// Which sketch a real board runs: the recorder's frames end in a zero byte, the recogniser prints lines.
function recognise(bytes) {
  if (bytes.includes(0)) run.mode = 'record';
  else if (bytes.includes(10)) run.mode = 'listen';
  if (run.mode === null) return false;
  setMode(run.mode);
  if (run.mode === 'record') recording.connect(send);
  else askForFrames(run);
  say(`Connected to a board with the ${run.mode === 'record' ? 'recorder' : 'recogniser'}.`);
  return true;
}

// The command v switches the lines of the frames on and off: another page may have left them on.
function askForFrames(asking) {
  send('?');
  setTimeout(() => { if (run === asking && !run.verbose) send('v'); }, 500);
}

function readLine(line, about) {
  const found = parseLine(line);
  if (found.kind === 'frame') {
    run.verbose = true;
    showFrame(found);
    return;
  }
  addToLog(line);
  if (found.kind === 'ready') tell(found.genres);
  if (found.kind === 'decision') showDecision(found, about);
  if (found.kind === 'overrun') run.overruns += found.lost;
}

function addToLog(line) {
  const log = $('log'), atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 30;
  log.append(`${line}\n`);
  while (log.childNodes.length > MOST_LINES) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function hearCount(count) {
  const column = serialSpectrum?.push(count);
  if (column) showColumn(column);
}

// --- panels

function showDecision(decision, about) {
  decisions.push(decision);
  if (decisions.length > MOST_DECISIONS) decisions.shift();
  learnNames(decision);
  const { says, confidence } = decision;
  $('says').textContent = says;
  $('dot').style.backgroundColor = colorOf(says);
  $('confidence').textContent = says === 'silence' ? '' : `${confidence} % confident`;
  $('decisions').dataset.count = Number($('decisions').dataset.count) + 1;
  if (about?.delivered) showLatency(decision, about);
  $('save').disabled = !(run.board instanceof EmulatedBoard);
  showScores();
  equalise();
}

// From the first sample of the window until its word is on the page.
function showLatency({ window: number }, { delivered, time }) {
  const begin = time - (delivered - number * adc.windowStep) / adc.rate;
  window.picoStats.latency = run.context.currentTime - begin;
  $('latency').textContent = `${window.picoStats.latency.toFixed(2)} s after its window began`;
}

// The order of the scores, for images that don't tell: the label of a window is the genre with the largest score.
function learnNames({ label, scores }) {
  if (run.told) return;
  const known = [...genres], best = scores.indexOf(Math.max(...scores));
  scores.forEach((_, i) => { known[i] ??= `genre ${i + 1}`; });
  if (!NO_GENRE.includes(label)) known[best] = label;
  if (known.join() !== genres.join()) know(known);
}

// The image or the board says in which order its scores come.
function tell(names) {
  run.told = true;
  know(names);
}

function know(names) {
  genres = names;
  showLegend($('legend'), [...genres, ...NO_GENRE], colorOf);
  const before = $('eq-genre').value, choices = genres.length ? genres : images.recognizer.genres;
  $('eq-genre').replaceChildren(...choices.map((genre) => new Option(genre)));
  if (choices.includes(before)) $('eq-genre').value = before;
  showCurve();
}

function showScores() {
  drawScores($('scores'), decisions, genres, colorOf);
}

function showColumn({ levels, peak, clipped }) {
  strips.sound.push(levels);
  showLevel($('meter'), $('level-text'), peak, clipped);
}

function showFrame({ mel, mfcc, hidden, cycles }) {
  document.dispatchEvent(new CustomEvent('pico-frame', { detail: { mel, mfcc, hidden } }));
  const [dark, bright] = MEL_RANGE, bytes = (values, level) => Uint8ClampedArray.from(values, level);
  if (mel) strips.mel.push(bytes(mel, (value) => 255 * (value - dark) / (bright - dark)));
  if (mfcc) strips.mfcc.push(bytes(mfcc, (value) => 128 + value));
  if (hidden) strips.hidden.push(bytes(hidden, (value) => 128 + value));
  work = cycles ?? work;
}

function showStats(stats) {
  const droppedSamples = stats.droppedSamples + (run?.overruns ?? 0);
  Object.assign(window.picoStats, stats, { droppedSamples });
  showWork($('work'), work, adc.frameStep / adc.rate * stats.clockHz, window.picoStats);
}

// --- equaliser

const gainsFor = (genre) => (gains[genre] ??= gainsOf(genre));

function showCurve() {
  curve.show(gainsFor($('eq-genre').value));
  $('curve').classList.toggle('off', !$('eq').checked);
}

// Moves the sound to the gains of the genre that was said last; "unsure" and silence change nothing.
function equalise(smooth = true) {
  const genre = decisions.findLast(({ says }) => !NO_GENRE.includes(says))?.says, on = $('eq').checked && genre;
  if (on && run?.equaliser) {
    $('eq-genre').value = genre;
    $('eq-text').textContent = `Set for ${genre}.`;
  }
  run?.equaliser?.set(on ? gainsFor(genre) : [0, 0, 0], smooth);
  showCurve();
}
window.picoGains = () => run?.equaliser?.gains;

// --- controls

const gainNow = () => 10 ** (Number($('gain').value) / 20);

function showGain() {
  $('gain-text').textContent = `${$('gain').value} dB`;
  if (run?.board instanceof EmulatedBoard) run.board.setGain(gainNow());
}

function setMode(mode) {
  document.querySelector(`input[name=mode][value=${mode}]`).checked = true;
  for (const panel of document.querySelectorAll('[data-mode]')) panel.hidden = panel.dataset.mode !== mode;
  showScores();
}

function setSource() {
  for (const label of document.querySelectorAll('[data-source]')) {
    label.hidden = !label.dataset.source.split(' ').includes($('source').value);
  }
}

async function useImage(file) {
  if (!file) return;
  try {
    images.recognizer = await readImage(file);
    $('image-text').textContent = `${file.name} runs from the next start on.`;
  } catch (error) {
    $('image-text').textContent = error.message;
  }
}

let dropped = null;

function drop(event) {
  event.preventDefault();
  document.body.classList.remove('dropping');
  const [file] = event.dataTransfer.files;
  if (!file) return;
  if (/\.(json|bin)$/.test(file.name)) {
    useImage(file);
    return;
  }
  dropped = file;
  $('file').value = '';
  $('source').value = 'file';
  setSource();
  start();
}

async function saveHeard() {
  const counts = await window.picoHeard(), mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const take = new Take($('label').value || 'heard');
  take.add({ kind: 'header', session: 0, take: 0, version: 1, bits: 12, clock_hz: adc.rate, period: 256,
    bias: Math.round(mean), firmware: 'none', board: 'emulated Raspberry Pi Pico' });
  take.add({ kind: 'samples', values: Int16Array.from(counts) });
  take.add({ kind: 'end', complete: true, reason: 'host' });
  download(`${take.stem}.zip`, zipFile(filesOf([take])));
}

function prepare() {
  $('song').replaceChildren(...Object.keys(facts.songs).map((name) => new Option(name)));
  know([]);
  $('controls').onsubmit = (event) => {
    event.preventDefault();
    start();
  };
  $('stop').onclick = stop;
  $('source').onchange = setSource;
  $('gain').oninput = showGain;
  $('eq').onchange = () => equalise();
  $('eq-genre').onchange = showCurve;
  $('file').onchange = () => { dropped = null; };
  $('image').onchange = () => useImage($('image').files[0]);
  $('save').onclick = () => saveHeard().catch((error) => say(error.message, true));
  for (const radio of document.querySelectorAll('input[name=mode]')) {
    radio.onchange = async () => {
      await stop();
      setMode(radio.value);
    };
  }
  document.ondragover = (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  };
  document.ondragleave = () => document.body.classList.remove('dropping');
  document.ondrop = drop;
  addEventListener('resize', showScores);
  showGain();
  setSource();
  setMode('listen');
  showWork($('work'), null, 1, null);
}

prepare();
