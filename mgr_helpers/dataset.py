"""From a folder of songs to one-second int16 clips, split without leakage.

A data set is a folder with one sub-folder per genre. Every file becomes mono int16 samples at the pipeline's rate; a
file that can't be used is named with its reason, never dropped in silence.

Explained in notebooks/02_prepare_dataset.ipynb.
"""

from __future__ import annotations

import array
import csv
import dataclasses
import functools
import hashlib
import inspect
import json
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import joblib
import numpy as np
import soundfile
import soxr
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from tqdm.auto import tqdm

from . import gtzan, mini_set
from .config import CONFIG, DATA, Config, work_dir
from .files import shown, write_whole

SUFFIXES = (".wav", ".flac", ".au", ".mp3", ".ogg")
PARTS = ("train", "validation", "test")
FEATURE_BATCH = 128  # windows: 5.5 MB of audio
SPLIT_LISTS = DATA / "gtzan_splits"
SPLIT_NAMES = {"": "", "train": "train", "valid": "validation", "validation": "validation", "test": "test"}
SHORTFALL = 0.1  # seconds that may be missing at the end of a file: MP3 pads, some writers claim an odd byte too many
STREAMED = 2**31 - 2**16  # bytes or more that a WAV or AU claims when its writer didn't know its length
CLAIM = re.compile(r"^\s*(?:RIFF|data|Riff size|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
LOUDEST = 100.0  # times full scale: beyond it, numbers aren't sound in -1 to 1
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
GTZAN_NAME = re.compile(r"([a-z]+)\.(\d{5})")  # disco.00001


@dataclass
class Song:
    """One recording, ready for the pipeline.

    `path` is its name within the data set ("jazz/a.wav"), `song` its id, `group` the artist (or the song itself where
    the artist is unknown), `samples` int16 mono at the configuration's rate, `split` its published part, or "".
    """

    path: str
    genre: str
    song: str
    group: str
    samples: np.ndarray = field(repr=False)
    split: str = ""


@dataclass
class SongSet:
    """What `load_songs` found: the songs, the files it skipped ({"file", "reason"}), the sub-folders it left alone."""

    songs: list[Song]
    skipped: list[dict]
    other_folders: list[str]
    source: str


class UnusableFile(ValueError):
    """A file that can't become a song; the text is the reason."""


# Reading -------------------------------------------------------------------------------------------------------------
def read_audio(path: Path, config: Config = CONFIG) -> np.ndarray:
    """A sound file as mono int16 samples at the configuration's rate, read and resampled block by block.

    Parameters
    ----------
    path : Path
        WAV, FLAC, AU, MP3 or OGG, of any rate from 4 to 384 kHz, any number of channels (averaged), any length.

    Returns
    -------
    int16 array, shape (n_samples,)
        Full scale is 32768; samples beyond it are clipped. Memory stays near the size of this array (43 KB a second).

    Raises
    ------
    UnusableFile
        When the file is corrupt, cut short, empty, shorter than a clip, silent, or holds NaN, infinity or numbers
        far beyond full scale. What a format can't tell stays unnoticed: a changed sample of a WAV, say.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise UnusableFile("is a folder, not a sound file" if path.is_dir() else "missing, or not a regular file")
        if path.stat().st_size == 0:
            raise UnusableFile("empty file")
        with soundfile.SoundFile(path) as file:
            samples = _read_blocks(file, config.sample_rate)
            ogg = file.format == "OGG"
        if ogg:
            _check_pages(path)
    except PermissionError:
        raise UnusableFile("no permission to read it") from None
    except UnicodeEncodeError:
        raise UnusableFile("its name is not valid Unicode: rename it") from None
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise UnusableFile(f"corrupt or not audio: {str(error).split(': ')[-1]}") from error
    return _checked(samples, config)


def _read_blocks(file: soundfile.SoundFile, rate: int) -> np.ndarray:
    if not 4000 <= file.samplerate <= 384000:
        raise UnusableFile(f"sample rate {file.samplerate} Hz is outside 4 to 384 kHz")
    resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    samples = array.array("h")  # grows in place: a file's claimed length isn't trusted
    block, decoded = np.zeros(1), 0
    while len(block):
        block = file.read(2 ** 18 // file.channels, dtype="float32", always_2d=True)
        decoded += len(block)
        _check_numbers(block)
        mono = block.mean(axis=1, dtype=np.float32)
        if file.samplerate != rate:
            mono = resampler.resample_chunk(mono, last=not len(block))
        samples.frombytes(np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16).tobytes())
    _check_length(file, decoded)
    return np.frombuffer(samples, np.int16) if samples else np.zeros(0, np.int16)


def _check_numbers(block: np.ndarray) -> None:
    peak = np.abs(block).max(initial=0)
    if not np.isfinite(peak):
        raise UnusableFile("holds NaN or infinity")
    if peak > LOUDEST:
        raise UnusableFile(f"its samples reach {peak:.3g} times full scale: floating-point audio lies in -1 to 1")


def _check_length(file: soundfile.SoundFile, decoded: int) -> None:
    """Raise where fewer frames were decoded than the header, or the size of its data, promises."""
    promised = file.frames
    for claimed, there in CLAIM.findall(file.extra_info):  # libsndfile has corrected `frames` of WAV and AU already
        if int(claimed) < STREAMED:
            promised = max(promised, round(decoded * int(claimed) / max(1, int(there))))
    if promised - decoded > SHORTFALL * file.samplerate:
        raise UnusableFile(f"cut short or damaged: {decoded / file.samplerate:.2f} of "
                           f"{promised / file.samplerate:.2f} s can be read")


def _check_pages(path: Path) -> None:
    """Raise where a page of an Ogg file is damaged or cut (RFC 3533): decoders leave its sound out in silence."""
    with open(path, "rb") as file:
        while head := file.read(27):
            start, table = file.tell() - len(head), file.read(head[26]) if len(head) == 27 else b""
            body = file.read(sum(table))
            page = head[:22] + bytes(4) + head[26:] + table + body
            whole = head[:4] == b"OggS" and len(head) == 27 and len(table) == head[26] and len(body) == sum(table)
            if not whole or _ogg_crc(page) != int.from_bytes(head[22:26], "little"):
                raise UnusableFile(f"damaged: the Ogg page at byte {start} is broken or cut short")
            if head[5] & 4 and file.read(4) != b"OggS":  # the end of the stream: what follows isn't Ogg
                return
            file.seek(start + len(page))


def _ogg_crc(page: bytes) -> int:
    """Ogg's CRC-32: zlib's with its bits the other way round, without its ones at start and end."""
    crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def _checked(samples: np.ndarray, config: Config) -> np.ndarray:
    if not len(samples):
        raise UnusableFile("holds no samples")
    if len(samples) < config.clip_length:
        seconds, needed = len(samples) / config.sample_rate, config.clip_length / config.sample_rate
        raise UnusableFile(f"{seconds:.2f} s long, a clip needs {needed:.2f} s")
    if _peak(samples) < config.silence_peak:
        raise UnusableFile(f"silent: its peak is below {config.silence_peak} of 32768")
    return samples


def _peak(samples: np.ndarray) -> int:
    """Half the distance from the lowest to the highest sample: a constant offset isn't sound."""
    return (int(samples.max()) - int(samples.min())) // 2


# Songs ---------------------------------------------------------------------------------------------------------------
def load_songs(source: str | Path = "mini", config: Config = CONFIG, recordings: str | Path | None = None,
               n_jobs: int = -1) -> SongSet:
    """All songs of a data set.

    Parameters
    ----------
    source : str or Path
        "mini" (synthetic, built in), "gtzan" (downloaded on first use), or a folder with one sub-folder per genre.
        Such a folder may hold a manifest.csv with the columns file and artist (or group), and fault_filtered_split.
    recordings : str or Path, optional
        A second folder of the same form, whose songs are added: your own recordings.
    n_jobs : int
        Files read at the same time; -1 is one per core.

    Returns
    -------
    SongSet
        Songs, skipped files with reasons, and sub-folders that are no genre of the configuration. A take of the
        recorder is cut where its sidecar (.json) names a gap: each piece is a song of its own ("jazz/a#1", "jazz/a#2"),
        in one group.

    Raises
    ------
    FileNotFoundError
        When a folder is missing, or the sub-folder of a genre.
    ValueError
        When a genre is left without a usable song, or a manifest.csv is damaged.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    folders = [(_source_folder(source, config), "")]
    if recordings:
        folders.append((Path(recordings), "recordings/"))
    found = [entry for root, prefix in folders for entry in _list_files(root, prefix, config, bool(prefix))]
    others = [prefix + name for root, prefix in folders for name in _other_folders(root, config)]
    read = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        joblib.delayed(_try_read)(path, config) for path, _ in found)
    songs, skipped = [], []
    for (_, song), result in zip(found, tqdm(read, total=len(found), desc="reading songs", unit="file")):
        if isinstance(result, str):
            skipped.append({"file": song.path, "reason": result})
        else:
            _add_pieces(song, result, songs, skipped, config)
    _check_genres(songs, skipped, config)
    return SongSet(songs, skipped, others, " + ".join(_short_name(part) for part in (source, recordings) if part))


def _short_name(source: str | Path) -> str:
    return str(source) if source in ("mini", "gtzan") else Path(source).resolve().name


def _source_folder(source: str | Path, config: Config) -> Path:
    if source == "mini":
        return mini_set.folder()
    return gtzan.fetch(config) if source == "gtzan" else Path(source)


def _list_files(root: Path, prefix: str, config: Config, may_lack_genres: bool = False) -> list[tuple[Path, Song]]:
    """Every file of the genres' folders with the song it would be; hidden files and sidecars (.json) are left out."""
    if not root.is_dir():
        raise FileNotFoundError(f"no data set folder {shown(root)}: it should hold one sub-folder per genre "
                                f"({', '.join(config.genres)}); or use \"mini\" or \"gtzan\"")
    manifest, listed = _read_manifest(root), []
    for genre in config.genres:
        if not (root / genre).is_dir():
            if may_lack_genres:
                continue
            raise FileNotFoundError(f"{shown(root)} has no sub-folder {genre!r}, but {_other_folders(root, config)}: "
                                    "add it, rename one, or change Config.genres")
        names = {f"{genre}/{path.name}" for path in _entries(root / genre)
                 if not path.name.startswith(".") and path.suffix != ".json"}
        names |= {name for name in manifest if name.startswith(f"{genre}/")}  # one that is gone is named, too
        listed += [(root / name, _describe(root / name, genre, prefix, manifest)) for name in sorted(names)]
    return listed


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except PermissionError:
        raise PermissionError(f"no permission to read the folder {shown(folder)}: give yourself the right to") from None


def _describe(path: Path, genre: str, prefix: str, manifest: dict) -> Song:
    name = f"{genre}/{path.name}"
    row = {**_gtzan_facts().get(path.stem, {}), **manifest.get(name, {})}
    name = _printable(name)
    song = prefix + name.removesuffix(path.suffix)
    group = row.get("group") or row.get("artist") or song
    split = SPLIT_NAMES[row.get("fault_filtered_split") or ""]
    return Song(prefix + name, genre, song, group, np.zeros(0, np.int16), split)


def _read_manifest(root: Path) -> dict[str, dict]:
    """Rows of manifest.csv by file name ("jazz/a.wav"); {} without a manifest."""
    path = root / "manifest.csv"
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{shown(path)} is damaged or not UTF-8 ({error}): save it as CSV in UTF-8") from error
    if rows and ("file" not in rows[0] or not {"artist", "group"} & set(rows[0])):
        raise ValueError(f"{shown(path)} needs the columns file and artist (or group), it has {list(rows[0])}")
    named: dict[str, dict] = {}
    for number, row in enumerate(rows, 2):
        row["file"] = (row["file"] or "").replace("\\", "/")  # written on Windows
        problem = _problem(row, named)
        if problem:
            raise ValueError(f"{shown(path)}, row {number}: {problem}")
        named[row["file"]] = row
    return named


def _problem(row: dict, named: dict[str, dict]) -> str | None:
    """What is wrong with a manifest's row: it must name its own file in a genre's folder, and a known part."""
    parts = row["file"].split("/")
    if len(parts) < 2 or not all(parts) or {"..", "."} & set(parts) or "\0" in row["file"]:
        return f"file is {row['file']!r}, need <genre>/<file name>"
    if None in row or None in row.values():
        return "it has more or fewer values than there are columns"
    if named.get(row["file"], row) != row:
        return f"{row['file']} was named before, with other values"
    if (row.get("fault_filtered_split") or "") not in SPLIT_NAMES:
        return f"fault_filtered_split is {row['fault_filtered_split']!r}, need train, valid, test or nothing"
    return None


@functools.cache
def _gtzan_facts() -> dict[str, dict]:
    """Artist and fault-filtered part of GTZAN's songs by name ("jazz.00001"); see data/gtzan_splits/README.md."""
    with open(SPLIT_LISTS / "artists.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["file"].removesuffix(".wav"): {"artist": row["artist"], "fault_filtered_split": row["filtered_split"]}
            for row in rows}


def _other_folders(root: Path, config: Config) -> list[str]:
    return sorted(path.name for path in root.iterdir()
                  if path.is_dir() and path.name not in config.genres and not path.name.startswith("."))


def _try_read(path: Path, config: Config) -> list[np.ndarray] | str:
    """The file's samples, in pieces where there are gaps; or the reason why it can't be used."""
    if path.suffix.lower() not in SUFFIXES:
        return f"not one of {', '.join(SUFFIXES)}"
    try:
        samples = read_audio(path, config)
        return np.split(samples, [cut for cut in _gaps(path, config) if 0 < cut < len(samples)])
    except UnusableFile as error:
        return str(error)


def _gaps(path: Path, config: Config) -> list[int]:
    """Samples at which the recorder lost some, as the sidecar of a take (`record.TakeWriter`) lists them."""
    sidecar = path.with_suffix(".json")
    try:
        values = json.loads(sidecar.read_bytes()) if sidecar.is_file() else {}
        if not isinstance(values, dict) or "gaps" not in values:  # not the recorder's
            return []
        scale = config.sample_rate / values["sample_rate"]
        return sorted({round(gap["at"] * scale) for gap in values["gaps"]})
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, OSError) as error:
        raise UnusableFile(f"its sidecar {_printable(sidecar.name)} can't be read ({type(error).__name__}), so nobody "
                           "knows where the take has gaps: mend or delete it") from error


