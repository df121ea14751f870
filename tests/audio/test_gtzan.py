"""Download and extraction of GTZAN, played with a tiny archive from a server on this machine."""

import errno
import functools
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from mgr_helpers import __main__
from mgr_helpers.audio import dataset, gtzan, mini_set, splits
from mgr_helpers.config import CONFIG
from mgr_helpers.model import evaluate
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import engines

BLOCK = 2 ** 16


def make_archive(extra=()):
    """A tar.gz like GTZAN's: genres/<genre>/<genre>.00000.wav with noise that doesn't compress."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for genre in (*CONFIG.genres, "polka"):
            add(tar, tarfile.TarInfo(f"genres/{genre}/{genre}.00000.wav"), os.urandom(200_000))
        for member in extra:
            add(tar, *member) if isinstance(member, tuple) else tar.addfile(member)
    return buffer.getvalue()


def add(tar, member, content):
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


class Server:
    """Serves one archive; `cut` bytes after which the connection is dropped, per request; notes the Range headers."""

    def __init__(self, content, cuts=(), ranges=True):
        self.content, self.cuts, self.requests, self.ranges, self.delay = content, list(cuts), [], ranges, 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                """Stay quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/genres.tar.gz"

    def answer(self, handler):
        start = int(re.match(r"bytes=(\d+)-", handler.headers["Range"])[1]) if self.ranges else 0
        self.requests.append(start)
        body = self.content[start:]
        handler.send_response(206 if self.ranges else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        sent = body[:self.cuts.pop(0)] if self.cuts else body
        for first in range(0, len(sent), 50_000):
            try:
                handler.wfile.write(sent[first:first + 50_000])
            except (BrokenPipeError, ConnectionResetError):
                return  # the client was killed
            time.sleep(self.delay)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(gtzan.time, "sleep", lambda seconds: None)


def fetch(server, folder, sha256=None, **options):
    content = server.content
    return gtzan.fetch(CONFIG, folder, server.url, len(content), sha256 or hashlib.sha256(content).hexdigest(),
                       **{"kaggle": None, **options})


def test_good_download(tmp_path):
    server = Server(make_archive())
    found = fetch(server, tmp_path / "gtzan")
    assert sorted(path.name for path in found.iterdir() if path.is_dir()) == ["disco", "jazz", "metal", "polka"]
    assert (found / "jazz" / "jazz.00000.wav").stat().st_size == 200_000
    assert not list(tmp_path.rglob("*.tar.gz*"))
    assert fetch(server, tmp_path / "gtzan") == found and len(server.requests) == 1


def test_resumes_after_a_cut(tmp_path):
    server = Server(make_archive(), cuts=[300_000, 100_000])
    fetch(server, tmp_path / "gtzan")
    assert server.requests == [0, 4 * BLOCK, 5 * BLOCK]  # whole blocks of what came


def test_the_next_run_resumes_the_download(tmp_path):
    content = make_archive()
    with pytest.raises(ConnectionError, match=f"stopped at {BLOCK} of .*Run it again"):
        fetch(Server(content, cuts=[100_000] + [0] * 10), tmp_path / "gtzan")
    server = Server(content)
    fetch(server, tmp_path / "gtzan")
    assert server.requests == [BLOCK]


def test_without_ranges_the_download_starts_over(tmp_path):
    server = Server(make_archive(), cuts=[300_000], ranges=False)
    assert (fetch(server, tmp_path / "gtzan") / "metal").is_dir()


def test_bad_checksum(tmp_path):
    with pytest.raises(ValueError, match="wrong checksum .* was deleted"):
        fetch(Server(make_archive()), tmp_path / "gtzan", sha256="0" * 64)
    assert [path.name for path in (tmp_path / "gtzan").iterdir() if path.suffix != ".lock"] == []


def test_no_server_answers(tmp_path):
    server = Server(b"x")
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ConnectionError, match="genre folders into data/gtzan/"):
        fetch(server, tmp_path / "gtzan")


def link(kind, name, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("member", [
    (tarfile.TarInfo("../outside.txt"), b"x"), (tarfile.TarInfo("genres/../../outside.txt"), b"x"),
    link(tarfile.SYMTYPE, "genres/jazz/link", "/etc/passwd"), link(tarfile.LNKTYPE, "genres/jazz/hard", "../outside"),
    link(tarfile.CHRTYPE, "genres/device", "")])
def test_unsafe_archives_are_refused(tmp_path, member):
    with pytest.raises(ValueError, match="damaged or unsafe"):
        fetch(Server(make_archive([member])), tmp_path / "gtzan")
    assert not (tmp_path / "outside.txt").exists() and not (tmp_path / "gtzan" / "genres").exists()


def test_an_absolute_path_in_an_archive_is_unpacked_inside_the_folder(tmp_path):
    archive = make_archive([(tarfile.TarInfo(f"{tmp_path}/outside.txt"), b"x")])
    fetch(Server(archive), tmp_path / "gtzan")
    assert not (tmp_path / "outside.txt").exists()


def test_truncated_archive_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="damaged or unsafe"):
        fetch(Server(make_archive()[:-90_000]), tmp_path / "gtzan")
    assert not (tmp_path / "gtzan" / "genres").exists() and not (tmp_path / "gtzan" / ".genres.building").exists()


