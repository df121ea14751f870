"""One look for every picture of the series: colours, fonts, and small plotting functions.

A function draws on `ax` (a new figure when None), labels both axes with units, and returns the axes.

Notebooks: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09.
"""

import io
import uuid
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from .config import CONFIG, Config

# Okabe and Ito's palette (2008) for any kind of colour vision; its yellow, too pale for lines, is left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GENRE_COLORS = {"disco": "#CC79A7", "jazz": "#0072B2", "metal": "#D55E00",  # GTZAN's others, partly Tol's muted palette
                "blues": "#56B4E9", "classical": "#E69F00", "country": "#009E73", "hiphop": "#000000",
                "pop": "#332288", "reggae": "#999933", "rock": "#882255"}
NO_GENRE_COLORS = {"unsure": "#AAAAAA", "silence": "#E4E4E4"}  # what the Pico says when it names no genre
METHOD_COLORS = {"float": "#666666", "book": "#D55E00", "ours": "#0072B2"}
SEQUENTIAL = "magma"  # levels
DIVERGING = "RdBu_r"  # differences, with zero in the middle


def use_style() -> None:
    """Set matplotlib's defaults for the series: readable fonts, colour-blind safe cycle, light grid."""
    plt.rcParams.update({
        "figure.figsize": (8, 3), "figure.dpi": 80, "figure.constrained_layout.use": True,
        "font.size": 11, "axes.titlesize": 12, "axes.labelsize": 11, "legend.fontsize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.prop_cycle": plt.cycler(color=PALETTE),
        "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.6, "axes.axisbelow": True,
        "legend.frameon": False, "image.cmap": SEQUENTIAL, "lines.linewidth": 1.5,
    })


def slider(label: str, value, low, high, step=None):
    """A slider for `ipywidgets.interact` that updates when it is released; integers unless `value` is a float."""
    import ipywidgets
    kind, default = (ipywidgets.FloatSlider, 0.1) if isinstance(value, float) else (ipywidgets.IntSlider, 1)
    return kind(value, min=low, max=high, step=step or default, description=label, continuous_update=False,
                style={"description_width": "8em"}, layout={"width": "32em"})


def genre_color(genre: str) -> str:
    """Colour of a genre: fixed for GTZAN's ten, "unsure" and "silence" (greys), else chosen by the name."""
    others = [color for name, color in GENRE_COLORS.items() if name not in CONFIG.genres]
    return (GENRE_COLORS | NO_GENRE_COLORS).get(genre, others[sum(genre.encode()) % len(others)])


# the stages of the chain, as the notebooks 01 to 09 take them
CHAIN = ("microphone\nand ADC", "songs\nto clips", "MFCC\nin float", "MFCC\nin q15", "LSTM\ntraining",
         "weights\nin int8", "test on\nnew artists", "C on\nthe Pico", "equaliser")


def chain(number: int | None = None):
    """The chain from sound to genre as a strip of boxes, with that of notebook `number` lit; None lights all."""
    ax = axes(width=9, height=0.9)
    for place, text in enumerate(CHAIN, 1):
        lit = number in (None, place)
        ax.text(place, 0, text, ha="center", va="center", fontsize=9, color="white" if lit else "#888888",
                bbox={"boxstyle": "round,pad=0.45", "fc": PALETTE[0] if lit else "#EEEEEE", "ec": "none"})
        ax.text(place, 0.75, f"{place:02d}", ha="center", fontsize=7, color="#888888")
        if place > 1:
            ax.annotate("", (place - 0.4, 0), (place - 0.6, 0), arrowprops={"arrowstyle": "->", "color": "#888888"})
    ax.set(xlim=(0.5, len(CHAIN) + 0.5), ylim=(-0.8, 1.1))
    ax.axis("off")
    return ax


def axes(ax=None, width: float | None = None, height: float | None = None):
    """The axes given, or those of a new figure of `width` x `height` inches (None: of the default size)."""
    usual = plt.rcParams["figure.figsize"]
    return plt.subplots(figsize=(width or usual[0], height or usual[1]))[1] if ax is None else ax


def waveform(samples, config: Config = CONFIG, ax=None, **line):
    """Samples over time, int16 ones as fractions of full scale."""
    ax, samples = axes(ax), np.asarray(samples)
    scaled = samples / 32768 if samples.dtype == np.int16 else samples
    ax.plot(np.arange(len(scaled)) / config.sample_rate, scaled, **{"lw": 0.6, **line})
    ax.set(xlabel="time (s)", ylabel="amplitude (full scale = 1)")
    return ax


