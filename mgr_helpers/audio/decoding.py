"""The sound of any file, decoded by FFmpeg (PyAV), or the reason why it is not all there.

Notebooks: 02.
"""

import io
import re
import warnings
from pathlib import Path
from typing import Iterator

import av
import numpy as np

SUFFIXES = (".wav", ".flac", ".au", ".aiff", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".alac", ".wma", ".webm", ".wv")
FORMATS = "wav,w64,aiff,au,caf,flac,wv,mp3,aac,ogg,mov,asf,matroska"  # no playlists: they would open other files
LOOSE = ("wav", "au", "flac", "wv", "mp3", "aac")  # tags may follow the sound, or lie between files that were joined
READ_ON = ("flac", "mp3", "aac", "ogg")  # FFmpeg reads joined ones to the end, or reports why not
CHUNKED = (b"RIFF", b"RF64", b"FORM")  # WAV and AIFF: named chunks follow each other
TRAILER = rb"ID3|.{,4}[ -~]{4}|\0{8}|\xff{8}"  # a tag, a chunk with a name, or padding
PIECE = 2**22  # bytes that are searched at a time
TAGS, RUBBISH = (b"ID3", b"TAG", b"APE", b"LYR"), 4096  # bytes that may follow where no length is told
SHORTFALL = 0.1  # seconds that may be missing at the end: encoders pad, and some writers claim a byte too many
CLAIMS = {"wav": rb"data(.{4})", "asf": rb"\xa1\xdc\xab\x8c.{36}(.{8})"}  # how many bytes there should be
STREAMED = 2**31 - 2**16  # a WAV that claims as many bytes or more was written before its length was known
UNREADABLE = {  # how a file begins, and the reason
    rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(\s\0?)*\0?<\0?(!|\?|[a-z][a-z0-9\0]*[\s/>])": "not audio: looks like a web page",
    rb"RIFX": "a big-endian WAV (RIFX), which FFmpeg misreads: save it as WAV or FLAC",
    rb"version https://git-lfs": "not audio: a Git LFS pointer: fetch the file with git lfs pull"}
LENGTH_0 = rb"(?:\.snd.{4}|FORM.{4}AIF[FC].*?SSND|RF64.{8}ds64.{12})(\0{4})"  # FFmpeg reads nothing of these
NEVER_FINISHED = "never finished by its recorder: its header tells no length; read to its end"
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
    start = _bytes(path, 0, 65536)
    if not start:
        raise UnusableFile("empty file")
    for begin, reason in UNREADABLE.items():
        if re.match(begin, start, re.DOTALL | re.IGNORECASE):
            raise UnusableFile(reason)
    source = _lengthened(path, start)
    yield from _decode(path, start, source, not isinstance(source, str))


def _decode(path: Path, start: bytes, source: str | io.BytesIO, unfinished: bool) -> Iterator[av.AudioFrame]:
    """Yield the pieces of a file, or of a part of it in memory."""
    options = {"format_whitelist": FORMATS}
    with av.logging.Capture() as log, av.open(source, metadata_errors="replace", options=options) as file:
        name, stream = file.format.name, next((stream for stream in file.streams.audio if stream.codec_context), None)
        if stream is None:
            raise UnusableFile("corrupt or not audio: holds no sound that FFmpeg knows")
        if stream.codec_context.name == "pcm_f24le":
            raise UnusableFile("24 bits in 32, which FFmpeg misreads: save it as 24-bit WAV or FLAC")
        parts = _flacs(path) if name == "flac" and isinstance(source, str) else []
        for begin, end in parts:
            yield from _decode(path, start, io.BytesIO(_bytes(path, begin, end - begin)), False)
        if parts:
            return
        stream.codec_context.thread_count, stream.codec_context.options = 1, {"err_detect": "crccheck"}
        guessed = any("Estimating duration" in text for _, _, text in log) or unfinished
        log.clear()
        seconds, damage, end = yield from _undamaged(file, stream, log)
        promised = _promised(path, start, file, stream, seconds, guessed)
    if promised - seconds > SHORTFALL and not (damage and name == "ogg"):  # damage says what it is: another stream
        raise UnusableFile(f"cut short or corrupt: {seconds:.2f} of {promised:.2f} s can be read")
    if not seconds:
        raise UnusableFile("corrupt, empty or not audio: holds no samples")
    if damage and not unfinished and not (promised and name in LOOSE):
        raise UnusableFile(f"cut short, corrupt or of several streams; after {seconds:.2f} s: {damage}")
    if end and name not in READ_ON and _goes_on(path, name, start, end):
        raise UnusableFile(f"several files joined, or a wrong length in its header: it ends after {seconds:.2f} s")


def _flacs(path: Path) -> list[tuple[int, int]]:
    """Where FLACs that were joined begin and end. FFmpeg drops some of the sound where they meet. [] for only one."""
    places = _places(path, rb"fLaC[\0\x80]\0\0\x22")
    return list(zip([0, *places[1:]], [*places[1:], path.stat().st_size])) if len(places) > 1 else []


