"""Sound files that are damaged, odd, huge, or no sound at all. `dataset` uses each one, or names it with a reason."""

from __future__ import annotations

import collections
import io
import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Callable

import av
import numpy as np
import soundfile
from tqdm.auto import tqdm

from mgr_helpers.config import CONFIG

from . import last_line, python, relative, result, times

RATE = CONFIG.sample_rate
BATCH, BATCH_SECONDS = 50, 180  # files read by one process, and its time limit
FORMATS = [("wav", "WAV", "PCM_16"), ("wav", "WAV", "PCM_U8"), ("wav", "WAV", "PCM_24"), ("wav", "WAV", "PCM_32"),
           ("wav", "WAV", "FLOAT"), ("wav", "WAV", "DOUBLE"), ("wav", "WAVEX", "PCM_24"), ("wav", "WAV", "IMA_ADPCM"),
           ("wav", "WAV", "ULAW"), ("wav", "RF64", "PCM_16"), ("flac", "FLAC", "PCM_16"), ("flac", "FLAC", "PCM_24"),
           ("flac", "FLAC", "PCM_S8"), ("au", "AU", "PCM_16"), ("au", "AU", "FLOAT"), ("au", "AU", "ALAW"),
           ("ogg", "OGG", "VORBIS"), ("ogg", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III")]
# made by FFmpeg: suffix, container, codec, options of the codec, options of the container
VBR, FIRST = {"flags": "+qscale", "global_quality": "590"}, {"movflags": "+faststart"}
MADE = [("mp3", "mp3", "libmp3lame", VBR, {}), ("m4a", "ipod", "aac", {}, {}), ("m4a", "ipod", "aac", {}, FIRST),
        ("m4a", "ipod", "alac", {}, FIRST), ("wma", "asf", "wmav2", {}, {}), ("opus", "opus", "libopus", {}, {}),
        ("webm", "webm", "libopus", {}, {}), ("wv", "wv", "wavpack", {}, {}), ("flac", "flac", "flac", {}, {})]
# written to a pipe or without a container: such a file doesn't say how long it is, so a cut can't be seen
ENDLESS = [("mp3", "mp3", "libmp3lame", VBR, {"write_xing": "0"}), ("aac", "adts", "aac", {}, {}),
           ("flac", "flac", "flac", {}, {}), ("wav", "wav", "pcm_s16le", {}, {})]
KINDS = FORMATS + MADE + ENDLESS
RATES = {"OPUS": (48000, 16000, 24000), "MPEG_LAYER_III": (44100, 22050, 16000, 48000), "libopus": (48000, 24000),
         "libmp3lame": (44100, 22050, 16000, 48000), "aac": (44100, 22050, 48000), "wmav2": (44100, 22050)}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
# most channels of a coder: else 8 where FFmpeg or FLAC writes, and 11. (FFmpeg can't read a FLAC of 192 kHz and 8
# channels that it has written itself.)
MOST = {**dict.fromkeys(("libmp3lame", "wmav2", "MPEG_LAYER_III", "OPUS", "VORBIS", "IMA_ADPCM"), 2),
        **dict.fromkeys(("alac", "flac"), 6)}
ANY_RATE = (22050, 44100, 16000, 8000, 48000, 96000, 192000)
READ = """
import json, sys
from mgr_helpers.audio import dataset
from mgr_helpers.config import CONFIG
found = dataset.load_songs(sys.argv[1])
for song in found.songs:
    assert song.samples.dtype == "int16" and len(song.samples) >= CONFIG.clip_length and song.samples.any()
dataset.cut_clips(found)
print("\\n" + json.dumps({"used": [song.path for song in found.songs], "skipped": found.skipped}))
"""


# --- making files -------------------------------------------------------------------------------------------------

def sound(rng: np.random.Generator, rate: int, channels: int, seconds: float = 1.6) -> np.ndarray:
    """A tone for each channel, and noise: float (n, channels)."""
    t = np.arange(round(rate * seconds))[:, None] / rate
    hz = rng.uniform(80, 2000, channels)
    return 0.4 * np.sin(2 * np.pi * hz * t) + 0.05 * rng.standard_normal((len(t), channels))


def encoded(audio: np.ndarray, rate: int, kind: str, subtype: str) -> bytes:
    """The bytes of a sound file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def made(audio: np.ndarray, rate: int, kind: tuple, pipe: bool = False) -> bytes:
    """The bytes of a sound file that FFmpeg writes. Into a pipe, it can't go back to note the length."""
    _, container, codec, codec_options, options = kind
    with tempfile.NamedTemporaryFile() as disk:
        target = type("Pipe", (), {"write": staticmethod(disk.write)})() if pipe else disk.name
        with av.open(target, "w", format=container, options=options) as file:
            for packet in packets(file.add_stream(codec, rate=rate, options=codec_options), audio):
                file.mux(packet)
        disk.flush()
        return Path(disk.name).read_bytes()


def packets(stream, audio: np.ndarray) -> list:
    """Encoded pieces of a sound (n, channels)."""
    stream.layout, stream.bit_rate = LAYOUTS[audio.shape[1]], 128_000
    frame = av.AudioFrame.from_ndarray(audio.astype(np.float32).reshape(1, -1), format="flt", layout=stream.layout.name)
    frame.sample_rate, frame.pts = stream.rate, 0
    return [*stream.encode(frame), *stream.encode(None)]


def whole_file(rng: np.random.Generator, number: int) -> tuple[str, bytes]:
    """Suffix and content of a good file. `number` chooses the format; rate and channels are random."""
    kind = KINDS[number % len(KINDS)]
    codec = kind[2]
    rate = int(rng.choice(RATES.get(codec, ANY_RATE)))
    if len(kind) > 3:
        channels = int(rng.choice([n for n in LAYOUTS if n <= MOST.get(codec, 8)]))
        return kind[0], made(sound(rng, rate, channels), rate, kind, kind in ENDLESS)
    suffix, container, _ = kind
    most = MOST.get(codec, 8 if container == "FLAC" else 11)
    return suffix, encoded(sound(rng, rate, int(rng.choice([1, 2, most]))), rate, container, codec)


def truncated(rng: np.random.Generator, content: bytes) -> bytes:
    """Cut off at a random byte."""
    return content[: rng.integers(0, len(content))]


def header_cut(rng: np.random.Generator, content: bytes) -> bytes:
    """Without up to 200 bytes of its beginning."""
    return content[rng.integers(1, 200):]


def flipped(rng: np.random.Generator, content: bytes) -> bytes:
    """With 1 to 99 bits flipped; half of the time only in the header."""
    changed = bytearray(content)
    end = len(content) if rng.random() < 0.5 else 200
    for place in rng.integers(0, end, rng.integers(1, 100)):
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def number_replaced(rng: np.random.Generator, content: bytes) -> bytes:
    """With an extreme value for a 32-bit number of the header: a size, a rate, a count."""
    changed, place = bytearray(content), int(rng.integers(0, 26)) * 2
    value = int(rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000, 11, 1000]))
    changed[place : place + 4] = struct.pack(rng.choice(["<I", ">I"]), value)
    return bytes(changed)


