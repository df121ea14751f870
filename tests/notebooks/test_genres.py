"""Any genres: the series on sounds of other names, and how much memory it takes on a data set as large as GTZAN.

The long runs need real music, which is not in the repository: MGR_MUSIC names folders of it in GTZAN's layout.

    MGR_LONG=1 MGR_MUSIC=<folder>:<folder> python -m pytest tests/notebooks/test_genres.py
"""

import json
import os
import re
import threading
from itertools import cycle, islice
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import soundfile

from mgr_helpers.audio import gtzan
from mgr_helpers.audio.reading import read_audio
from mgr_helpers.config import CONFIG
from mgr_helpers.model.tflite import load_model
from notebooks import run

MUSIC = [Path(folder) for folder in os.environ.get("MGR_MUSIC", "").split(os.pathsep) if folder]
needs_music = pytest.mark.skipif(not (os.environ.get("MGR_LONG") and MUSIC),
                                 reason="takes long, and needs music: MGR_LONG=1 MGR_MUSIC=<folders>")
GIGABYTE = 1e9
SHORT = {"EPOCHS": 2, "N_WINDOWS": 600}  # the network need not be good here


class Peak(threading.Thread):
    """The most memory that the processes which this one started had together, in bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self.ended = 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.3):
            self.bytes = max(self.bytes, sum(map(memory_of, psutil.Process().children(recursive=True))))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def memory_of(process):
    """Bytes of a process; pages that several share are counted once where the system tells (Linux)."""
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it ended just now
        return 0
    return getattr(memory, "pss", memory.rss)


def shortened(path, folder):
    """A copy of a notebook with a shorter training."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for name, value in SHORT.items():
                cell.source = re.sub(rf"^{name} = \d+", f"{name} = {value}", cell.source, flags=re.MULTILINE)
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


def run_series(monkeypatch, folder, data, genres, numbers, capsys):
    """Run notebooks on a data set; returns their outputs as text by number, and the peak of memory in bytes."""
    (folder / "short").mkdir()
    for name, value in {"MGR_DATASET": data, "MGR_GENRES": ", ".join(genres), "MGR_WORK": folder / "work",
                        "MPLBACKEND": "module://matplotlib_inline.backend_inline"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(run, "check_no_paths", lambda notebook: None)  # 08 prints where the folder of MGR_WORK is
    texts, most = {}, 0
    for path in run.find_notebooks(numbers):
        with Peak() as peak:
            seconds = run.run_notebook(shortened(path, folder / "short"), folder / path.name, keep_players=False)
        with capsys.disabled():
            print(f"\n{path.stem:32} {seconds:5.0f} s, {peak.bytes / GIGABYTE:5.2f} GB at most", end="", flush=True)
        most = max(most, peak.bytes)
        texts[path.name[:2]] = json.dumps([cell.get("outputs") for cell in nbformat.read(folder / path.name, 4).cells])
    return texts, most


def check_genres(folder, genres):
    """The model, the headers of the sketch and what the Pico said have these genres and no others."""
    work = folder / "work"
    assert load_model(work / "model_int8.tflite").config.genres == tuple(genres)
    names = re.search(r"LABELS\[.*?\{(.*?)\}", (work / "generated" / "labels.h").read_text(), re.DOTALL)[1]
    assert re.findall(r'"([^"]+)"', names)[: len(genres)] == list(genres)
    heard = json.loads((work / "pico.json").read_text())["clips"]
    assert {song["genre"] for song in heard} == set(genres)
    assert {song["said"] for song in heard} <= {*genres, "unsure", "silence"}


def test_no_notebook_names_a_genre_in_its_code():
    """From 03 on; 02 has the field with the default, and the mini set of 00 has no others."""
    for path in run.find_notebooks([f"{number:02d}" for number in range(3, 9)]):
        code = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
        assert not re.search("|".join(CONFIG.genres), code), path.name


# --- three that the project has never heard of ---------------------------------------------------------------------

def bells(rng, t):
    """Struck bars: partials that are no multiples of one another."""
    strikes = (t * rng.uniform(1.5, 3)) % 1
    return sum(np.sin(2 * np.pi * rng.uniform(300, 900) * k * t) * np.exp(-4 * strikes) / k for k in (1, 2.76, 5.4))


def drone(rng, t):
    """A low saw-tooth that swells."""
    return ((t * rng.uniform(50, 110)) % 1 - 0.5) * (1 + np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * t))


