// SPDX-License-Identifier: MIT
// The panel Record: labelled takes from the recorder's firmware, on a real board or an emulated one.
import { Decoder, rateOf } from './protocol.js';
import { TakeSorter, checkLabel, decibels, sidecarText, zipFile } from './takes.js';

const $ = (id) => document.getElementById(id);

export function download(name, bytes) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// The files of takes, in folders by label.
export function filesOf(takes) {
  return Object.fromEntries(takes.flatMap((take) => {
    const { wav, sidecar } = take.files(), path = `${take.label}/${take.stem}`;
    return [[`${path}.wav`, wav], [`${path}.json`, sidecarText(sidecar)]];
  }));
}

export class Recording {
  constructor(onSamples, say) {
    Object.assign(this, { onSamples, say, takes: [], saved: true, send: null });
    $('take').onclick = () => this.press();
    $('download').onclick = () => {
      download('takes.zip', zipFile(filesOf(this.takes)));
      this.saved = true;
    };
    addEventListener('beforeunload', (event) => { if (!this.saved) event.preventDefault(); });
  }

  // A board is there: `send` takes a command for it.
  connect(send) {
    Object.assign(this, { send, decoder: new Decoder(), header: null });
    this.sorter = new TakeSorter(() => this.label, (take) => this.keep(take));
    this.label = $('label').value;
    this.send('H');
  }

  press() {
    if (this.sorter.take) {
      this.send('S');
      return;
    }
    try {
      this.label = checkLabel($('label').value.trim());
    } catch (error) {
      this.say(error.message, true);
      return;
    }
    this.say('');
    this.send(`L${Math.round(Math.max(0, Number($('seconds').value)) * rateOf(this.header))}`);
    this.send('R');
  }

  feed(bytes) {
    this.use(this.decoder.feed(bytes));
  }

  // The board is gone: an open take is kept, and marked as incomplete.
  disconnect(why) {
    if (!this.send) return;
    this.use(this.decoder.finish(why));
    this.send = null;
    $('take').disabled = true;
  }

  use(events) {
    for (const event of events) {
      if (event.kind === 'header') this.header = event;
      if (event.kind === 'samples') this.onSamples(event.values);
      this.sorter.add(event);
    }
    this.show();
  }

  show() {
    const { take } = this.sorter, planned = this.header?.planned, missing = take?.gaps.length ?? 0;
    $('take').disabled = !this.header;
    $('take').textContent = take ? 'Stop' : 'Record a take';
    const length = planned ? ` of ${(planned / rateOf(this.header)).toFixed(1)}` : '';
    $('take-state').textContent = take
      ? `recording ${take.label}: ${take.seconds.toFixed(1)}${length} s${missing ? `, ${missing} gaps` : ''}`
      : this.header ? `ready; level ${decibels(this.header.peak, this.header.bits).toFixed(0)} dB, bias ${this.header.bias}` : '';
  }

  keep(take) {
    this.takes.push(take);
    this.saved = false;
    $('takes').prepend(this.row(take));
    $('download').disabled = false;
  }

  row(take) {
    const { wav, sidecar } = take.files(), item = document.createElement('li'), text = document.createElement('span');
    const player = document.createElement('audio'), discard = document.createElement('button');
    const gaps = sidecar.gaps.map(({ at, missing, cause }) => `${missing} samples at ${at} (${cause})`).join('; ');
    text.textContent = `${sidecar.label}, ${sidecar.seconds.toFixed(1)} s, peak ${decibels(sidecar.peak, sidecar.adc_bits).toFixed(0)} dB`
      + (sidecar.clipped ? `, ${sidecar.clipped} samples clipped` : '')
      + (sidecar.complete ? '' : `. Incomplete: ${gaps ? `missing ${gaps}; ` : ''}end: ${sidecar.end}`);
    text.classList.toggle('bad', !sidecar.complete);
    player.controls = true;
    player.src = URL.createObjectURL(new Blob([wav], { type: 'audio/wav' }));
    discard.type = 'button';
    discard.textContent = 'Discard';
    discard.onclick = () => {
      this.takes = this.takes.filter((other) => other !== take);
      this.saved ||= !this.takes.length;
      $('download').disabled = !this.takes.length;
      URL.revokeObjectURL(player.src);
      item.remove();
    };
    item.append(text, player, discard);
    return item;
  }
}
