"""Bad archives, bad connections, full disks and kill -9: what is fetched or cached is whole or absent, never half."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator

from tqdm.auto import tqdm

from mgr_helpers.audio import gtzan
from mgr_helpers.config import CONFIG, ROOT
from mgr_helpers.host import files
from tests.audio.test_gtzan import FETCH, Server, link, make_archive

from . import last_line, relative, result, times

FETCH_SECONDS = 60
WHOLE = 4 * 200_000  # bytes of the songs that `make_archive` packs


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def served(content: bytes, cuts: tuple = (), delay: float = 0.0) -> Iterator[Server]:
    """A server on this computer that serves one archive."""
    server = Server(content, cuts)
    server.delay = delay
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Download without pauses between attempts."""
    sleep, gtzan.time.sleep = gtzan.time.sleep, lambda seconds: None
    try:
        yield
    finally:
        gtzan.time.sleep = sleep


def fetch(server: Server, folder: Path, checksum: str | None = None) -> str:
    """Fetch in this process; returns "whole", or the error."""
    content = server.content
    try:
        with patient(), contextlib.redirect_stderr(io.StringIO()):  # hides its progress bars
            gtzan.fetch(CONFIG, folder, server.url, len(content), checksum or sha256(content), kaggle=None)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "whole"


def state(folder: Path) -> str:
    """The state of the cache: "absent", "whole", or "half: ..."."""
    found = gtzan.find_genres(folder) if folder.is_dir() else None
    if found is None:
        return "absent"
    size = sum(path.stat().st_size for path in found.rglob("*.wav"))
    return "whole" if size == WHOLE else f"half: {size:,d} of {WHOLE:,d} bytes"


# --- damaged archives ---------------------------------------------------------------------------------------------

def truncated_archives() -> dict:
    """An archive that was too short before its checksum was made, so that the checksum is right."""
    whole, broke, n = make_archive(), [], times(60)
    for seed in tqdm(range(n), desc="truncated archives", leave=False):
        content = whole[: random.Random(seed).randrange(1, len(whole) - 1)]
        with tempfile.TemporaryDirectory() as temporary, served(content) as server:
            folder = Path(temporary) / "gtzan"
            said, left = fetch(server, folder), state(folder)
            if left != "absent" or "Delete it" not in said and "damaged" not in said:
                broke.append(f"cut at {len(content)} of {len(whole)} bytes: {left}; {relative(said, folder)}")
    return result("an archive cut off at a random byte: it is refused by name, and nothing stays in the cache", n,
                  broke)


def damaged_archives() -> dict:
    """Damaged archives: half of them with the checksum of the whole archive, half with their own."""
    whole, broke, n = make_archive(), [], times(60)
    for seed in tqdm(range(n), desc="damaged archives", leave=False):
        rng, content = random.Random(seed), bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        wrong = seed % 2
        with tempfile.TemporaryDirectory() as temporary, served(bytes(content)) as server:
            folder = Path(temporary) / "gtzan"
            said, left = fetch(server, folder, sha256(whole) if wrong else None), state(folder)
            if left != "absent" or ("checksum" if wrong else "damaged") not in said:
                broke.append(f"damage {seed}: {left}; {relative(said, folder)}")
    return result("an archive with 1 to 20 flipped bits; for half of the tries the expected SHA-256 is that of the "
                  "damaged file, so that only unpacking can notice: it is refused, and nothing stays in the cache", n,
                  broke)