def decibels(values, reference: float = 1.0, floor: float = -120.0) -> np.ndarray:
    """20 log10(|values| / reference), no lower than `floor` dB."""
    magnitudes = np.abs(np.asarray(values, dtype=np.float64)) / reference
    return 20 * np.log10(np.maximum(magnitudes, 10 ** (floor / 20)))


def spectrum(magnitude, config: Config = CONFIG, ax=None, reference: float = 1.0, **line):
    """Magnitudes of an FFT's bins (0 Hz to half the sample rate) in dB over frequency."""
    ax = axes(ax)
    hertz = np.linspace(0, config.sample_rate / 2, len(magnitude))
    ax.plot(hertz, decibels(magnitude, reference), **{"lw": 0.9, **line})
    ax.set(xlabel="frequency (Hz)", ylabel="magnitude (dB)")
    return ax


def spectrogram(magnitudes, config: Config = CONFIG, ax=None, **image):
    """Magnitudes (frames, bins) as an image in dB, time to the right, frequency upwards."""
    ax = axes(ax)
    seconds = len(magnitudes) * config.frame_step / config.sample_rate
    level = decibels(magnitudes, max(np.max(magnitudes), 1e-12))
    shown = ax.imshow(level.T, origin="lower", aspect="auto", extent=(0, seconds, 0, config.sample_rate / 2000),
                      **{"vmin": -80, "vmax": 0, "interpolation": "nearest", **image})
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
    ax.grid(False)
    ax.figure.colorbar(shown, ax=ax, label="dB below peak")
    return ax


def clips(rows: list[tuple], config: Config = CONFIG):
    """Waveform and spectrogram of clips, a row each; `rows` are (title, samples, magnitudes, colour)."""
    pairs = plt.subplots(len(rows), 2, figsize=(10, 2.5 * len(rows)), width_ratios=(1, 1.2), squeeze=False)[1]
    for (left, right), (title, samples, magnitudes, color) in zip(pairs, rows):
        waveform(samples, config, left, color=color).set(title=title, ylim=(-1, 1))
        spectrogram(magnitudes, config, right)
    for ax in pairs[:-1].flat:
        ax.set_xlabel("")
    return pairs


def mel_filter_bank(weights, config: Config = CONFIG, ax=None):
    """The triangles of a Mel filter bank, weights (bins, bands), over frequency."""
    ax = axes(ax)
    hertz = np.linspace(0, config.sample_rate / 2, len(weights))
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, weights.shape[1]))
    for band, color in zip(weights.T, colors):
        ax.plot(hertz, band, color=color, lw=0.9)
    ax.set(xlabel="frequency (Hz)", ylabel="weight")
    return ax


def mel_bands(weights, magnitude, config: Config = CONFIG, color: str = PALETTE[0]):
    """Two axes: above, a filter bank, weights (bins, bands), over a frame's spectrum; below, each band's sum in dB."""
    top, bottom = plt.subplots(2, 1, figsize=(9, 5), height_ratios=(1.2, 1))[1]
    spectrum(magnitude, config, top, color="#999999", lw=0.7)
    bank = mel_filter_bank(weights, config, top.twinx())
    bank.set_ylim(0, 1.15 * max(weights.max(), 1e-9))
    bank.grid(False)
    empty = int(np.sum(~weights.any(axis=0)))
    top.set_title(f"{weights.shape[1]} Mel bands" + (f", {empty} of them catch no FFT bin" if empty else ""))
    bottom.bar(np.arange(weights.shape[1]), decibels(magnitude @ weights, floor=-60) + 60, bottom=-60, color=color)
    bottom.set(xlabel="Mel band", ylabel="Mel sum (dB)", ylim=(-60, 60))
    return top, bottom


# name of a stage: labels of its two axes
STAGE_AXES = {"frame": ("time (ms)", "amplitude (full scale = 1)"),
              "windowed": ("time (ms)", "amplitude (full scale = 1)"),
              "fft": ("frequency (Hz)", "real and imaginary part"), "magnitude": ("frequency (Hz)", "magnitude"),
              "mel": ("Mel band", "Mel sum"), "log_mel": ("Mel band", "natural log of the sum"),
              "mfcc": ("MFCC", "value (natural log units)")}


