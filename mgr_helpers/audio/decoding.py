"""The sound of any file, decoded by FFmpeg (PyAV), or the reason why it is not all there.

Notebooks: 02.
"""

import re
import warnings
from pathlib import Path
from typing import Iterator

import av
import numpy as np

FORMATS = "wav,w64,aiff,au,caf,flac,wv,mp3,aac,ogg,mov,asf,matroska"  # no playlists: they would open other files
LOOSE = ("wav", "au", "flac", "wv", "mp3", "aac")  # tags may follow the sound, or lie between files that were joined
TAGS, RUBBISH = (b"ID3", b"TAG", b"APE", b"LYR"), 4096  # bytes that may follow where no length is told
SHORTFALL = 0.1  # seconds that may be missing at the end: encoders pad, and some writers claim a byte too many
CLAIMS = {"wav": rb"data(.{4})", "asf": rb"\xa1\xdc\xab\x8c.{36}(.{8})"}  # how many bytes there should be
STREAMED = 2**31 - 2**16  # a WAV that claims as many bytes or more was written before its length was known
WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|body|script|p|\?xml)", re.IGNORECASE)
av.logging.set_level(av.logging.WARNING)  # FFmpeg's messages are captured below, not printed
av.logging.set_skip_repeated(False)


class UnusableFile(ValueError):
    """A file that can't become a song; the text is the reason."""


def decode(path: Path) -> Iterator[av.AudioFrame]:
    """Yield the pieces of a file's sound. Joined files (MP3, AAC, FLAC, OGG) are read to the end of the last one.

    Raises
    ------
    UnusableFile, PermissionError
        When it is corrupt, cut short or empty. Damage that the format can't show stays unnoticed.
    """
    if not path.is_file():
        raise UnusableFile("is a folder, not a sound file" if path.is_dir() else "missing, or not a regular file")
    if path.stat().st_size == 0:
        raise UnusableFile("empty file")
    beginning = np.fromfile(path, np.uint8, 1024).tobytes()
    if WEB_PAGE.match(beginning):
        raise UnusableFile("not audio: looks like a web page")
    if beginning.startswith(b"version https://git-lfs"):
        raise UnusableFile("a pointer of Git LFS in the place of the sound: fetch it with `git lfs pull`")
    options = {"format_whitelist": FORMATS}
    with av.logging.Capture() as log, av.open(f"file:{path}", metadata_errors="replace", options=options) as file:
        stream = next((stream for stream in file.streams.audio if stream.codec_context), None)
        if stream is None:
            raise UnusableFile("corrupt or not audio: holds no sound that FFmpeg knows")
        stream.codec_context.thread_count, stream.codec_context.options = 1, {"err_detect": "crccheck"}
        guessed = any("Estimating duration" in text for _, _, text in log)
        log.clear()
        seconds, damage = yield from _undamaged(file, stream, log)
        promised = _promised(path, file, stream, seconds, guessed)
    if promised - seconds > SHORTFALL:
        raise UnusableFile(f"cut short or corrupt: {seconds:.2f} of {promised:.2f} s can be read")
    rubbish = promised and file.format.name in LOOSE and "switching" not in damage  # FLACs of several depths, joined
    if damage and not rubbish:
        raise UnusableFile(f"cut short, corrupt or of several streams; after {seconds:.2f} s: {damage}")


def _undamaged(file: av.container.InputContainer, stream, log: list):
    """Yield the pieces, raise where damage lies between them, and return their seconds and the damage at the end."""
    loose, packets, packet = file.format.name in LOOSE, file.demux(stream), True
    seconds, damage, lost, tag = 0.0, "", 0, False
    while packet:
        frames, problem = [], ""
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet else []
        except av.FFmpegError as error:
            problem = error.strerror
        problem = next((text.strip() for level, _, text in log if level <= av.logging.ERROR), problem)
        log.clear()
        if frames and damage:  # not at the end
            raise UnusableFile(f"corrupt at {seconds:.2f} s: {damage}")
        yield from frames
        seconds += sum(frame.samples / frame.sample_rate for frame in frames)
        tag = loose and not frames and (tag or packet and bytes(packet)[:3] in TAGS)
        if problem and not tag and (seconds or not loose):  # a cut may leave a part of a frame at the start
            damage, lost = problem, lost + (loose and not frames and packet.size)
    return seconds, "" if loose and lost <= RUBBISH else damage


def _promised(path: Path, file: av.container.InputContainer, stream, seconds: float, guessed: bool) -> float:
    """Seconds that the file claims to hold; 0 where it claims none, as an MP3 whose header has no count of frames."""
    size, pattern = path.stat().st_size, CLAIMS.get(file.format.name)
    if file.format.name == "ogg":  # its last page counts the samples; FFmpeg overlooks a page that is cut
        tail = np.fromfile(path, np.uint8, offset=max(0, size - 65536)).tobytes()
        end = [b"", *re.findall(rb"OggS\0.(?!\xff{8})(.{8})", tail, re.DOTALL)][-1]
        return float((int.from_bytes(end, "little") - (stream.start_time or 0)) * stream.time_base)
    if pattern and guessed:  # the file's size is another than its header says
        found = re.search(pattern, np.fromfile(path, np.uint8, 65536).tobytes(), re.DOTALL)
        claimed = int.from_bytes(found[1], "little") if found else 0
        if not claimed:
            warnings.warn(f"{path}: never finished by its recorder: its header tells no length; read to its end")
        return seconds * claimed / max(1, size - found.end()) if 0 < claimed < STREAMED else 0.0
    if guessed or not stream.duration and len(file.streams) > 1:  # the pictures of a film may last longer
        return 0.0
    return float(stream.duration * stream.time_base if stream.duration else (file.duration or 0) / 1e6)
