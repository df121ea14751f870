"""From a folder of songs to one-second int16 clips, split without leakage.

A data set is a folder with one sub-folder per genre. Every file becomes mono int16 samples at the pipeline's rate. A
file that can't be used is named with its reason, never dropped in silence.

Notebooks: 02, 03, 04, 05, 06, 07, 08, 09.
"""

import csv
import dataclasses
import functools
import json
import os
import re
import sys
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import joblib
import numpy as np
from tqdm.auto import tqdm

from ..config import CONFIG, DATA, Config, work_dir
from ..host.files import shown, write_whole
from ..host.processes import in_parallel
from . import gtzan, mini_set, reading, splits
from .decoding import SUFFIXES

OTHER_BLOCK = 5  # neighbouring numbers in names of other music that form a group: they often share an artist
SHORT = 5.0  # seconds: a shorter song is repeated where it is heard as a stream
SPLIT_LISTS = DATA / "gtzan_splits"
SPLIT_NAMES = {"": "", "train": "train", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass
class Song:
    """One recording, ready for the pipeline.

    `path` is its name within the data set ("jazz/a.wav") and `song` its id. `group` is the artist, or the song itself
    where the artist is unknown. `samples` are mono int16 at the configured rate. `split` is its part in a published
    split, or "".
    """

    path: str
    genre: str
    song: str
    group: str
    samples: np.ndarray = field(repr=False)
    split: str = ""


@dataclass
class SongSet:
    """What `load_songs` found: songs, skipped files ({"file", "reason"}), and sub-folders that are not read.

    `others` are songs and sounds of no genre. Their `genre` is the kind: the name of their sub-folder.
    """

    songs: list[Song]
    skipped: list[dict]
    other_folders: list[str]
    source: str
    others: list[Song] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the others, sorted."""
        return sorted({song.genre for song in self.others})


def load_songs(source: str | Path = "mini", config: Config = CONFIG, recordings: str | Path | None = None,
               other: str | Path | list | None = None) -> SongSet:
    """Read all songs of a data set, one file per core at a time.

    A take of the recorder is cut where its sidecar (.json) names a gap. Each piece is a song of its own ("jazz/a#1",
    "jazz/a#2"), in one group.

    Parameters
    ----------
    source : str or Path
        "mini" (synthetic, built in), "gtzan" (downloaded on first use), or a folder with one sub-folder per genre,
        in itself or up to three levels below, as in Kaggle's archive. Beside the genres there may be a manifest.csv
        with the columns file and artist (or group), and fault_filtered_split.
    recordings : str or Path, optional
        A second folder of the same form, whose songs are added: your own recordings. It may lack some of the genres.
    other : str or Path, or a list of them, optional
        Folders of music and sounds that are none of the genres, in sub-folders by kind or flat (kind "other"). The mini
        set has some of its own. Of GTZAN, the other genres are taken by themselves.

    Raises
    ------
    FileNotFoundError
        When a folder is missing, or the sub-folder of a genre.
    ValueError
        When a genre is left without a usable song, or a manifest.csv is damaged.
    """
    source, recordings = (part and os.path.expanduser(part) for part in (source, recordings))
    built_in = {"mini": mini_set.folder, "gtzan": lambda: gtzan.fetch(config)}
    folders = [(built_in.get(source, lambda: _find_folder(Path(source), config))(), "")]
    folders += [(_find_recordings(Path(recordings), config), "recordings/")] if recordings else []
    found = [entry for root, prefix in folders for entry in _list_files(root, prefix, config)]
    own = mini_set.OTHERS if source == "mini" else gtzan.GENRES
    found += [entry for name in _other_folders(folders[0][0], config) if name in own
              for entry in _list_kind(folders[0][0] / name, name)]
    found += [entry for root in ([other] if isinstance(other, (str, Path)) else other or [])
              for entry in _list_others(Path(os.path.expanduser(root)), config)]
    unread = [prefix + name for root, prefix in folders for name in _other_folders(root, config) if name not in own]
    songs, skipped = _read_songs(found, config)
    others = [song for song in songs if song.genre not in config.genres]
    songs = [song for song in songs if song.genre in config.genres]
    _check_genres(songs, skipped, config)
    names = [str(part) if part in built_in else Path(part).resolve().name for part in (source, recordings) if part]
    return SongSet(songs, skipped, unread, " + ".join(names), others)


def _read_songs(found: list[tuple[Path, Song]], config: Config) -> tuple[list[Song], list[dict]]:
    """Songs and skipped files. A warning about a file becomes one line above the progress bar."""
    songs, skipped = [], []
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: tqdm.write(f"note: {message}", file=sys.stderr)
        read = in_parallel((joblib.delayed(_try_read)(path, config) for path, _ in found), prefer="threads")
        for (_, song), result in zip(found, tqdm(read, total=len(found), desc="reading songs", unit="file")):
            if isinstance(result, str):
                skipped.append({"file": song.path, "reason": result})
            else:
                _add_pieces(song, result, songs, skipped, config)
    return songs, skipped


def _find_folder(root: Path, config: Config) -> Path:
    """The folder that holds the genres' sub-folders."""
    found = gtzan.find_genres(root, config)
    if found is None:
        raise FileNotFoundError(f"no data set in {shown(root)}: {_there(root, config)}. It should hold one sub-folder "
                                f"per genre ({', '.join(config.genres)}). They were looked for in it and up to "
                                f"{gtzan.LEVELS} levels below: name another folder, change the genres (GENRES in "
                                "notebook 02), or use \"mini\" or \"gtzan\"")
    return found


def _find_recordings(root: Path, config: Config) -> Path:
    """The folder of the recordings' sub-folders. It may lack some of the genres, but not all."""
    found = gtzan.find_genres(root, config)
    if found is None:
        raise FileNotFoundError(f"no recordings of {', '.join(config.genres)} in {shown(root)}: {_there(root, config)}. "
                                "Name their folder, with one sub-folder per genre, or leave recordings out")
    return found


def _there(root: Path, config: Config) -> str:
    """What lies where genres were looked for, for a message."""
    if root.is_file():
        return f"it is a file: {'give the folder of the genres' if root.suffix.lower() in SUFFIXES else 'unpack it'}"
    return f"it has {_named(root, config)}" if root.is_dir() else "it is missing"


def _list_files(root: Path, prefix: str, config: Config) -> list[tuple[Path, Song]]:
    """Every file of the genres' folders with the song it would be; hidden files and sidecars (.json) are left out."""
    manifest, listed = _read_manifest(root), []
    for genre in config.genres:
        if not (root / genre).is_dir():
            if prefix:  # recordings may lack a genre
                continue
            raise FileNotFoundError(f"{shown(root)} has no sub-folder {genre!r}, but {_named(root, config)}: "
                                    "add it, rename one, or change the genres (GENRES in notebook 02)")
        names = {f"{genre}/{path.name}" for path in _entries(root / genre)
                 if not path.name.startswith(".") and path.suffix != ".json"}
        names |= {name for name in manifest if name.startswith(f"{genre}/")}  # also files that are gone
        listed += [(root / name, _describe(root / name, genre, prefix, manifest)) for name in sorted(names)]
    return listed


def _list_others(root: Path, config: Config) -> list[tuple[Path, Song]]:
    """Every file of a folder of other music, as `_list_files` gives them."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {shown(root)}: name one with music or sounds that are none of the genres")
    kinds = [(path, path.name) for path in sorted(_entries(root)) if path.is_dir() and not path.name.startswith(".")]
    mixed = [name for _, name in kinds if name in config.genres]
    if mixed:
        raise ValueError(f"{shown(root)} has the sub-folder {mixed[0]!r}, which is a genre: give it as songs, or rename it")
    found = [entry for path, kind in kinds or [(root, "other")] for entry in _list_kind(path, kind)]
    if not found:
        raise ValueError(f"{shown(root)} holds no sound file: put some into it, or into sub-folders by kind")
    return found


def _list_kind(folder: Path, kind: str) -> list[tuple[Path, Song]]:
    """The sound files of one kind of other music. A group is a block of neighbouring numbers, or the file itself."""
    listed = []
    for path in sorted(path for path in _entries(folder) if path.suffix.lower() in SUFFIXES):
        name = _printable(f"{kind}/{path.name}")
        song = name.removesuffix(path.suffix)
        number = re.search(r"(\d+)$", song)
        group = f"{song[: number.start()]}{int(number[1]) // OTHER_BLOCK}*" if number else song
        listed.append((path, Song(name, kind, song, group, np.zeros(0, np.int16))))
    return listed


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except PermissionError:
        raise PermissionError(f"no permission to read the folder {shown(folder)}: allow yourself to") from None


def _describe(path: Path, genre: str, prefix: str, manifest: dict) -> Song:
    name = f"{genre}/{path.name}"
    row = {**_gtzan_facts().get(path.stem, {}), **manifest.get(name, {})}
    name = prefix + _printable(name)
    song = name.removesuffix(path.suffix)
    return Song(name, genre, song, row.get("group") or row.get("artist") or song, np.zeros(0, np.int16),
                SPLIT_NAMES[row.get("fault_filtered_split") or ""])


def _read_manifest(root: Path) -> dict[str, dict]:
    """Rows of manifest.csv by file name ("jazz/a.wav"); {} where there is none."""
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
    """What is wrong with a row of the manifest, or None. It must name a file in a genre's folder, and a known part."""
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
        return {row["file"].removesuffix(".wav"): {"artist": row["artist"], "fault_filtered_split": row["filtered_split"]}
                for row in csv.DictReader(file)}


def _other_folders(root: Path, config: Config) -> list[str]:
    return sorted(path.name for path in root.iterdir()
                  if path.is_dir() and path.name not in config.genres and not path.name.startswith("."))


def _named(root: Path, config: Config) -> str:
    """The folders that are no genres, for a message."""
    names = _other_folders(root, config)
    near = [name for name in names if name.lower() in map(str.lower, config.genres)]
    return f"{names}" + f" ({', '.join(near)}: differs from a genre in capital letters only)" * bool(near)


def _try_read(path: Path, config: Config) -> list[np.ndarray] | str:
    """The file's samples, in pieces where there are gaps; or the reason why it can't be used."""
    if path.suffix.lower() not in SUFFIXES:
        return f"not one of {', '.join(SUFFIXES)}"
    try:
        samples = reading.read_audio(path, config)
        return np.split(samples, [cut for cut in _gaps(path, config) if 0 < cut < len(samples)])
    except reading.UnusableFile as error:
        return str(error)


def _gaps(path: Path, config: Config) -> list[int]:
    """The places of a take where the recorder lost samples, from its sidecar (`takes.TakeWriter`)."""
    sidecar = path.with_suffix(".json")
    try:
        values = json.loads(sidecar.read_bytes()) if sidecar.is_file() else {}
        if not isinstance(values, dict) or "gaps" not in values:  # not the recorder's
            return []
        scale = config.sample_rate / values["sample_rate"]
        return sorted({round(gap["at"] * scale) for gap in values["gaps"]})
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, OSError) as error:
        raise reading.UnusableFile(f"its sidecar {_printable(sidecar.name)} can't be read ({type(error).__name__}), so "
                                   "nobody knows where the take has gaps: mend or delete it") from error