def stage(name: str, values, config: Config = CONFIG, ax=None, color: str = PALETTE[0]):
    """One stage of one frame: one of `mfcc.STAGES`, or "fft" for the complex spectrum. Labels are from STAGE_AXES."""
    ax, (xlabel, ylabel) = axes(ax, 5), STAGE_AXES[name]
    if xlabel == "time (ms)":
        ax.plot(1000 * np.arange(len(values)) / config.sample_rate, values, lw=0.7, color=color)
    elif xlabel == "frequency (Hz)":
        hertz = np.linspace(0, config.sample_rate / 2, len(values))
        ax.plot(hertz, values.real, lw=0.8, color=color, label="real part")
        if np.iscomplexobj(values):
            ax.plot(hertz, values.imag, lw=0.8, color="#999999", label="imaginary part", zorder=1)
            ax.legend(loc="upper right")
    else:
        ax.bar(np.arange(len(values)), values, color=color)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def mfcc_image(mfccs, ax=None, title: str = "", label: str = "value (natural log units)", **image):
    """MFCCs (frames, coefficients) as an image, one column a frame. `label` is the colour bar's; "" for no bar."""
    ax = axes(ax)
    shown = ax.imshow(np.asarray(mfccs).T, origin="lower", aspect="auto", interpolation="nearest", **image)
    ax.set(xlabel="frame", ylabel="MFCC", title=title)
    ax.locator_params(integer=True)
    ax.grid(False)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label)
    return ax


def mfcc_images(images: dict, bound: float | None = None):
    """Several MFCCs (frames, coefficients) by name, side by side in the same colours, zero white: a list of axes.

    Coefficient 0 is left blank: it is much larger than the others. Colours end at +-`bound` (None: the largest value).
    """
    figure, (row,) = plt.subplots(1, len(images), figsize=(3 * len(images) + 2, 3), sharey=True, squeeze=False)
    bound = max(np.max(np.abs(values[:, 1:])) for values in images.values()) if bound is None else bound
    for ax, (name, values) in zip(row, images.items()):
        shown = np.where(np.arange(values.shape[1]) == 0, 0, values)
        mfcc_image(shown, ax, name, label="", cmap=DIVERGING, vmin=-bound, vmax=bound).label_outer()
    figure.colorbar(row[-1].images[0], ax=row, label="natural log units")
    return list(row)


def word_lengths(stages: dict, ax=None, title: str = ""):
    """Number formats of stages: all bits of a word in grey, those that its largest value uses in colour.

    `stages` maps a name to (integers, their fraction bits, bits of a word without its sign). A bar is orange where a
    value is as large as the word allows: it may have saturated.
    """
    ax = axes(ax, 5.5)
    for name, (values, fraction_bits, word_bits) in stages.items():
        largest = int(np.max(np.abs(np.asarray(values, dtype=np.int64))))
        used, full = min(largest.bit_length(), word_bits), largest >= 2**word_bits - 1
        ax.barh(name, word_bits, left=-fraction_bits, color="#DDDDDD")
        ax.barh(name, used, left=-fraction_bits, color="#D55E00" if full else "#0072B2")
        ax.text(word_bits - fraction_bits + 0.4, name, f"{used} of {word_bits}", va="center", fontsize=9)
    ax.set(xlabel="bit (power of two that it stands for)", xlim=(-31, 27), ylim=(len(stages) - 0.5, -0.5), title=title)
    ax.grid(False, axis="y")
    return ax


def bar_with_interval(names, values, low, high, ax=None, ylabel: str = "accuracy (%)", colors=None):
    """Bars with their values on top. Each has an interval from `low` to `high`."""
    ax = axes(ax, 6)
    values = np.asarray(values, dtype=float)
    spread = np.clip([values - low, np.asarray(high) - values], 0, None)
    ax.bar(names, values, yerr=spread, capsize=4, color=colors or PALETTE[0], width=0.6, ecolor="#444444")
    for x, (value, top) in enumerate(zip(values, high)):
        ax.text(x, top, f"{value:.0f}", ha="center", va="bottom")
    ax.set(ylabel=ylabel, ymargin=0.12)  # room for the numbers
    ax.grid(False, axis="x")
    return ax


def bars(names, values, ax=None, xlabel: str = "bytes", colors=None, number: str = "{:,.0f}"):
    """Horizontal bars, the first on top, each with its number."""
    ax = axes(ax, 7, 0.6 + 0.35 * len(names))
    drawn = ax.barh(list(names), values, color=colors or PALETTE[0])
    ax.bar_label(drawn, labels=[number.format(value) for value in values], padding=3)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel, xmargin=0.15)
    ax.locator_params(axis="x", nbins=6)
    ax.grid(False, axis="y")
    return ax


