"""Draw the picture at the top of the README: ``python -m tools.picture --data FOLDER``.

The emulated Pico hears a song of each genre, one after another. The picture shows what it heard and said.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from mgr_helpers import plots
from mgr_helpers.audio import dataset
from mgr_helpers.audio.adc import adc_to_q15
from mgr_helpers.config import CONFIG, ROOT, Config
from mgr_helpers.features import mfcc_q15
from mgr_helpers.features.windows import features_of, stream_windows
from mgr_helpers.host.command_line import as_path, main
from mgr_helpers.model.tflite import Model, load_model
from mgr_helpers.pico import listen

WINDOWS = 10  # of each song
FILE = ROOT / "docs" / "chain.png"


def choose_songs(songs: list, config: Config) -> list:
    """The first song of each genre that is long enough."""
    needed = WINDOWS * config.window_step
    return [next(song for song in songs if song.genre == genre and len(song.samples) >= needed)
            for genre in config.genres]


def hear(songs: list, model: Model) -> dict:
    """What the emulated Pico makes of the songs: counts, log_mel and features (a column a frame), decisions."""
    config = model.config
    played = np.concatenate([song.samples[: WINDOWS * config.window_step] for song in songs])
    heard = listen.listen(played, config=config)
    counts = heard["adc"][: len(played)]
    samples = adc_to_q15(counts, config)
    raw = features_of(stream_windows(samples, config), config=config)
    return {"counts": counts, "decisions": heard["decisions"],
            "log_mel": mfcc_q15.q15_stages(samples, config)["log_mel"].T,
            "features": np.concatenate(mfcc_q15.quantize_features(raw, model.front_end)).T}


def draw(songs: list, heard: dict, config: Config):
    """The figure: counts, Mel bands, features, scores, what is said; all over the same seconds."""
    figure, axes = plt.subplots(5, 1, figsize=(11, 8.6), sharex=True, height_ratios=[1.3, 2, 2, 1.5, 0.7])
    seconds = len(heard["counts"]) / config.sample_rate
    step = config.frame_step / config.sample_rate
    titles = ("microphone: 12-bit counts of the ADC", f"{config.n_mels} log Mel bands of the q15 front end",
              "int8 features of the LSTM", "scores of each window; grey: of no genre",
              "what the Pico says: the vote of the last windows")
    axes[0].plot(np.arange(len(heard["counts"])) / config.sample_rate, heard["counts"], color="#444444", linewidth=0.2)
    for axis, name, colours in ((axes[1], "log_mel", {"cmap": plots.SEQUENTIAL}),
                                (axes[2], "features", {"cmap": plots.DIVERGING, "vmin": -64, "vmax": 64})):
        height, width = heard[name].shape
        axis.imshow(heard[name], aspect="auto", origin="lower", extent=(0, width * step, 0, height), **colours)
    _decisions(axes[3], axes[4], heard["decisions"], config)
    for axis, title in zip(axes, titles):
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(False)
    for index, song in enumerate(songs):
        start = index * WINDOWS * config.window_step / config.sample_rate
        axes[0].text(start + 0.1, heard["counts"].max() + 20, song.genre, color=plots.genre_color(song.genre),
                     fontweight="bold")
        for axis in axes[:4]:
            axis.axvline(start, color="#222222", linewidth=0.8)
    axes[0].set_ylim(heard["counts"].min() - 50, heard["counts"].max() + 200)
    axes[4].set_xlim(0, seconds)
    axes[4].set_xlabel("seconds")
    figure.tight_layout()
    return figure


def _decisions(scores_axis, says_axis, decisions: list[dict], config: Config) -> None:
    step = config.window_step / config.sample_rate
    for row in decisions:
        start, bottom = row["window"] * step, 0.0
        for genre, score in zip(config.genres, row["scores"]):
            scores_axis.bar(start, (score + 128) / 256, step, bottom, align="edge", color=plots.genre_color(genre))
            bottom += (score + 128) / 256
        scores_axis.bar(start, 1 - bottom, step, bottom, align="edge", color=plots.NO_GENRE_COLORS["unsure"])
        says_axis.barh(0, step, 1, start, align="edge", edgecolor="white",
                       color=plots.NO_GENRE_COLORS.get(row["says"]) or plots.genre_color(row["says"]))
    says = [row["says"] for row in decisions]
    for first in range(len(says) - 1):  # a word where two windows or more have room for it
        if says[first] != says[first + 1] or first and says[first - 1] == says[first]:
            continue
        says_axis.text((first + 0.15) * step, 0.5, says[first], verticalalignment="center", fontsize=9,
                       color="white" if says[first] in config.genres else "#222222")
    scores_axis.set_ylim(0, 1)
    says_axis.set_yticks([])


def add_arguments(parser) -> None:
    """Arguments of ``python -m tools.picture``."""
    parser.add_argument("--data", type=as_path, required=True, help="folder with one sub-folder per genre, or mini")


def run(args) -> int:
    """Draw docs/chain.png."""
    model = load_model()
    plots.use_style()
    songs = choose_songs(dataset.load_songs(args.data, config=model.config).songs, model.config)
    draw(songs, hear(songs, model), model.config).savefig(FILE, dpi=110)
    print(f"{FILE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main("Draw the picture of the README.", add_arguments, run))
