"""One look for every picture of the series: colours, fonts, and small plotting functions.

Every function draws on `ax` (a new figure when None), labels both axes with units, and returns the axes, so that a
notebook can go on from there. Explained in notebooks/03_mfcc_tensorflow_vs_librosa.ipynb.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from .config import CONFIG, Config

# Okabe and Ito's palette (2008), told apart with any kind of colour vision; its yellow is too pale for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GENRE_COLORS = {"disco": "#CC79A7", "jazz": "#0072B2", "metal": "#D55E00"}
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
    """A slider for `ipywidgets.interact` that draws when it is let go: of floats when `value` is one, else of integers."""
    import ipywidgets
    kind, step = (ipywidgets.FloatSlider, step or 0.1) if isinstance(value, float) else (ipywidgets.IntSlider, step or 1)
    return kind(value, min=low, max=high, step=step, description=label, continuous_update=False,
                style={"description_width": "8em"}, layout={"width": "32em"})


def genre_color(genre: str) -> str:
    """Colour of a genre: fixed for disco, jazz and metal, else one of the palette's others, stable by name."""
    others = [color for color in PALETTE if color not in GENRE_COLORS.values()]
    return GENRE_COLORS.get(genre, others[sum(genre.encode()) % len(others)])


def axes(ax=None, width: float = 8, height: float = 3):
    """The axes given, or those of a new figure of `width` x `height` inches."""
    return plt.subplots(figsize=(width, height))[1] if ax is None else ax


def waveform(samples, config: Config = CONFIG, ax=None, **line):
    """Samples over time. int16 samples are drawn as fractions of full scale."""
    ax = axes(ax)
    samples = np.asarray(samples)
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
    """A filter bank, weights (bins, bands), over a frame's spectrum, and under it the bands' sums in dB: two axes."""
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


def mfcc_image(mfccs, ax=None, title: str = "", label: str = "value (natural log units)", **image):
    """MFCCs (frames, coefficients) as an image, one column a frame; a colour bar when `label` isn't empty."""
    ax = axes(ax)
    shown = ax.imshow(np.asarray(mfccs).T, origin="lower", aspect="auto", interpolation="nearest", **image)
    ax.set(xlabel="frame", ylabel="MFCC", title=title)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.grid(False)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label)
    return ax


def confusion_matrix(matrix, labels, ax=None, title: str = ""):
    """Counts (true, predicted) as an image with numbers: count, and per cent of the true class."""
    ax = axes(ax, 4, 3.5)
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        ax.text(column, row, f"{matrix[row, column]}\n{share[row, column]:.0%}", ha="center", va="center", fontsize=10,
                color="white" if share[row, column] > 0.6 else "black")
    ticks = np.arange(len(labels))
    ax.set(xticks=ticks, yticks=ticks, xticklabels=labels, yticklabels=labels, title=title,
           xlabel="predicted genre", ylabel="true genre")
    ax.grid(False)
    return ax


def training_curves(history: dict, metric: str = "loss", ax=None):
    """A Keras history's `metric` and `val_<metric>` over epochs (counted from 1)."""
    ax = axes(ax, 5)
    for name, label, style in ((metric, "training", "-"), (f"val_{metric}", "validation", "--")):
        if name in history:
            ax.plot(np.arange(1, len(history[name]) + 1), history[name], style, label=label)
    ax.set(xlabel="epoch", ylabel="loss (nats)" if metric == "loss" else f"{metric} (0 to 1)")
    ax.legend()
    return ax


def bar_with_interval(names, values, low, high, ax=None, ylabel: str = "accuracy (%)", colors=None):
    """Bars with an interval each (`low` and `high` are its ends, in the unit of `values`) and the value on top."""
    ax = axes(ax, 6)
    values = np.asarray(values, dtype=float)
    spread = np.clip([values - low, np.asarray(high) - values], 0, None)
    ax.bar(names, values, yerr=spread, capsize=4, color=colors or PALETTE[0], width=0.6, ecolor="#444444")
    for x, (value, top) in enumerate(zip(values, high)):
        ax.text(x, top, f"{value:.0f}", ha="center", va="bottom")
    ax.set(ylabel=ylabel)
    ax.grid(False, axis="x")
    return ax


def bars(names, values, ax=None, xlabel: str = "bytes", colors=None, number: str = "{:,.0f}"):
    """Horizontal bars, the first on top, each with its number."""
    ax = axes(ax, 7, 0.6 + 0.35 * len(names))
    drawn = ax.barh(list(names), values, color=colors or PALETTE[0])
    ax.bar_label(drawn, labels=[number.format(value) for value in values], padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.set(xlabel=xlabel)
    ax.grid(False, axis="y")
    return ax


def decisions(rows: list[dict], config: Config = CONFIG, ax=None):
    """The Pico's scores over time, one step a window: `decisions` of `pico.listen`."""
    ax = axes(ax, height=2)
    scores = (np.array([row["scores"] for row in rows]) + 128) / 256
    edges = np.arange(len(rows) + 1) * config.window_step / config.sample_rate
    for genre, score in zip(config.genres, scores.T):
        ax.stairs(score, edges, baseline=None, color=genre_color(genre), lw=2, label=genre)
    ax.set(xlabel="time (s)", ylabel="score", ylim=(-0.05, 1.05))
    ax.legend(ncols=len(config.genres), loc="lower center", bbox_to_anchor=(0.5, 1))
    return ax


def stage_cycles(ours: dict[str, int], book: dict[str, int], ax=None):
    """Cycles of a frame by stage, the project's beside the book's: two bars where both have it (`bench`)."""
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