def decisions(rows: list[dict], config: Config = CONFIG, pair=None):
    """Decisions of `listen.listen` over time: what was said, in genre colours, above the scores of each window."""
    top, below = pair if pair is not None else plt.subplots(2, sharex=True, figsize=(8, 3), height_ratios=(2, 3))[1]
    step = config.window_step / config.sample_rate
    for y, key in enumerate(("says", "label")):
        for i, row in enumerate(rows):
            top.barh(y, step, 0.8, i * step, color=genre_color(row[key]), edgecolor="white")
            top.text((i + 0.5) * step, y, row[key], ha="center", va="center", fontsize=8,
                     color="black" if row[key] in NO_GENRE_COLORS else "white")
    top.set(yticks=(0, 1), yticklabels=("it says", "this window"), xlim=(0, len(rows) * step))
    top.grid(False)
    scores = (np.array([row["scores"] for row in rows]) + 128) / 256
    for genre, score in zip(config.genres, scores.T):
        below.stairs(score, np.arange(len(rows) + 1) * step, baseline=None, color=genre_color(genre), lw=2, label=genre)
    below.set(xlabel="time (s)", ylabel="score", ylim=(-0.05, 1.05))
    below.legend(loc="upper left", bbox_to_anchor=(1, 1.05), fontsize=9)
    return top, below


def play_over(ax, samples, config: Config = CONFIG) -> None:
    """Show the figure of `ax` (x: seconds), and below it an audio player; a line over the picture shows its position.

    A click into the picture plays from there. Outside of a browser only the picture is shown.
    """
    from IPython.display import HTML, Audio, Image, display
    figure, png, name = ax.figure, io.BytesIO(), f"player{uuid.uuid4().hex}"
    figure.savefig(png, format="png")  # not by the inline backend: it crops, and the line would be misplaced
    places = [float(ax.transData.transform((second, 0))[0] / figure.bbox.width) for second in (0, 1)]
    plt.close(figure)
    display(Image(png.getvalue()))
    player = Audio(samples, rate=config.sample_rate, element_id=name)._repr_html_()
    script = Path(__file__).with_name("player.js").read_text()
    display(HTML(f"{player}<script>({script})('{name}', {places[0]}, {places[1] - places[0]})</script>"))


def stage_cycles(ours: dict[str, int], book: dict[str, int], ax=None):
    """Cycles of each stage for a frame: this project's beside the book's (`tools.bench`)."""
    names = [name for name in {**ours, **book} if name not in ("features", "total")]
    ax = axes(ax, 7.5, 0.8 + 0.4 * len(names))
    place = np.arange(len(names))
    for offset, (label, cycles) in zip((-0.2, 0.2), (("this project", ours), ("the book's way", book))):
        drawn = ax.barh(place + offset, [cycles.get(name, 0) / 1000 for name in names], 0.4, label=label)
        ax.bar_label(drawn, [f"{cycles[name]:,}" if name in cycles else "" for name in names], padding=3, fontsize=8)
    ax.set(yticks=place, yticklabels=names, xlabel="thousand cycles of a frame (Cortex-M0+, no waits for flash)")
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.grid(False, axis="y")
    ax.legend(loc="lower right")
    return ax


def frame_timeline(stages: dict[str, int], config: Config = CONFIG, clock_hz: float = 125e6):
    """One frame on the Pico over time: its stages in order, and the sleep until the next frame."""
    figure, (whole, zoom) = plt.subplots(2, 1, figsize=(8, 4.8), height_ratios=(1, 3.2))
    period, spent = 1000 * config.frame_step / config.sample_rate, 1000 * np.array(list(stages.values())) / clock_hz
    ends = np.cumsum(spent)
    for y, start, width, color, text in ((1, 0, period, PALETTE[5], "ADC and DMA collect the next frame's samples"),
                                         (0, 0, ends[-1], PALETTE[1], ""),
                                         (0, ends[-1], max(0, period - ends[-1]), "#E4E4E4", "asleep")):
        whole.barh(y, width, 0.8, start, color=color)
        whole.text(start + width / 2, y, text, ha="center", va="center", fontsize=9)
    whole.set(yticks=(0, 1), yticklabels=("processor", "microphone"), xlabel="time (ms)",
              xlim=(0, max(period, ends[-1])))
    drawn = zoom.barh(list(stages), spent, 0.75, ends - spent, color=PALETTE[1])
    zoom.bar_label(drawn, [f"{ms:.2f} ms" for ms in spent], padding=4, fontsize=9)
    zoom.set(xlabel=f"time (ms) at {clock_hz / 1e6:.0f} MHz", xlim=(0, 1.12 * ends[-1]))
    zoom.invert_yaxis()
    return whole, zoom