def _add_pieces(song: Song, pieces: list[np.ndarray], songs: list[Song], skipped: list[dict], config: Config) -> None:
    """Add a song, or one song for each piece between gaps; a piece that is too short or silent is named."""
    for number, samples in enumerate(pieces, 1):
        part = f"#{number}" if len(pieces) > 1 else ""
        try:
            songs.append(dataclasses.replace(song, song=song.song + part, samples=_checked(samples, config)))
        except UnusableFile as error:
            skipped.append({"file": song.path + part, "reason": f"between gaps: {error}"})


def _printable(name: str) -> str:
    """The name with what isn't Unicode escaped, so that any name can be printed."""
    return name.encode(errors="backslashreplace").decode()


def _check_genres(songs: list[Song], skipped: list[dict], config: Config) -> None:
    for genre in config.genres:
        if not any(song.genre == genre for song in songs):
            named = [f"{row['file']}: {row['reason']}" for row in skipped if f"{genre}/" in row["file"]]
            raise ValueError(f"no usable song of {genre}; skipped: {'; '.join(named[:5]) or 'its folder is empty'}. "
                             f"Add sound files ({', '.join(SUFFIXES)}) of at least one clip's length")


# Clips ---------------------------------------------------------------------------------------------------------------
def clips(songs: SongSet | list[Song], config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Cut songs into one-second clips that don't overlap; a silent second is left out, as the Pico says *silence*.

    Returns
    -------
    dict of arrays
        audio int16 (n_clips, clip_length); genre int64 (n_clips,), index into config.genres; song, group, split str
        (n_clips,): song id, artist and published part ("" where there is none).

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    rows = [(part, config.genres.index(song.genre), song.song, song.group, song.split)
            for song in (songs.songs if isinstance(songs, SongSet) else songs)
            for part in _cut(song.samples, config.clip_length) if _peak(part) >= config.silence_peak]
    audio, genre, song, group, split = zip(*rows)
    return {"audio": np.stack(audio), "genre": np.array(genre, np.int64), "song": np.array(song),
            "group": np.array(group), "split": np.array(split)}


def songs_of(clips: dict, config: Config = CONFIG) -> list[Song]:
    """The songs again, each one's clips end to end: for windows cut at any place, or a vote over a whole song.

    Parameters
    ----------
    clips : dict
        What `clips` or `load_clips` gives, whole or a part of it (`{k: v[chosen] for k, v in ...}`).

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    _, first, index = np.unique(clips["song"], return_index=True, return_inverse=True)
    return [Song("", config.genres[clips["genre"][row]], str(clips["song"][row]), str(clips["group"][row]),
                 clips["audio"][index == number].reshape(-1), str(clips["split"][row]))
            for number, row in enumerate(first)]


def _cut(samples: np.ndarray, length: int) -> np.ndarray:
    return samples[:len(samples) // length * length].reshape(-1, length)


# Splits --------------------------------------------------------------------------------------------------------------
def split_by_group(clips: dict, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Train, validation and test (about 60, 20 and 20 %) that share no group, each with every genre.

    scikit-learn's StratifiedGroupKFold deals the groups into folds; of several deals and choices of the test and the
    validation fold, the one whose parts are nearest to the wanted share of every genre is taken. (The choice sees only
    genres and groups, never audio.)

    Returns
    -------
    str array, shape (n_clips,)
        "train", "validation" or "test".

    Raises
    ------
    ValueError
        When a genre has fewer than three groups; the message names it.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    _check_groups(clips, 3, config)
    for n_folds in (5, 4, 3):
        best = min(_deals(clips, n_folds, seed, config), key=lambda deal: deal[0], default=(np.inf, None))
        if np.isfinite(best[0]):
            return best[1]
    raise ValueError("found no split that gives every part every genre without sharing an artist: add artists")


def _deals(clips: dict, n_folds: int, seed: int, config: Config):
    """Pairs (imbalance, part of each clip) of twenty deals, for every choice of test and validation fold."""
    for trial in range(20):
        fold = _deal(clips, n_folds, 1000 * seed + trial)
        for test in range(n_folds):
            for validation in set(range(n_folds)) - {test}:
                part = np.where(fold == test, 2, np.where(fold == validation, 1, 0))
                share = np.array([1 - 2 / n_folds, 1 / n_folds, 1 / n_folds])
                yield _imbalance(clips["genre"], part, share, config), np.array(PARTS)[part]


def _deal(clips: dict, n_folds: int, seed: int) -> np.ndarray:
    fold = np.zeros(len(clips["genre"]), int)
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(folds.split(clips["genre"], clips["genre"], clips["group"])):
        fold[test] = number
    return fold


def _imbalance(genre: np.ndarray, part: np.ndarray, share: np.ndarray, config: Config) -> float:
    """Largest ratio, as a logarithm, of a genre's share in a part to the wanted one; infinite where one is absent."""
    counts = np.zeros((len(config.genres), len(share)))
    np.add.at(counts, (genre, part), 1)
    with np.errstate(divide="ignore"):
        return float(np.abs(np.log(counts / counts.sum(1, keepdims=True) / share)).max())


def _check_groups(clips: dict, needed: int, config: Config) -> None:
    for index, genre in enumerate(config.genres):
        groups = np.unique(clips["group"][clips["genre"] == index])
        if len(groups) < needed:
            raise ValueError(f"{genre} has {len(groups)} artists or songs ({', '.join(groups)}), a split that shares "
                             f"none needs {needed}: add songs of other artists")


def folds_by_group(clips: dict, n_folds: int = 5, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Number of the fold of each clip, for cross-validation: no group in two folds, every genre in each.

    Returns
    -------
    int array, shape (n_clips,)
        0 to n_folds - 1. Test on `folds == k`; validate, if need be, on `folds == (k + 1) % n_folds`.

    Raises
    ------
    ValueError
        When a genre has fewer groups than folds; the message names it.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    _check_groups(clips, n_folds, config)
    deals = [_deal(clips, n_folds, 1000 * seed + trial) for trial in range(20)]
    share = np.full(n_folds, 1 / n_folds)
    best = min(deals, key=lambda fold: _imbalance(clips["genre"], fold, share, config))
    if not np.isfinite(_imbalance(clips["genre"], best, share, config)):
        raise ValueError(f"found no {n_folds} folds with every genre in each: use fewer folds, or add artists")
    return best


def leaky_split(clips: dict, seed: int = 0) -> np.ndarray:
    """The split NOT to use: clips dealt at random, so that seconds of one song are in training and in test.

    Returns a str array (n_clips,) as `split_by_group` does. Explained in notebooks/02_prepare_dataset.ipynb.
    """
    part = np.full(len(clips["genre"]), "train", dtype="<U10")
    rest, test = train_test_split(np.arange(len(part)), test_size=0.2, stratify=clips["genre"], random_state=seed)
    validation = train_test_split(rest, test_size=0.25, stratify=clips["genre"][rest], random_state=seed)[1]
    part[test], part[validation] = "test", "validation"
    return part


def choose_split(clips: dict, seed: int = 0, config: Config = CONFIG) -> tuple[np.ndarray, str]:
    """The fault-filtered split where all songs are GTZAN's and every part has every genre, else a split by group.

    Returns
    -------
    (str array (n_clips,), str)
        "train", "validation" or "test"; with the fault-filtered split also "" for the songs that it leaves out
        (repetitions, distortions). The second value says in words which split it is.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    counts = np.zeros((len(config.genres), len(PARTS)))
    for number, part in enumerate(PARTS):
        counts[:, number] = np.bincount(clips["genre"][clips["split"] == part], minlength=len(config.genres))
    names_are_gtzan = all(GTZAN_NAME.fullmatch(song.split("/")[-1]) for song in clips["song"])
    if names_are_gtzan and counts.all():
        return clips["split"], "GTZAN's published fault-filtered split (Kereliuk, Sturm and Larsen 2015)"
    return split_by_group(clips, seed, config), "by artist where known, else by song"


# What the next notebooks read ----------------------------------------------------------------------------------------
def save_clips(clips: dict, split: np.ndarray, source: str, config: Config = CONFIG) -> Path:
    """Write clips and their split to `data/work/clips.npz`, for notebooks 03 to 07; clips with split "" are left out.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    keep = split != ""
    arrays = {name: values[keep] for name, values in {**clips, "split": split}.items()}
    settings = np.array(_audio_settings(config))
    return write_whole(work_dir() / "clips.npz", lambda file: np.savez(
        file, **arrays, genres=np.array(config.genres), source=np.array(source), settings=settings))


def load_clips(config: Config = CONFIG) -> dict[str, np.ndarray]:
    """The clips that notebook 02 wrote; where there are none, those of the synthetic mini set (it prints that it does).

    Returns
    -------
    dict
        audio int16 (n, clip_length), genre int64 (n,), song, group, split str (n,) as in `clips`, where split is
        "train", "validation" or "test"; genres (list of str) and source ("mini", "gtzan" or the folder's name).

    Raises
    ------
    ValueError
        When the file is damaged or was made with another configuration.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    path = work_dir() / "clips.npz"
    if not path.is_file():
        print("No clips from notebook 02 yet: using the synthetic mini set (it says nothing about real music).")
        cut = clips(load_songs("mini", config), config)
        cut["split"] = choose_split(cut, config=config)[0]
        return {**cut, "genres": list(config.genres), "source": "mini"}
    try:
        with np.load(path) as file:
            loaded = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{shown(path)} is damaged ({error}): run notebook 02 again") from error
    if loaded.pop("settings", None) != _audio_settings(config):
        raise ValueError(f"{shown(path)} was made with other genres, rate or clip length: run notebook 02 again")
    return {**loaded, "genres": [str(name) for name in loaded["genres"]], "source": str(loaded["source"])}


def _audio_settings(config: Config) -> str:
    return f"{','.join(config.genres)} {config.sample_rate} {config.clip_length}"


def cached_features(audio: np.ndarray, compute: Callable[[np.ndarray], np.ndarray], config: Config = CONFIG,
                    name: str = "features") -> np.ndarray:
    """`compute(audio)`, computed once: kept in the work folder's cache by content of the audio, configuration and code.

    Parameters
    ----------
    audio : array
        What `compute` takes, for example int16 (n_clips, clip_length).
    compute : callable
        From `audio` to an array. The cache notices when its source changes, or any of the helper package; parameters
        that it closes over belong in `name`.
    name : str
        Tells apart what is computed, for example "mfcc_q15".

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    audio = np.ascontiguousarray(audio)
    digest = hashlib.sha256(f"{name} {audio.shape} {audio.dtype} {config.fingerprint()}".encode())
    digest.update(_code_of(compute))
    digest.update(audio)
    path = work_dir() / "cache" / f"{name}-{digest.hexdigest()[:24]}.npy"
    if not path.is_file():
        write_whole(path, lambda file: np.save(file, compute(audio), allow_pickle=False))
    return np.load(path)


def _code_of(function: Callable) -> bytes:
    """What the result may depend on: the function's source, and that of the helper package, which it may call."""
    while isinstance(function, functools.partial):
        function = function.func
    package = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return b"".join([inspect.getsource(function).encode(), *package])


# Features of many windows ---------------------------------------------------------------------------------------------
def features_of(windows: np.ndarray, n_jobs: int = -1, config: Config = CONFIG) -> np.ndarray:
    """`mfcc_q15.mfcc_windows` of many windows, the same bits about ten times as fast: batches in parallel, by the C.

    joblib deals the batches out; another of its backends is chosen around the call, for example with a Dask client
    ``with joblib.parallel_config(backend="dask"):``.

    Parameters
    ----------
    windows : int16 array or view (n, at least window_length)
        Only a few batches of it are copied at a time, so it may be a memory map, or a sliding view of long audio.
    n_jobs : int
        Batches at the same time; -1 is one per core.

    Returns
    -------
    int32 Q9.22, shape (n, n_frames, n_mfcc)

    Explained in notebooks/05_train_lstm.ipynb.
    """
    cut = windows[:, : config.window_length]
    by_c = _same_bits(config)  # its threads run side by side, cmsisdsp's would wait for each other
    starts = range(0, len(cut), FEATURE_BATCH)
    work = joblib.Parallel(n_jobs, prefer="threads" if by_c else "processes", return_as="generator", max_nbytes=None)(
        joblib.delayed(_batch_features)(np.ascontiguousarray(cut[start : start + FEATURE_BATCH]), by_c, config)
        for start in starts)
    features = np.empty((len(cut), config.n_frames, config.n_mfcc), np.int32)
    work = tqdm(work, total=len(starts), desc="features", unit="batch", delay=2, leave=False)
    for part, start in zip(work, starts):
        features[start : start + FEATURE_BATCH] = part
    return features


@functools.cache
def _same_bits(config: Config) -> bool:
    """Whether the firmware's C compiles here, and gives cmsisdsp's features of noise in this configuration."""
    from . import mfcc_q15
    noise = np.random.default_rng(0).integers(-9000, 9000, (1, config.window_length)).astype(np.int16)
    try:
        return np.array_equal(_batch_features(noise, True, config), mfcc_q15.mfcc_windows(noise, config))
    except (RuntimeError, ValueError):  # no compiler; the firmware is built for windows of another shape
        return False


def _batch_features(windows: np.ndarray, by_c: bool, config: Config) -> np.ndarray:
    from . import mfcc_q15
    return mfcc_q15.remove_level(_library().raw(windows)) if by_c else mfcc_q15.mfcc_windows(windows, config)


@functools.cache
def _library():
    from . import pico
    return pico.host_library()