def test_unpacking_checks_the_archives_own_checksum(tmp_path):
    damaged = bytearray(make_archive())
    damaged[len(damaged) // 2] ^= 1  # in a block that deflate could only store
    with pytest.raises(ValueError, match="damaged or unsafe"):
        fetch(Server(bytes(damaged)), tmp_path / "gtzan")
    assert not (tmp_path / "gtzan" / "genres").exists()


def test_full_disk_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gtzan.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="is full: make room and run it again"):
        fetch(Server(make_archive()), tmp_path / "gtzan")
    assert sorted(path.name for path in (tmp_path / "gtzan").iterdir()) == [".genres.lock", "genres.tar.gz"]


def test_archive_that_a_killed_process_left_is_removed(tmp_path):
    server = Server(make_archive())
    fetch(server, tmp_path / "gtzan")
    (tmp_path / "gtzan" / "genres.tar.gz").write_bytes(b"left")
    fetch(server, tmp_path / "gtzan")
    assert not (tmp_path / "gtzan" / "genres.tar.gz").exists()


def test_folder_of_the_user_is_used(tmp_path):
    own = tmp_path / "gtzan" / "Data" / "genres_original"
    (own / "jazz").mkdir(parents=True)
    assert gtzan.fetch(CONFIG, tmp_path / "gtzan", "http://127.0.0.1:9/") == own


def test_kaggle_is_tried_when_the_download_fails(tmp_path, monkeypatch, capsys):
    (tmp_path / "kaggle" / "Data" / "genres_original" / "jazz").mkdir(parents=True)
    monkeypatch.setattr(gtzan, "_from_kaggle", lambda name: tmp_path / "kaggle")
    found = fetch(Server(make_archive()), tmp_path / "gtzan", sha256="0" * 64, kaggle="name")
    assert found.name == "genres_original" and "wrong checksum" in capsys.readouterr().out


FETCH = """
import sys, pathlib
from mgr_helpers.audio import gtzan
gtzan.fetch(folder=pathlib.Path(sys.argv[1]), url=sys.argv[2], size=int(sys.argv[3]), sha256=sys.argv[4], kaggle=None)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_downloads_are_whole_or_absent(tmp_path, monkeypatch):
    monkeypatch.undo()
    content = make_archive()
    server = Server(content)
    server.delay = 0.03
    command = [sys.executable, "-c", FETCH, str(tmp_path / "gtzan"), server.url, str(len(content)),
               hashlib.sha256(content).hexdigest()]
    for _ in range(3):
        asked = len(server.requests)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while len(server.requests) == asked and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "gtzan" / "genres").exists() or (tmp_path / "gtzan" / "genres" / ".stamp").exists()
    both = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]  # two at once wait for each other
    assert [process.wait(60) for process in both] == [0, 0]
    assert max(server.requests) > 0  # it went on from what a killed process had left
    assert (gtzan.find_genres(tmp_path / "gtzan") / "metal" / "metal.00000.wav").stat().st_size == 200_000
    assert sorted(path.name for path in (tmp_path / "gtzan").iterdir()) == [".genres.lock", "genres"]


# --- the whole way, as with the real one

LISTS = {"train": "train_filtered.txt", "validation": "valid_filtered.txt", "test": "test_filtered.txt"}


def listed(part, genre, n=3):
    """The first songs of a genre in a published list: {"jazz/jazz.00012.wav": its part}."""
    names = (dataset.SPLIT_LISTS / LISTS[part]).read_text().split()
    return {name: part for name in [name for name in names if name.startswith(f"{genre}/")][:n]}


def published(n=3):
    """Songs of every part and genre, and one of each genre that no list has (a repetition or a distortion)."""
    songs = {}
    for genre in CONFIG.genres:
        for part in LISTS:
            songs |= listed(part, genre, n)
        inside = set().union(*(listed(part, genre, 1000) for part in LISTS))
        songs[next(name for name in (f"{genre}/{genre}.{i:05d}.wav" for i in range(100)) if name not in inside)] = ""
    return songs


@functools.cache
def synthetic(genre):
    """Twelve seconds of the mini set in ten pieces."""
    return mini_set.song(genre, 0)[: 12 * CONFIG.sample_rate].reshape(10, -1)


def sound_file(samples, kind):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, CONFIG.sample_rate, format=kind)
    return buffer.getvalue()


def tiny_gtzan(songs):
    """The archive: genres/<genre>/<genre>.000NN.wav (jazz as .au, as in 2002), another genre, a broken file."""
    buffer, used = io.BytesIO(), dict.fromkeys(CONFIG.genres, 0)
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in songs:
            genre = name.split("/")[0]
            samples = synthetic(genre)[used[genre]]
            used[genre] += 1
            kind = "au" if genre == "jazz" else "wav"
            add(tar, tarfile.TarInfo(f"genres/{name.removesuffix('wav')}{kind}"), sound_file(samples, kind))
        add(tar, tarfile.TarInfo("genres/polka/polka.00000.wav"), sound_file(synthetic("disco")[0], "wav"))
        add(tar, tarfile.TarInfo("genres/metal/metal.99999.wav"), os.urandom(5000))
    return buffer.getvalue()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """`gtzan.fetch` as it is, but with a tiny archive's address, size and checksum; the first answer is cut short."""
    songs = published()
    server = Server(tiny_gtzan(songs), cuts=[200_000])
    sha256 = hashlib.sha256(server.content).hexdigest()
    monkeypatch.setattr(gtzan, "fetch", functools.partial(
        gtzan.fetch, folder=tmp_path / "gtzan", url=server.url, size=len(server.content), sha256=sha256, kaggle=None))
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "work"))
    yield server, songs
    server.http.shutdown()
    server.http.server_close()


