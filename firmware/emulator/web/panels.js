// SPDX-License-Identifier: MIT
// The pictures of the page. Each draws what it is given, and nothing else.

const WINDOWS = 60; // decisions in the picture of the last minute
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Colours of genres as mgr_helpers/plots.py chooses them: fixed ones, else by the letters of the name.
export function genreColor(genre, { fixed, others }) {
  const sum = new TextEncoder().encode(genre).reduce((total, byte) => total + byte, 0);
  return fixed[genre] ?? others[sum % others.length];
}

// Pictures that run to the left: one column for each frame, its first value below.
export class Strip {
  constructor(canvas, colors) { // colors: 256 times red, green, blue
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.colors = colors;
    this.waiting = [];
  }

  // Adds a column of bytes (0 to 255).
  push(levels) {
    if (!this.waiting.length) requestAnimationFrame(() => this.draw());
    this.waiting.push(levels);
    if (this.waiting.length > this.canvas.width) this.waiting.shift(); // a page in the background draws nothing
  }

  draw() {
    const columns = this.waiting.splice(0), { canvas, context } = this, rows = columns[0].length;
    if (canvas.height !== rows) canvas.height = rows;
    const image = context.createImageData(columns.length, rows);
    columns.forEach((levels, x) => levels.forEach((level, row) => {
      const at = 4 * ((rows - 1 - row) * columns.length + x);
      for (let i = 0; i < 3; i++) image.data[at + i] = this.colors[3 * level + i];
      image.data[at + 3] = 255;
    }));
    context.globalCompositeOperation = 'copy';
    context.drawImage(canvas, -columns.length, 0);
    context.globalCompositeOperation = 'source-over';
    context.putImageData(image, canvas.width - columns.length, 0);
  }

  clear() {
    this.waiting.length = 0;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}

// Scores of the last windows as dots and lines, and what the Pico said as a band above.
export function drawScores(canvas, decisions, genres, colorOf) {
  const ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight, top = 24;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const context = canvas.getContext('2d'), shown = decisions.slice(-WINDOWS);
  context.scale(ratio, ratio);
  const slot = (width - 34) / WINDOWS, x = (i) => width - (shown.length - i - 0.5) * slot;
  const y = (score) => height - 8 - (score + 128) / 255 * (height - top - 16);
  context.font = '10px system-ui, sans-serif';
  context.textBaseline = 'middle';
  for (const [score, text] of [[-128, '0'], [0, '½'], [127, '1']]) {
    context.fillStyle = css('--line');
    context.fillRect(22, y(score), width, 1);
    context.fillStyle = css('--soft');
    context.fillText(text, 6, y(score));
  }
  shown.forEach(({ says }, i) => {
    context.fillStyle = colorOf(says);
    context.fillRect(x(i) - slot / 2, 4, slot - 1, 10);
  });
  genres.forEach((genre, k) => {
    context.strokeStyle = context.fillStyle = colorOf(genre);
    context.beginPath();
    shown.forEach(({ scores }, i) => context.lineTo(x(i), y(scores[k])));
    context.stroke();
    shown.forEach(({ scores }, i) => context.fillRect(x(i) - 2, y(scores[k]) - 2, 4, 4));
  });
}

export function showLegend(element, names, colorOf) {
  element.replaceChildren(...names.map((name) => {
    const entry = document.createElement('span'), dot = document.createElement('i');
    dot.style.background = colorOf(name);
    entry.append(dot, name);
    return entry;
  }));
}

const STAGES = { mel: 'spectrum and Mel bands', mfcc: 'MFCCs', lstm: 'LSTM', rest: 'all else' };

// Rows of the panel Work: cycles of each stage, of all that a frame's time has, and shares of time.
export function showWork(list, cycles, budget, stats) {
  const rows = Object.entries(STAGES).filter(([key]) => cycles?.[key] !== undefined).map(([key, name]) => [
    name, `${Math.round(cycles[key]).toLocaleString('en')} cycles`, cycles[key] / budget]);
  if (stats) {
    rows.push(['awake', `${(100 * stats.awakeShare).toFixed(1)} %`, stats.awakeShare]);
    rows.push(['emulated', `${stats.emulatedSeconds.toFixed(1)} s`]);
    rows.push(['speed here', `${stats.realTimeFactor.toFixed(1)} × real time`]);
    rows.push(['samples lost', String(stats.droppedSamples)]);
  }
  list.replaceChildren(...rows.map(([name, text, share]) => {
    const [row, term, value, bar] = ['div', 'dt', 'dd', 'i'].map((tag) => document.createElement(tag));
    term.textContent = name;
    value.textContent = text;
    bar.style.width = `${Math.min(100, 100 * share)}%`;
    row.append(term, value, ...(share === undefined ? [] : [bar]));
    return row;
  }));
}

export function showLevel(meter, text, peak, clipped) {
  const db = 20 * Math.log10(Math.max(peak, 1e-3));
  meter.firstElementChild.style.transform = `scaleX(${Math.max(0, Math.min(1, 1 + db / 60))})`;
  meter.classList.toggle('clipped', clipped > 0);
  meter.setAttribute('aria-valuenow', Math.round(db));
  text.textContent = `${db.toFixed(0)} dB${clipped ? `, ${clipped} samples clipped: lower the gain` : ''}`;
}