MEMORY_COLORS = {"code": PALETTE[5], "model": PALETTE[1], "front end": PALETTE[2], "CMSIS-DSP": PALETTE[0],
                 "self-test": PALETTE[3], "initial values": PALETTE[4], "working memory": "#888888", "stack": "black"}


def memory_map(parts: list[dict], region: str, size: int, ax=None):
    """A memory to scale by address: the blocks of `costs.memory_parts` in `region`, from 0 to `size` bytes."""
    ax = axes(ax, 8, 2.2)
    ax.barh(0, size / 1000, color="#F4F4F4")
    for name, color in MEMORY_COLORS.items():
        mine = [part for part in parts if part["region"] == region and part["part"] == name]
        if mine:
            ax.barh([0] * len(mine), [part["bytes"] / 1000 for part in mine], color=color,
                    left=[part["offset"] / 1000 for part in mine],
                    label=f"{name}: {sum(part['bytes'] for part in mine):,} bytes")
    ax.set(xlabel=f"{region}, address (kB from its start)", yticks=(), xlim=(0, size / 1000))
    ax.grid(False)
    ax.figure.legend(ncols=3, loc="outside lower center")
    return ax


def quantised_row(real, approximated, scale: float, ax=None):
    """Numbers (bars) and their quantised values (marks), with a grey line for each step."""
    ax = axes(ax, 8, 3.2)
    place = np.arange(len(real))
    low, high = min(np.min(real), np.min(approximated), 0), max(np.max(real), np.max(approximated), 0)
    if (high - low) / scale < 40:  # else the lines would be a grey area
        for level in np.arange(np.floor(low / scale), np.ceil(high / scale) + 1):
            ax.axhline(level * scale, color="#BBBBBB", lw=0.6, zorder=0)
    ax.bar(place, real, color="#BBD7EA", label="float")
    ax.hlines(approximated, place - 0.4, place + 0.4, color=PALETTE[1], lw=2, label="quantised")
    ax.set(xlabel="number", ylabel="value")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(False)
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return ax


def before_and_after(real, q, scale: float, zero_point: int = 0):
    """Histograms of a tensor in float, in integers, and of the rounding errors in steps."""
    figure, (before, after, error) = plt.subplots(1, 3, figsize=(11, 3))
    real, q = np.ravel(real), np.ravel(q).astype(int)
    before.hist(real, 80, color="#888888")
    before.set(xlabel="value (float)", ylabel="how many")
    limits = np.iinfo(np.int8 if np.abs(q).max() <= 128 else np.int16)
    after.hist(q, np.linspace(limits.min - 0.5, limits.max + 0.5, 129), color=PALETTE[0])
    after.axvline(zero_point, color=PALETTE[1], ls="--", label=f"zero point {zero_point}")
    after.set(xlabel=f"value ({limits.bits} bits)", ylabel="how many", xlim=(limits.min, limits.max))
    after.legend()
    error.hist(q - zero_point - real / scale, 80, color=PALETTE[2])
    error.set(xlabel="error (steps)", ylabel="how many")
    return before, after, error


def confusion_matrices(matrices: dict, labels):
    """Counts by [true][predicted] as images side by side, by title. A cell has its count and share of the true class."""
    side = max(3.7, 0.75 * len(labels))
    figure, places = plt.subplots(1, len(matrices), figsize=(side * len(matrices), side - 0.1), squeeze=False)
    for ax, (title, counts) in zip(places[0], matrices.items()):
        matrix = np.asarray(counts)
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(matrix.shape):
            ax.text(column, row, f"{matrix[row, column]}\n{share[row, column]:.0%}", ha="center", va="center",
                    fontsize=10, color="white" if share[row, column] > 0.6 else "black")
        ax.set(title=title, xlabel="predicted genre", ylabel="true genre")
        ax.set_xticks(range(len(labels)), labels)
        ax.set_yticks(range(len(labels)), labels)
        ax.grid(False)
    return places[0]