def table_of(songs, clips, split):
    """Songs and clips by part and genre, as text."""
    lines = [f"{'part':12s}" + "".join(f"{genre:>20s}" for genre in CONFIG.genres)]
    for part in (*LISTS, ""):
        counts = [(sum(song.split == part and song.genre == genre for song in songs),
                   int(np.sum((split == part) & (clips["genre"] == i)))) for i, genre in enumerate(CONFIG.genres)]
        lines.append(f"{part or '(left out)':12s}" + "".join(f"{n:8d} songs,{m:4d} s" for n, m in counts))
    return "\n".join(lines)


def test_from_the_archive_to_the_published_split(served, capsys):
    server, songs = served
    found = dataset.load_songs("gtzan")
    assert len(server.requests) == 2 and server.requests[1] > 0  # cut, then resumed
    assert {song.song: song.split for song in found.songs} == {
        name.removesuffix(".wav"): part for name, part in songs.items()}
    assert [row["file"] for row in found.skipped] == ["metal/metal.99999.wav"] and found.other_folders == ["polka"]
    clips = dataset.cut_clips(found)
    split, words = splits.choose_split(clips)
    with capsys.disabled():
        print("\n" + table_of(found.songs, clips, split))
    assert "fault-filtered" in words and np.array_equal(split, clips["split"])
    dataset.save_clips(clips, split, "gtzan")
    loaded = dataset.load_clips()
    for part in LISTS:
        names = {song for song in loaded["song"][loaded["split"] == part]}
        assert names == {name.removesuffix(".wav") for name, listed_in in songs.items() if listed_in == part}
    assert set(loaded["split"]) == set(LISTS)  # what the lists leave out is gone
    assert len(dataset.load_songs("gtzan").songs) == len(songs) and len(server.requests) == 2  # from the cache


def test_evaluating_the_shipped_model_on_gtzan(served, capsys):
    """`python -m mgr_helpers evaluate --audio gtzan --json`: downloads, reads, scores every window with TFLM."""
    _, songs = served
    assert __main__.main(["evaluate", "--audio", "gtzan", "--json", "--engine", engines.REFERENCE]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["songs"]["n"] == len(songs) and result["model"]["source"] == "gtzan"
    assert result["windows"]["n"] == np.sum(result["confusion"])
    assert [row["file"] for row in result["skipped"]] == ["metal/metal.99999.wav"]


def test_only_songs_of_the_published_test_list_are_scored(served):
    """Only songs of the published test list are scored: their windows, and no other song's."""
    found = [song for song in dataset.load_songs("gtzan").songs if song.split == "test"]
    windows = evaluate.windows_of(found)
    scores = engines.engine_scores(engines.REFERENCE, load_model(), windows["raw"])
    figures = evaluate.figures(scores, windows["genre"], windows["song"])
    assert figures["songs"]["n"] == 3 * len(CONFIG.genres) and set(figures["recall"]) == set(CONFIG.genres)