def _places(path: Path, pattern: bytes, begin: int = 0) -> list[int]:
    """Where a pattern of up to 16 bytes lies from byte `begin` on. The file is read in pieces: it may be large."""
    return [offset + found.start() for offset in range(begin, path.stat().st_size, PIECE)
            for found in re.finditer(pattern, _bytes(path, offset, PIECE + 15), re.DOTALL) if found.start() < PIECE]


def _bytes(path: Path, begin: int, count: int) -> bytes:
    return np.fromfile(path, np.uint8, count, offset=begin).tobytes()


def _lengthened(path: Path, start: bytes) -> str | io.BytesIO:
    """The file for FFmpeg; where its header tells length 0, its bytes with a large one, so that all is read."""
    found = re.match(LENGTH_0, start, re.DOTALL)
    if not found:
        return f"file:{path}"
    warnings.warn(f"{path}: {NEVER_FINISHED}")
    content = io.BytesIO(path.read_bytes())
    content.getbuffer()[found.start(1):found.end(1)] = b"\x7f\xff\xff\x7f"
    return content


def _goes_on(path: Path, name: str, start: bytes, end: int) -> bool:
    """Whether another file of the same form, or more samples of a WAV or AIFF, lie behind the last sample."""
    header = (re.escape(start[4:12]) if start[4:8] == b"ftyp" else re.escape(start[:8]) if name == "au" else
              re.escape(start[:4]) + rb".{4}" + re.escape(start[8:12]))  # a size lies between them
    if _places(path, header, 12 if name in ("wav", "au") else end):  # FFmpeg may take these for samples
        return True
    behind = _bytes(path, end, RUBBISH + 1)
    return start[:4] in CHUNKED and len(behind) > RUBBISH and not re.match(TRAILER, behind, re.DOTALL)


def _undamaged(file: av.container.InputContainer, stream, log: list):
    """Yield the pieces, raise where damage lies between them; return their seconds, damage at the end, and where."""
    loose, seconds, damage, lost, tag, end = file.format.name in LOOSE, 0.0, "", 0, False, 0
    for packet, frames, problem in _packets(file, stream, log):
        end = max(end, packet.pos + packet.size if packet and packet.pos is not None else 0)
        if frames and damage:  # not at the end
            raise UnusableFile(f"corrupt at {seconds:.2f} s: {damage}")
        yield from frames
        seconds += sum(frame.samples / frame.sample_rate for frame in frames)
        tag = loose and not frames and (tag or packet and bytes(packet)[:3] in TAGS)
        if problem and not tag and (seconds or not loose):  # a cut may leave a part of a frame at the start
            damage, lost = problem, lost + (loose and not frames and packet.size)
    return seconds, "" if loose and lost <= RUBBISH else damage, end


def _packets(file: av.container.InputContainer, stream, log: list):
    """Yield each packet with its decoded pieces and what FFmpeg says is wrong with it; None is the last one."""
    packets, packet, more = file.demux(stream), None, True
    while more:
        frames, problem = [], ""
        try:
            packet = next(packets, None)
            more = packet is not None
            frames = packet.decode() if packet else []
        except av.FFmpegError as error:
            problem = error.strerror
        problem = next((text.strip() for level, _, text in log if level <= av.logging.ERROR), problem)
        log.clear()
        yield packet, frames, problem


def _promised(path: Path, start: bytes, file: av.container.InputContainer, stream, seconds: float,
              guessed: bool) -> float:
    """Seconds that the file claims to hold; 0 where it claims none, as an MP3 whose header has no count of frames."""
    size, pattern = path.stat().st_size, CLAIMS.get(file.format.name)
    if file.format.name == "ogg":  # a stream's last page counts its samples; FFmpeg overlooks a page that is cut
        ends = [0]
        for kind, count in re.findall(rb"OggS\0(.)(?!\xff{8})(.{8})", path.read_bytes(), re.DOTALL):
            ends += [0] if kind[0] & 2 else []  # another stream begins
            ends[-1] = int.from_bytes(count, "little")
        return float((sum(ends) - (len(ends) - 1) * (stream.start_time or 0)) * stream.time_base)
    if pattern and guessed:  # the file's size is another than its header says
        found = re.search(pattern, start, re.DOTALL)
        claimed = int.from_bytes(found[1], "little") if found else 0
        if not claimed:
            warnings.warn(f"{path}: {NEVER_FINISHED}")
        return seconds * claimed / max(1, size - found.end()) if 0 < claimed < STREAMED else 0.0
    if guessed or not stream.duration and len(file.streams) > 1:  # the pictures of a film may last longer
        return 0.0
    return float(stream.duration * stream.time_base if stream.duration else (file.duration or 0) / 1e6)