def piece_moved(rng: np.random.Generator, content: bytes) -> bytes:
    """With a piece removed, doubled, or set to zero."""
    start, length = int(rng.integers(0, len(content))), int(rng.integers(1, 3000))
    middle = [b"", content[start : start + length] * 2, bytes(length)][rng.integers(3)]
    return content[:start] + middle + content[start + length:]


def padded(rng: np.random.Generator, content: bytes) -> bytes:
    """With other bytes before or after it."""
    other = [bytes(1000), b"ID3\x03" + bytes(120), os.urandom(500), b"<html>not found</html>"][rng.integers(4)]
    return content + other if rng.random() < 0.5 else other + content


def no_sound(rng: np.random.Generator, content: bytes) -> bytes:
    """Text, zeros or random bytes in a file with the name of a sound file."""
    kinds = [b"", bytes(50_000), os.urandom(50_000), b"I am a text\n" * 300, content[:4] + os.urandom(9000)]
    return kinds[rng.integers(len(kinds))]


def odd_numbers(rng: np.random.Generator, content: bytes) -> bytes:
    """A floating-point WAV with NaN, infinity, or numbers far beyond full scale."""
    audio = sound(rng, RATE, 1)
    audio[rng.integers(0, len(audio), 5)] = rng.choice([np.nan, np.inf, -np.inf, 1e30, -32768.0])
    return encoded(audio, RATE, "WAV", "DOUBLE" if rng.random() < 0.5 else "FLOAT")