def pax(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A member whose path is in a pax header."""
    member = tarfile.TarInfo("genres/x")
    member.pax_headers = {"path": name}
    return member, target.encode()


def hostile_members() -> dict[str, list]:
    """Members of an archive that lead out of the folder or are no plain files, by what is wrong with them."""
    file = tarfile.TarInfo
    return {
        "parent": [(file("../outside.txt"), b"x")], "deep parent": [(file("genres/../../outside.txt"), b"x")],
        "long parent": [(file("genres/" + "a/" * 60 + "../" * 70 + "outside.txt"), b"x")],
        "symbolic link": [link(tarfile.SYMTYPE, "genres/jazz/link", "/etc/passwd")],
        "through a link": [link(tarfile.SYMTYPE, "genres/way", "../.."), (file("genres/way/outside.txt"), b"x")],
        "hard link": [link(tarfile.LNKTYPE, "genres/jazz/hard", "../outside.txt")],
        "device": [link(tarfile.CHRTYPE, "genres/device", "")], "pipe": [link(tarfile.FIFOTYPE, "genres/pipe", "")],
        "block device": [link(tarfile.BLKTYPE, "genres/block", "")], "pax path": [pax("../outside.txt", "x")],
        "folder out": [link(tarfile.DIRTYPE, "genres/../../outside.txt", "")],
        "file over folder": [(file("genres/jazz"), b"x")], "long name": [(file("genres/" + "n" * 300), b"x")],
        "file as folder": [(file("genres/jazz/jazz.00000.wav/x"), b"x")], "empty name": [(file(""), b"x")],
        "parent itself": [(file(".."), b"x")], "NUL in a pax path": [pax("genres/a\0b", "x")],
    }


def hostile_archives() -> dict:
    """Archives with paths out of the folder, links, devices and impossible names."""
    broke, cases = [], hostile_members()
    for name, members in cases.items():
        with tempfile.TemporaryDirectory() as temporary, served(make_archive(members)) as server:
            folder = Path(temporary) / "in" / "gtzan"
            try:
                said, left = fetch(server, folder), state(folder)
            except Exception as error:  # noqa: BLE001 - anything but a foreseen error is the finding
                said, left = f"crashed: {error!r}", state(folder)
            outside = [path for path in Path(temporary).rglob("*") if path.name == "outside.txt"]
            agrees = (said == "whole") == (left == "whole") and left in ("absent", "whole")
            if outside or "crashed" in said or not agrees:
                broke.append(f"{name}: {left}; {relative(said, folder)}; outside: {len(outside)}")
    return result("tar archives with paths out of the folder, symbolic and hard links, devices, pipes, impossible "
                  "names: they are refused, and nothing is written outside", len(cases), broke)


# --- bad connections ----------------------------------------------------------------------------------------------

def bad_connections() -> dict:
    """Connections that drop at random places. If they drop so often that a run gives up, the next run goes on."""
    content, broke, n, asked = make_archive(), [], times(40), 0
    for seed in tqdm(range(n), desc="bad connections", leave=False):
        rng = random.Random(seed)
        cuts = tuple(rng.randrange(0, len(content)) // rng.choice([1, 1, 4, 50]) for _ in range(rng.randrange(1, 13)))
        with tempfile.TemporaryDirectory() as temporary, served(content, cuts) as server:
            folder = Path(temporary) / "gtzan"
            for _ in range(4):
                said = fetch(server, folder)
                if said == "whole" or state(folder) != "absent":
                    break
            asked += len(server.requests)
            left = sorted(path.name for path in folder.iterdir())
            if state(folder) != "whole" or left != [".genres.lock", "genres"]:
                broke.append(f"cuts {cuts}: {state(folder)}, {left}; {relative(said, folder)}")
    return result("the connection drops 1 to 12 times at random places: this run or a later one completes the "
                  "download", n, broke, requests=asked)


# --- a full disk --------------------------------------------------------------------------------------------------

ON_SMALL_DISK = """
set -e
mount -t tmpfs -o size=$1k none "$2"
"$3" -c "$4" "$2/gtzan" "$5" "$6" "$7" >"$2.said" 2>&1 || true
find "$2" -mindepth 2 >"$2.left"
rm -f "$2/filler"
mount -o remount,size=64m "$2"
"$3" -c "$4" "$2/gtzan" "$5" "$6" "$7"
find "$2" -name "*.wav" -size 200000c | wc -l
"""


def full_disk() -> dict:
    """A small disk in memory is full during the download or the extraction; then it gets more room."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        raise RuntimeError("a small disk needs the right to mount one: root, or user namespaces (unshare -rm)")
    whole, broke, n = make_archive(), [], times(12)
    for number in tqdm(range(n), desc="full disks", leave=False):
        room = 100 + 1600 * number // n  # KB: at first the download does not fit, later the extraction
        with tempfile.TemporaryDirectory() as temporary, served(whole) as server:
            disk = Path(temporary) / "disk"
            disk.mkdir()
            fake = FETCH.replace("gtzan.fetch(", "gtzan.shutil.disk_usage = lambda f: type('', (), {'free': 2**40});"
                                 "gtzan.time.sleep = lambda s: None\ngtzan.fetch(")
            words = [room, disk, sys.executable, fake, server.url, len(whole), sha256(whole)]
            done = subprocess.run(["unshare", "-rm", "bash", "-c", ON_SMALL_DISK, "bash", *map(str, words)], cwd=ROOT,
                                  capture_output=True, text=True, timeout=4 * FETCH_SECONDS)
            said, left = (Path(f"{disk}.{name}").read_text() for name in ("said", "left"))
        half = [line for line in left.splitlines() if "/genres/" in line or ".building" in line]
        if half or "make room" not in said or done.returncode or last_line(done.stdout) != "4":
            broke.append(f"{room} KB: {len(half)} files left; said {relative(last_line(said), disk)}; then "
                         f"{last_line(done.stderr) if done.returncode else last_line(done.stdout) + ' songs'}")
    return result("a disk of 100 to 1,600 KB (tmpfs) is full during the download or the extraction: the message says "
                  "to make room, and nothing half stays; with room the next run goes on", n, broke)


# --- several processes, and kill -9 -------------------------------------------------------------------------------

def start(server: Server, folder: Path) -> subprocess.Popen:
    """Start to fetch in another process."""
    words = [FETCH, folder, server.url, len(server.content), sha256(server.content)]
    return subprocess.Popen([sys.executable, "-c", *map(str, words)], cwd=ROOT, stderr=subprocess.DEVNULL)


def at_once() -> dict:
    """Two to four processes fetch into the same cache at once."""
    content, broke, n = make_archive(), [], times(10)
    for number in tqdm(range(n), desc="several at once", leave=False):
        with tempfile.TemporaryDirectory() as temporary, served(content, delay=0.01) as server:
            folder = Path(temporary) / "gtzan"
            processes = [start(server, folder) for _ in range(2 + number % 3)]
            statuses = [process.wait(FETCH_SECONDS) for process in processes]
            if any(statuses) or state(folder) != "whole" or len(server.requests) != 1:
                broke.append(f"{statuses} of as many processes, {state(folder)}, {len(server.requests)} downloads")
    return result("two to four processes fetch into one cache: one of them downloads, all succeed", n, broke)


def killed_downloads() -> dict:
    """kill -9 at random points of download and extraction, on one cache until it is whole, then on the next."""
    content, broke, n, whole = make_archive(), [], times(50), 0
    temporary = Path(tempfile.mkdtemp())
    with served(content, delay=0.02) as server:
        for seed in tqdm(range(n), desc="kill -9", leave=False):
            folder = temporary / str(whole)
            asked, rng = len(server.requests), random.Random(seed)
            process = start(server, folder)
            while len(server.requests) == asked and process.poll() is None and state(folder) == "absent":
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
            found = state(folder)
            whole += found == "whole"
            if found.startswith("half"):
                broke.append(f"kill {seed}: {found}")
        last = start(server, temporary / str(whole))
        if last.wait(FETCH_SECONDS) or state(temporary / str(whole)) != "whole":
            broke.append("the last run, which nobody killed, did not end whole")
        for number in range(whole + 1):  # one more run in each cache tidies up
            start(server, temporary / str(number)).wait(FETCH_SECONDS)
            left = sorted(path.name for path in (temporary / str(number)).iterdir())
            if left != [".genres.lock", "genres"]:
                broke.append(f"left behind for good: {left}")
        requests = len(server.requests)
    shutil.rmtree(temporary)
    return result("kill -9 at random points of download and extraction: the cache is whole or absent, the next run "
                  "goes on, and no temporary file stays", n, broke, whole_caches=whole + 1, downloads=requests)


WRITE = """
import pathlib, sys
from mgr_helpers.host import files
for number in range(10_000):
    byte = bytes([number % 256])
    files.write_whole(pathlib.Path(sys.argv[1]), lambda file: [file.write(byte) for _ in range(50_000)])
"""
BUILD = """
import pathlib, sys
from mgr_helpers.host import files
def fill(folder):
    for part in range(20):
        (folder / f"{part}.txt").write_text(sys.argv[2] * 1000)
for number in range(10_000):
    files.build_whole(pathlib.Path(sys.argv[1]), fill, f"{sys.argv[2]} {number}")
"""


def killed_writes() -> dict:
    """kill -9 while a file or a folder is replaced again and again."""
    broke, n = [], times(50)
    for seed in tqdm(range(n), desc="kill -9 while writing", leave=False):
        with tempfile.TemporaryDirectory() as temporary:
            target, code = Path(temporary) / "target", WRITE if seed % 2 else BUILD
            process = subprocess.Popen([sys.executable, "-c", code, str(target), "x"], cwd=ROOT,
                                       stderr=subprocess.DEVNULL)
            while not target.exists() and process.poll() is None:
                time.sleep(0.005)
            time.sleep(random.Random(seed).uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            broke += [f"kill {seed}: {problem}" for problem in half_written(target)]
    return result("kill -9 while a file or a folder of the caches is replaced: it is whole or absent, and the next "
                  "writer deletes what is left over", n, broke)


def half_written(target: Path) -> list[str]:
    """What is wrong with the file or folder of a killed writer, and with the folder after the next writer."""
    problems = []
    if target.is_file() and (target.stat().st_size != 50_000 or len(set(target.read_bytes())) != 1):
        problems.append("half a file")
    if target.is_dir() and [path.stat().st_size for path in target.glob("*.txt")] != [1000] * 20:
        problems.append("half a folder")
    for path in target.parent.glob(".target.*.tmp"):
        os.utime(path, (0, 0))  # as if hours had passed: a newer one may belong to a running writer
    if target.is_dir() or not target.exists():
        files.build_whole(target, lambda folder: (folder / "a.txt").write_text("a"), "new")
    else:
        files.write_whole(target, lambda file: file.write(b"new"))
    left = sorted(path.name for path in target.parent.iterdir() if path.name not in ("target", ".target.lock"))
    return problems + ([f"left behind: {left}"] if left else [])


def campaigns() -> list[tuple[str, Callable[[], dict]]]:
    """Name and callable of each campaign."""
    return [("truncated archives", truncated_archives), ("damaged archives", damaged_archives),
            ("hostile archives", hostile_archives), ("bad connections", bad_connections), ("full disk", full_disk),
            ("several at once", at_once), ("kill -9", killed_downloads), ("kill -9 while writing", killed_writes)]