def shaker(rng, t):
    """Bursts of noise."""
    return rng.standard_normal(len(t)) * np.exp(-8 * ((t * rng.uniform(3, 6)) % 1))


SOUNDS = {"bells": bells, "low drone": drone, "shaker": shaker}  # a name of two words, too


@pytest.fixture
def sounds(tmp_path):
    """Twelve songs of five seconds for each kind."""
    t = np.arange(5 * CONFIG.sample_rate) / CONFIG.sample_rate
    for genre, make in SOUNDS.items():
        (tmp_path / "sounds" / genre).mkdir(parents=True)
        for number in range(12):
            rng = np.random.default_rng([number, *genre.encode()])
            song = make(rng, t) + 0.01 * rng.standard_normal(len(t))
            samples = np.round(20000 * song / np.abs(song).max()).astype(np.int16)
            soundfile.write(tmp_path / "sounds" / genre / f"{number}.wav", samples, CONFIG.sample_rate)
    return tmp_path / "sounds"


@pytest.mark.slow
def test_series_on_three_new_kinds_of_sound(sounds, tmp_path, monkeypatch, capsys):
    """Their names go by clips, network and headers to the emulated Pico."""
    texts, _ = run_series(monkeypatch, tmp_path, sounds, SOUNDS, ["02", "05", "06", "08"], capsys)
    check_genres(tmp_path, SOUNDS)
    assert f"genres={','.join(SOUNDS)}" in texts["08"]
    assert not re.search("|".join(CONFIG.genres), "".join(texts.values()))


# --- real music ------------------------------------------------------------------------------------------------------

def songs_of(genre):
    """Files of a genre in the folders of MGR_MUSIC."""
    files = sorted(path for folder in MUSIC for path in folder.glob(f"{genre}/*.*"))
    return files or pytest.skip(f"MGR_MUSIC has no {genre}")


@needs_music
@pytest.mark.slow
def test_whole_series_on_three_other_genres(tmp_path, monkeypatch, capsys):
    """02 to 08 on genres that the model which ships was not made for."""
    genres = ("blues", "country", "rock")
    for genre in genres:
        (tmp_path / "music" / genre).mkdir(parents=True)
        for file in songs_of(genre):
            (tmp_path / "music" / genre / file.name).symlink_to(file.resolve())
    numbers = [f"{number:02d}" for number in range(2, 9)]
    texts, most = run_series(monkeypatch, tmp_path, tmp_path / "music", genres, numbers, capsys)
    check_genres(tmp_path, genres)
    assert "genres=blues,country,rock" in texts["08"] and most < 8 * GIGABYTE


@needs_music
@pytest.mark.slow
def test_ten_genres_in_the_size_of_gtzan_within_8_gb(tmp_path, monkeypatch, capsys):
    """A hundred songs of 30 seconds for each of GTZAN's ten genres: MGR_MUSIC's, repeated to fill it."""
    length = 30 * CONFIG.sample_rate
    for genre in gtzan.GENRES:
        (tmp_path / "music" / genre).mkdir(parents=True)
        for number, file in enumerate(islice(cycle(songs_of(genre)), 100)):
            song = np.roll(np.resize(read_audio(file, CONFIG), length), 1000 * number)
            soundfile.write(tmp_path / "music" / genre / f"{genre}.{number:05d}.wav", song, CONFIG.sample_rate)
    texts, most = run_series(monkeypatch, tmp_path, tmp_path / "music", gtzan.GENRES,
                             ["02", "03", "04", "05", "06", "07", "08"], capsys)
    check_genres(tmp_path, gtzan.GENRES)
    with capsys.disabled():
        print(f"\nten genres, 1000 songs of 30 s: {most / GIGABYTE:.2f} GB at most")
    assert most < 8 * GIGABYTE