def _add_pieces(song: Song, pieces: list[np.ndarray], songs: list[Song], skipped: list[dict], config: Config) -> None:
    """Add a song for each piece between gaps. A piece that is too short or silent is named among the skipped."""
    for number, samples in enumerate(pieces, 1):
        part = f"#{number}" if len(pieces) > 1 else ""
        try:
            reading.check_samples(samples, config)
            songs.append(dataclasses.replace(song, song=song.song + part, samples=samples))
        except reading.UnusableFile as error:
            skipped.append({"file": song.path + part, "reason": f"between gaps: {error}"})


def _printable(name: str) -> str:
    """The name with escapes for what isn't Unicode: printing such a name would fail."""
    return name.encode(errors="backslashreplace").decode()


def _check_genres(songs: list[Song], skipped: list[dict], config: Config) -> None:
    for genre in config.genres:
        if not any(song.genre == genre for song in songs):
            named = [f"{row['file']}: {row['reason']}" for row in skipped if f"{genre}/" in row["file"]]
            raise ValueError(f"no usable song of {genre}; skipped: {'; '.join(named[:5]) or 'its folder is empty'}. "
                             f"Add sound files ({', '.join(SUFFIXES)}) of at least one clip's length")


def cut_clips(songs: SongSet | list[Song], config: Config = CONFIG) -> dict[str, np.ndarray]:
    """Cut songs into one-second clips that don't overlap. Silent ones are left out: the Pico says *silence* to them.

    Returns
    -------
    dict of arrays
        audio int16 (n_clips, clip_length); genre int64 (n_clips,), index into config.genres; song, group, split str
        (n_clips,), as in `Song`.
    """
    length = config.clip_length
    rows = [(part, config.genres.index(song.genre), song.song, song.group, song.split)
            for song in (songs.songs if isinstance(songs, SongSet) else songs)
            for part in song.samples[: len(song.samples) // length * length].reshape(-1, length)
            if reading.peak(part) >= config.silence_peak]
    audio, genre, song, group, split = zip(*rows)
    return {"audio": np.stack(audio), "genre": np.array(genre, np.int64), "song": np.array(song),
            "group": np.array(group), "split": np.array(split)}


def songs_of(clips: dict, config: Config = CONFIG) -> list[Song]:
    """Songs from clips, with the clips' own genres: the clips of a song are joined end to end.

    Parameters
    ----------
    clips : dict
        From `cut_clips` or `load_clips`, or some of them (`{k: v[chosen] for k, v in ...}`).
    """
    _, first, index = np.unique(clips["song"], return_index=True, return_inverse=True)
    genres = clips.get("genres", config.genres)
    return [Song("", genres[clips["genre"][row]], str(clips["song"][row]), str(clips["group"][row]),
                 clips["audio"][index == number].reshape(-1), str(clips["split"][row]))
            for number, row in enumerate(first)]


def save_clips(clips: dict, split: np.ndarray, source: str, config: Config = CONFIG) -> Path:
    """Write clips and their split to `clips.npz` in the work folder; clips with split "" are left out."""
    keep = split != ""
    arrays = {name: values[keep] for name, values in {**clips, "split": split}.items()}
    settings = np.array(_audio_settings(config))
    return write_whole(work_dir() / "clips.npz", lambda file: np.savez(
        file, **arrays, genres=np.array(config.genres), source=np.array(source), settings=settings))


def save_others(found: SongSet) -> Path:
    """Write the music of no genre that `load_songs` found to `others.npz` in the work folder."""
    arrays = {name: np.array([getattr(song, name) for song in found.others], str) for name in ("genre", "song", "group")}
    samples = np.concatenate([song.samples for song in found.others]) if found.others else np.zeros(0, np.int16)
    lengths = np.array([len(song.samples) for song in found.others], np.int64)
    return write_whole(work_dir() / "others.npz", lambda file: np.savez(file, samples=samples, lengths=lengths, **arrays))


def load_others(part: str | None = None, config: Config = CONFIG) -> list[Song]:
    """The music of no genre that notebook 02 wrote; without it, the mini set's.

    `part` is one of `splits.PARTS`: about a fifth of each kind is for validation and a fifth for test, by group.
    """
    path = work_dir() / "others.npz"
    if path.is_file():
        try:
            with np.load(path) as file:
                cuts = np.split(file["samples"], np.cumsum(file["lengths"])[:-1])
                rows = zip(file["genre"], file["song"], file["group"], cuts)
                songs = [Song("", *(str(text) for text in texts), samples) for *texts, samples in rows]
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{shown(path)} is damaged ({error}): run notebook 02 again") from error
    else:
        songs = load_songs("mini", dataclasses.replace(config, genres=CONFIG.genres)).others
    groups: dict[str, list[str]] = {}
    for song in songs:
        groups.setdefault(song.genre, []).append(song.group)
    return [song for song in songs if part in (None, splits.part_of_group(song.group, groups[song.genre]))]


def load_clips(config: Config = CONFIG) -> dict[str, np.ndarray]:
    """The clips that notebook 02 wrote. If there are none, it says so and takes clips of the synthetic mini set.

    Returns
    -------
    dict
        audio, genre, song, group and split as in `cut_clips`, where split is "train", "validation" or "test"; genres
        (list of str, those chosen in notebook 02), source ("mini", "gtzan" or the folder's name) and config, which is
        `config` with these genres.

    Raises
    ------
    ValueError
        When the file is damaged or was made with another configuration.
    """
    path = work_dir() / "clips.npz"
    if not path.is_file():
        print("No clips from notebook 02 yet: using the synthetic mini set (it says nothing about real music).")
        cut = cut_clips(load_songs("mini", config), config)
        cut["split"] = splits.choose_split(cut, config=config)[0]
        return {**cut, "genres": list(config.genres), "source": "mini", "config": config}
    try:
        with np.load(path) as file:
            loaded = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{shown(path)} is damaged ({error}): run notebook 02 again") from error
    if loaded.pop("settings", None) != _audio_settings(config):
        raise ValueError(f"{shown(path)} was made with another rate or clip length: run notebook 02 again")
    genres = [str(name) for name in loaded["genres"]]
    return {**loaded, "genres": genres, "source": str(loaded["source"]),
            "config": dataclasses.replace(config, genres=tuple(genres))}


def _audio_settings(config: Config) -> str:
    return f"{config.sample_rate} {config.clip_length}"
