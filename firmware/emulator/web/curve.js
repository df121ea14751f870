// SPDX-License-Identifier: MIT
// The equaliser's curve with three points that can be dragged, or moved with the arrow keys.
import { BANDS, Equaliser, MOST_DB } from './equaliser.js';

const WIDTH = 300, HEIGHT = 120, LOW = 40, HIGH = 16000, POINTS = 100, SVG = 'http://www.w3.org/2000/svg';
const HANDLES = [90, 1000, 9000]; // Hz
const x = (hertz) => WIDTH * Math.log(hertz / LOW) / Math.log(HIGH / LOW);
const y = (db) => HEIGHT / 2 - db / MOST_DB * (HEIGHT / 2 - 14);
const frequencies = Array.from({ length: POINTS + 1 }, (_, i) => LOW * (HIGH / LOW) ** (i / POINTS));

function add(parent, tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

export class Curve {
  constructor(svg, changed) {
    this.svg = svg;
    this.changed = changed; // called with gains
    this.model = new Equaliser(new OfflineAudioContext(1, 1, 44100)); // only computes the curve
    this.gains = [0, 0, 0];
    add(svg, 'line', { x1: 0, x2: WIDTH, y1: y(0), y2: y(0) });
    this.path = add(svg, 'path', {});
    this.handles = BANDS.map((band, i) => this.addHandle(band, i));
    this.show(this.gains);
  }

  addHandle({ name }, i) {
    add(this.svg, 'text', { x: x(HANDLES[i]), y: HEIGHT - 3 }).textContent = name;
    const handle = add(this.svg, 'circle', { cx: x(HANDLES[i]), r: 8, tabindex: 0, role: 'slider', 'aria-label': name,
      'aria-valuemin': -MOST_DB, 'aria-valuemax': MOST_DB });
    handle.onpointerdown = (event) => handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = this.svg.getBoundingClientRect(), place = (event.clientY - box.top) / box.height * HEIGHT;
      this.move(i, (HEIGHT / 2 - place) / (HEIGHT / 2 - 14) * MOST_DB);
    };
    handle.onkeydown = (event) => {
      const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.move(i, this.gains[i] + step);
    };
    return handle;
  }

  move(band, db) {
    const gains = this.gains.with(band, Math.max(-MOST_DB, Math.min(MOST_DB, Math.round(2 * db) / 2)));
    this.show(gains);
    this.changed(gains);
  }

  show(gains) {
    this.gains = gains;
    this.model.set(gains, false);
    const levels = this.model.response(frequencies);
    this.path.setAttribute('d', `M${frequencies.map((hertz, i) => `${x(hertz).toFixed(1)},${y(levels[i]).toFixed(1)}`)
      .join('L')}`);
    this.handles.forEach((handle, i) => {
      handle.setAttribute('cy', y(gains[i]));
      handle.setAttribute('aria-valuenow', gains[i]);
      handle.setAttribute('aria-valuetext', `${gains[i]} dB`);
    });
  }
}