def untouched(rng: np.random.Generator, content: bytes) -> bytes:
    """Without a change."""
    return content


MUTATIONS: list[Callable] = [truncated, header_cut, flipped, number_replaced, piece_moved, padded, no_sound,
                             odd_numbers, untouched]


def data_set(folder: Path, make: Callable[[Path], None]) -> Path:
    """A data set with a good song in each genre; `make(jazz)` adds more files to the folder `jazz`."""
    good = encoded(sound(np.random.default_rng(0), RATE, 1), RATE, "WAV", "PCM_16")
    for genre in CONFIG.genres:
        (folder / genre).mkdir(parents=True)
        (folder / genre / "good.wav").write_bytes(good)
    make(folder / "jazz")
    return folder


# --- reading them -------------------------------------------------------------------------------------------------

def read_all(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Read a data set in another process; returns what broke, and the fate of each file ("used", or why not)."""
    try:
        done = python(READ, folder, seconds=BATCH_SECONDS, obey_permissions=True)
    except subprocess.TimeoutExpired:
        return [f"reading hangs (over {BATCH_SECONDS} s)"], {}
    if done.returncode:
        return [f"reading stopped ({done.returncode}): {relative(last_line(done.stderr), folder)}"], {}
    found = json.loads(done.stdout.splitlines()[-1])
    fates = {**{name: "used" for name in found["used"]}, **{row["file"]: row["reason"] for row in found["skipped"]}}
    there = {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*")}
    there = {name.encode(errors="backslashreplace").decode() for name in there}
    broke = [f"{name} is neither used nor named" for name in there - {name.split("#")[0] for name in fates}]
    return broke + [f"{name}: skipped without a reason" for name, fate in fates.items() if not fate.strip()], fates


def one_by_one(contents: dict[str, bytes]) -> list[str]:
    """What broke when each file is read alone. This finds the bad file of a batch that stopped or hung."""
    broke = []
    for name, content in contents.items():
        with tempfile.TemporaryDirectory() as folder:
            found, _ = read_all(data_set(Path(folder) / "set", lambda jazz: (jazz / name).write_bytes(content)))
        broke += [f"{name}: {line}" for line in found]
    return broke


def mutated_files() -> dict:
    """Files of every format with every mutation."""
    rng, fates, broke = np.random.default_rng(7), collections.Counter(), []
    n = times(1000)
    for first in tqdm(range(0, n, BATCH), desc="batches of files", leave=False):
        contents, cut = {}, set()
        for number in range(first, min(first + BATCH, n)):
            suffix, content = whole_file(rng, number)
            mutation = MUTATIONS[number // len(KINDS) % len(MUTATIONS)]
            name = f"{number:04d} {mutation.__name__}.{'wav' if mutation is odd_numbers else suffix}"
            contents[name] = mutation(rng, content)
            endless = KINDS[number % len(KINDS)] in ENDLESS
            if mutation is truncated and len(contents[name]) < 0.9 * len(content) and not endless:
                cut.add(name)
        with tempfile.TemporaryDirectory() as folder:
            found, files = read_all(data_set(Path(folder) / "set", lambda jazz: [
                (jazz / name).write_bytes(content) for name, content in contents.items()]))
        broke += found if files else one_by_one(contents) or found
        broke += [f"{name}: used, though a tenth or more of it is missing" for name in cut
                  if files.get(f"jazz/{name}") == "used"]
        broke += [f"{name}: refused: {fate}" for name, fate in files.items() if "untouched" in name and fate != "used"]
        fates.update("used" if fate == "used" else "named" for name, fate in files.items() if "good.wav" not in name)
    return result("WAV, FLAC, AU, MP3, OGG, Opus, AAC, ALAC, WMA, WavPack, WebM files that are cut, spliced, or hold "
                  "flipped bits, extreme sizes, NaN, or text instead of sound: each is used, or skipped with a reason; "
                  "no crash, no hang; a cut file that tells its length is never taken for a whole one", n, broke,
                  used=fates["used"], skipped_with_a_reason=fates["named"])


# --- lengths of MP3s ------------------------------------------------------------------------------------------------

READ_LENGTHS = """
import json, pathlib, sys
from mgr_helpers.audio import reading
from mgr_helpers.config import CONFIG
lengths = {}
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        lengths[path.name] = len(reading.read_audio(path)) / CONFIG.sample_rate
    except reading.UnusableFile as error:
        lengths[path.name] = str(error)
print("\\n" + json.dumps(lengths))
"""


def mp3_frames(rng: np.random.Generator, seconds: float, silent: float) -> tuple[list[bytes], float]:
    """Frames without a container, as a radio sends them, and the seconds of each. The first part may be silent."""
    rate = int(rng.choice(RATES["libmp3lame"]))
    audio = sound(rng, rate, int(rng.choice([1, 2])), seconds)
    audio[: round(silent * len(audio))] = 0
    options = {} if rng.random() < 0.3 else {"flags": "+qscale", "global_quality": str(118 * int(rng.integers(0, 10)))}
    stream = av.open(io.BytesIO(), "w", format="mp3").add_stream("libmp3lame", rate=rate, options=options)
    return [bytes(packet) for packet in packets(stream, audio)], stream.frame_size / rate


def endless_mp3(rng: np.random.Generator) -> tuple[bytes, float]:
    """An MP3 of constant or variable bit rate that tells no length, cut anywhere or joined, and its seconds."""
    content, length = b"", 0.0
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        frames, each = mp3_frames(rng, rng.uniform(4, 20), rng.choice([0, 0, 0.8]))
        frames = frames[rng.integers(0, 40):len(frames) - rng.integers(0, 40)]
        tag = [b"", b"TAG" + bytes(125), b"ID3\x04" + bytes(5) + b"\x64" + b"x" * 100][rng.integers(3)]
        content, length = content + tag + b"".join(frames), length + each * len(frames)
    return content + frames[0][: rng.integers(0, len(frames[0]))], length  # a part of a frame at the end


def lengths_in(folder: str, contents: dict[str, bytes]) -> dict[str, float | str]:
    """Write files and read them in another process: the seconds of each, or the reason why it isn't used."""
    for name, content in contents.items():
        (Path(folder) / name).write_bytes(content)
    return json.loads(python(READ_LENGTHS, folder, seconds=600).stdout.splitlines()[-1])


def lengths_of_mp3s() -> dict:
    """MP3s as from a pipe, a stream or a cut. Estimating their length from the first frames loses most of them."""
    rng, n = np.random.default_rng(11), times(300)
    contents, wanted = {}, {}
    for number in tqdm(range(n), desc="making MP3s", leave=False):
        contents[f"{number}.mp3"], wanted[f"{number}.mp3"] = endless_mp3(rng)
    with tempfile.TemporaryDirectory() as folder:
        lengths = lengths_in(folder, contents)
    broke = [f"{name}: {lengths[name]}, not {length:.2f} s" for name, length in wanted.items()
             if not isinstance(lengths[name], float) or abs(lengths[name] - length) > 0.1]
    return result("MP3s of constant and variable bit rate that tell no length (piped, cut at both ends, joined, with "
                  "tags, with silence at the beginning): all of their sound is read, within 0.1 s", n, broke)


def joined_files() -> dict:
    """Two or three files of one format, end to end. Many libraries read the first one only, without a word."""
    rng, n = np.random.default_rng(13), times(20 * len(KINDS))
    broke, read = [], 0
    for first in tqdm(range(0, n, BATCH), desc="batches of joined files", leave=False):
        parts = {}
        for number in range(first, min(first + BATCH, n)):
            one, *others = (whole_file(rng, number) for _ in range(rng.integers(2, 4)))
            parts[number] = [one, *(rng.choice([0, 1]) and others or [one])]  # of the same rate and channels, or not
        files = {f"{number} {place}.{suffix}": content for number, each in parts.items()
                 for place, (suffix, content) in enumerate(each)}
        files |= {f"{number} joined.{each[0][0]}": b"".join(content for _, content in each)
                  for number, each in parts.items()}
        with tempfile.TemporaryDirectory() as folder:
            lengths = lengths_in(folder, files)
        for number, each in parts.items():
            got = lengths[f"{number} joined.{each[0][0]}"]
            alone = [lengths[f"{number} {place}.{suffix}"] for place, (suffix, _) in enumerate(each)]
            if refused := [reason for reason in alone if isinstance(reason, str)]:
                broke.append(f"{number}.{each[0][0]}: not joined, it is refused: {refused[0]}")
                continue
            whole = sum(alone)
            read += isinstance(got, float)
            if abs(got - whole) > 0.1 * len(each) if isinstance(got, float) else not got.strip():
                broke.append(f"{number} joined.{each[0][0]}: {got}, not {whole:.2f} s")
    return result("two or three files of each format and of several rates and channels, joined end to end: all of the "
                  "sound is read, within 0.1 s a file, or the file is named", n, broke, read=read, named=n - read)


# --- names and places ---------------------------------------------------------------------------------------------

NAMES = ["with space.wav", "new\nline.wav", "😀 émoji.wav", "-dash.wav", "quo'te\".wav", "UPPER.WAV", "a.b.c.wav",
         "tab\t.wav", "x" * 250 + ".wav", " .wav", "%s{0}$HOME.wav", "‮rtl.wav", "con.wav", "semi;colon&.flac",
         b"not-unicode-\xff\xfe.wav"]


def odd_names(jazz: Path) -> None:
    """Good sounds with odd names."""
    good = (jazz / "good.wav").read_bytes()
    for name in NAMES:
        with open(os.path.join(os.fsencode(jazz), os.fsencode(name)), "wb") as file:
            file.write(good)


def odd_places(jazz: Path) -> None:
    """Folders, pipes, links, empty files, and files without permission."""
    good = (jazz / "good.wav").read_bytes()
    (jazz / "folder.wav").mkdir()
    (jazz / "folder").mkdir()
    os.mkfifo(jazz / "pipe.wav")
    for name, target in (("dangling", "nowhere"), ("loop", "loop.wav"), ("device", "/dev/zero"), ("up", "..")):
        (jazz / f"{name}.wav").symlink_to(target)
    (jazz / "linked.wav").symlink_to("good.wav")
    for name, content in (("unreadable", good), ("empty", b"")):
        (jazz / f"{name}.wav").write_bytes(content)
    (jazz / "unreadable.wav").chmod(0)
    (jazz / "cover.jpg").write_bytes(os.urandom(1000))
    (jazz / "no suffix").write_bytes(good)


def odd_entries() -> dict:
    """Odd names, and entries that are no plain files."""
    broke, n = [], 0
    for make, all_used in ((odd_names, True), (odd_places, False)):
        with tempfile.TemporaryDirectory() as folder:
            found, fates = read_all(data_set(Path(folder) / "set", make))
        used = sum(fate == "used" for name, fate in fates.items() if name.startswith("jazz/"))
        wanted = len(NAMES) + 1 if all_used else 2  # good.wav is there, too
        broke += found
        if fates and used != wanted:
            broke.append(f"{make.__name__}: {used} files used, {wanted} expected")
        n += len(fates) or 1
    return result("file names with spaces, new lines, emoji, bytes that are not Unicode, 254 characters; folders, "
                  "pipes, devices, links to nowhere or to themselves, files without permission: each is used or named",
                  n, broke)


# --- manifests ----------------------------------------------------------------------------------------------------

MANIFEST = "file,artist,fault_filtered_split\njazz/good.wav,Monk,train\ndisco/good.wav,Chic,test\nmetal/good.wav,Dio,\n"
READ_MANIFEST = """
import json, pathlib, sys, traceback
from mgr_helpers.audio import dataset
fates = {}
for root in pathlib.Path(sys.argv[1]).iterdir():
    try:
        dataset.load_songs(root)
        fates[root.name] = "used"
    except (ValueError, FileNotFoundError) as error:
        fates[root.name] = f"refused: {error}"
    except Exception as error:
        fates[root.name] = f"crashed: {error!r}"
print("\\n" + json.dumps(fates))
"""


def bad_manifests(rng: np.random.Generator) -> list[bytes]:
    """Manifests with one fault each, and manifests with random bytes changed."""
    edits = [("jazz/good", "jazz/../disco/good"), ("jazz/good.wav", "good.wav"), ("train", "trian"), ("file", "name"),
             ("Monk", "Mo\0nk"), ("Monk", '"Monk'), (",Monk,train", ""), ("Monk", "Monk,more,still more"),
             ("Monk", "\x1a"), ("jazz/good.wav,Monk", "jazz/good.wav,Davis,train\njazz/good.wav,Monk"),
             ("Monk", "M" * 200_000),
             (MANIFEST, "\n\n\n"), ("jazz/good.wav", "jazz//etc/passwd"), ("\n", "\r"), ("jazz/good.wav", "jazz/")]
    made = [MANIFEST.replace(*edit).encode() for edit in edits]
    made += [MANIFEST.replace("Monk", "Bjørk").encode("latin-1"), MANIFEST.encode("utf-16"), os.urandom(3000)]
    return made + [flipped_text(rng) for _ in range(times(30))]


def flipped_text(rng: np.random.Generator) -> bytes:
    """The manifest with one to five random bytes changed."""
    text = bytearray(MANIFEST.encode())
    for place in rng.integers(0, len(text), rng.integers(1, 6)):
        text[place] = rng.integers(256)
    return bytes(text)


def manifests() -> dict:
    """Faulty manifests. A manifest names the artists: misread, it would leak them from training into test."""
    contents = bad_manifests(np.random.default_rng(3))
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(contents):
            root = data_set(Path(folder) / str(number), lambda jazz: None)
            (root / "manifest.csv").write_bytes(content)
        done = python(READ_MANIFEST, folder, seconds=300)
    fates = json.loads(done.stdout.splitlines()[-1])
    broke = [f"manifest {number}: {fate}" for number, fate in fates.items()
             if fate != "used" and not (fate.startswith("refused") and "manifest.csv" in fate)]
    refused = sum(fate.startswith("refused") for fate in fates.values())
    return result("manifest.csv with wrong columns, rows, encodings, files listed twice, paths outside of the genre, "
                  "flipped bytes: it is read, or refused with its name", len(contents), broke, refused=refused)


# --- takes with gaps ----------------------------------------------------------------------------------------------

READ_TAKES = """
import json, pathlib, sys
import numpy as np
from mgr_helpers.audio import dataset
counts = {}
for root in pathlib.Path(sys.argv[1]).iterdir():
    songs = [song for song in dataset.load_songs(root).songs if "take" in song.song]
    steps = np.diff(dataset.cut_clips(songs)["audio"].astype(np.int32), axis=1)
    counts[root.name] = [len(steps), int((np.abs(steps) > 8000).any(1).sum())]
print("\\n" + json.dumps(counts))
"""


def take_with_gaps(rng: np.random.Generator, jazz: Path) -> int:
    """Write a take whose level jumps at each gap, and its sidecar; returns how many clips lie between the gaps."""
    cuts = np.sort(rng.integers(0, 12 * RATE, rng.integers(1, 6)))
    lengths = np.diff([0, *cuts, 12 * RATE])
    wave = 300 * np.sin(np.arange(12 * RATE) / 20)
    level = np.repeat(np.where(np.arange(len(lengths)) % 2, 12_000, -12_000), lengths)
    soundfile.write(jazz / "take.wav", (wave + level).astype(np.int16), RATE)
    gaps = [{"at": int(cut), "missing": int(rng.integers(1, 9999)), "cause": "lost"} for cut in cuts]
    (jazz / "take.json").write_text(json.dumps({"file": "take.wav", "sample_rate": RATE, "gaps": gaps}))
    return int((lengths // CONFIG.clip_length).sum())


def gaps() -> dict:
    """Takes with gaps: a clip must not join what was recorded before a gap and after it."""
    rng, n = np.random.default_rng(5), times(40)
    with tempfile.TemporaryDirectory() as folder:
        roots = [data_set(Path(folder) / str(number), lambda jazz: None) for number in range(n)]
        wanted = {root.name: take_with_gaps(rng, root / "jazz") for root in roots}
        done = python(READ_TAKES, folder, seconds=300)
    counts = json.loads(done.stdout.splitlines()[-1])
    broke = [f"take {k}: {spanning} clips span a gap, {found} of {wanted[k]} clips are there"
             for k, (found, spanning) in counts.items() if spanning or found != wanted[k]]
    return result("takes of the recorder with 1 to 5 gaps at random places: they are cut there, no clip spans a gap, "
                  "no clip is lost", n, broke)


# --- three hours --------------------------------------------------------------------------------------------------

HOURS = """
import sys, time
import numpy as np
from mgr_helpers.audio import reading
from tests.stress import peak_memory
before = peak_memory()
start = time.monotonic()
samples = reading.read_audio(sys.argv[1])
print("\\n", before, peak_memory(), samples.nbytes, round(time.monotonic() - start, 1))
"""


def long_files(folder: Path, seconds: int):
    """Yield the paths of two long files, one after the other: a stereo WAV of 44.1 kHz, and a FLAC of 22.05 kHz."""
    path, rate = folder / "long.wav", 44100
    beginning = encoded(sound(np.random.default_rng(0), rate, 2, 5), rate, "WAV", "PCM_16")
    size = min(4 * rate * seconds, 2**32 - 2**17)
    with open(path, "wb") as file:
        sizes = struct.pack("<I", size + 36), struct.pack("<I", size)
        file.write(beginning[:4] + sizes[0] + beginning[8:40] + sizes[1] + beginning[44:])
        file.truncate(44 + size)  # a hole in the file: it reads as zeros and takes no room on the disk
    yield path
    minute, path = sound(np.random.default_rng(0), RATE, 1, 60), folder / "long.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in tqdm(range(seconds // 60), desc="writing FLAC", leave=False):
            file.write(minute)
    yield path


def three_hours() -> dict:
    """How much memory it takes to read a long file."""
    broke, seconds = [], max(600, times(3 * 3600) // 60 * 60)
    figures: dict = {"hours": seconds / 3600}
    with tempfile.TemporaryDirectory() as folder:
        for path in long_files(Path(folder), seconds):
            done = python(HOURS, path, seconds=900)
            if done.returncode:
                broke.append(f"{path.name}: {last_line(done.stderr)}")
                continue
            before, peak, size, took = map(float, last_line(done.stdout).split())
            figures[f"{path.suffix[1:]}_MB_of_samples"] = round(size / 1e6)
            figures[f"{path.suffix[1:]}_MB_of_memory_for_them"] = round((peak - before) / 1e6)
            if size < 2 * RATE * seconds * 0.99 or peak - before > 1.3 * size + 40e6:
                broke.append(f"{path.name}: {size / 1e6:.0f} MB of samples took {(peak - before) / 1e6:.0f} MB")
            path.unlink()
    return result("a stereo WAV of 44.1 kHz and a FLAC of 22.05 kHz, three hours each: all of it is read, and it "
                  "needs little more memory than its int16 samples", 2, broke, **figures)


def campaigns() -> list[tuple[str, Callable[[], dict]]]:
    """Name and callable of each campaign."""
    return [("mutated files", mutated_files), ("lengths of MP3s", lengths_of_mp3s),
            ("joined files", joined_files), ("names and places", odd_entries),
            ("manifests", manifests), ("takes with gaps", gaps), ("three hours", three_hours)]
