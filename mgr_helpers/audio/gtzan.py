"""Download GTZAN once, with progress, resume, checksum and safe extraction.

If something interrupts this, the data set is either whole or absent.

G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE Transactions on Speech and Audio
Processing, 2002.

Notebooks: 02.
"""

import contextlib
import errno
import gzip
import hashlib
import shutil
import tarfile
import time
import zlib
from pathlib import Path

import requests
from tqdm.auto import tqdm

from ..config import CONFIG, DATA, Config
from ..host.files import build_whole, shown
from .decoding import SUFFIXES

URL = "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz"
SIZE = 1_225_571_541  # bytes
SHA256 = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"
KAGGLE = "andradaolteanu/gtzan-dataset-music-genre-classification"
REMEDY = ("Run it again: a download goes on where it stopped. Or put GTZAN's genre folders into data/gtzan/ yourself, "
          "or give their folder as the data set")
ATTEMPTS = 5
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
LEVELS = 3  # of folders, as in Kaggle's archive/Data/genres_original/<genre>


def fetch(config: Config = CONFIG, folder: Path = DATA / "gtzan", url: str = URL, size: int = SIZE,
          sha256: str = SHA256, kaggle: str | None = KAGGLE) -> Path:
    """GTZAN's folder of genres: the one in `folder`, else downloaded from Hugging Face, else from Kaggle.

    What the user put into `folder` is used as it is. `url` is a tar.gz. `kaggle` is a data set of Kaggle, for which the
    package kagglehub is needed; with None, Kaggle is not tried.

    Raises
    ------
    ConnectionError, ValueError
        When no source can be reached, or an archive is damaged. A partial download may stay: the next run resumes it.
    OSError
        When the disk is full.
    """
    own = find_genres(folder, config)
    if own:
        if (folder / "genres" / ".stamp").is_file():
            (folder / "genres.tar.gz").unlink(missing_ok=True)  # left by a process that was killed
        return own
    try:
        with _naming_a_full_disk(folder):
            build_whole(folder / "genres", lambda target: _download_and_extract(target, folder, url, size, sha256),
                        sha256)
        (folder / "genres.tar.gz").unlink(missing_ok=True)
    except (ConnectionError, ValueError) as error:
        if kaggle is None:
            raise
        print(f"{error}.\nTrying Kaggle instead.")
        return _genres_of(_from_kaggle(kaggle), config)
    return _genres_of(folder / "genres", config)


def find_genres(folder: Path, config: Config = CONFIG) -> Path | None:
    """The folder that holds most genres: `folder`, or one up to LEVELS below it, the first of equals; None without."""
    folder, found, most = Path(folder), None, (False, 0, 0)
    for level in range(LEVELS + 1):
        for place in sorted(folder.glob("*/" * level)) if level else [folder]:
            # unfinished, or what macOS adds to an archive
            hidden = any(part.startswith((".", "__MACOSX")) for part in place.relative_to(folder).parts)
            count = (False, 0, 0) if hidden else _count_genres(place, config)
            found, most = (place, count) if count > most else (found, most)
        if most[0]:
            break
    return found


def _count_genres(place: Path, config: Config) -> tuple[bool, int, int]:
    """Whether all genres are there, and sound; how many sub-folders of genres hold sound files; how many there are."""
    there = [place / genre for genre in config.genres if (place / genre).is_dir()]
    heard = sum(any(path.suffix.lower() in SUFFIXES for path in folder.glob("*")) for folder in there)
    return heard > 0 and len(there) == len(config.genres), heard, len(there)


def _genres_of(folder: Path, config: Config) -> Path:
    found = find_genres(folder, config)
    if found is None:
        raise ValueError(f"{shown(folder)} has no sub-folder for {', '.join(config.genres)}: GTZAN has other genres")
    return found


def _download_and_extract(target: Path, folder: Path, url: str, size: int, sha256: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2.2 * size:
        raise OSError(f"{shown(folder)} needs {2.2 * size / 1e9:.1f} GB, its disk has {free / 1e9:.1f} GB free")
    extract(download(url, folder / "genres.tar.gz", size, sha256), target)


@contextlib.contextmanager
def _naming_a_full_disk(folder: Path):
    """Turn the error of a full disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(f"the disk of {shown(folder)} is full: make room and run it again, it goes on") from error


def download(url: str, path: Path, size: int, sha256: str) -> Path:
    """Download a file. It goes on where an earlier try stopped. The file gets its name once its checksum is right.

    Raises
    ------
    ConnectionError
        When it can't be completed. The part stays, and the next call resumes it.
    ValueError
        When the checksum is wrong; nothing stays.
    """
    if path.is_file() and _sha256(path) == sha256:
        return path
    part = path.with_name(path.name + ".part")
    for attempt in range(ATTEMPTS):
        if part.is_file() and part.stat().st_size >= size:
            break
        problem = _continue(url, part, size) or "the connection was cut"
        time.sleep(min(attempt, 3))
    have = part.stat().st_size if part.is_file() else 0
    if have < size:
        raise ConnectionError(f"{url} stopped at {have} of {size} bytes ({problem}). {REMEDY}")
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise ValueError(f"{url} has a wrong checksum ({found[:12]}..., expected {sha256[:12]}...) and was deleted. "
                         f"{REMEDY}")
    return part.replace(path)


def _continue(url: str, part: Path, size: int) -> str | None:
    """Append the missing bytes to `part`. Returns what went wrong, or None."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=30) as reply:
            reply.raise_for_status()
            resumed = reply.status_code == 206
            with (open(part, "ab" if resumed else "wb") as file,
                  tqdm(total=size, initial=have * resumed, unit="B", unit_scale=True, desc=part.stem) as progress):
                for block in reply.iter_content(2 ** 16):  # a block that is cut short is lost as a whole
                    file.write(block)
                    progress.update(len(block))
    except requests.RequestException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(archive: Path, target: Path) -> None:
    """Unpack a tar.gz of plain files: a link, a device, or a path that leads out of `target` is refused.

    Raises
    ------
    ValueError
        When the archive is damaged or holds anything but plain files and folders.
    """
    try:
        with gzip.open(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as tar:
            for member in tqdm(tar, desc="unpacking", unit="file"):
                _unpack(tar, member, Path(target).resolve())
            while unpacked.read(2 ** 20):  # up to the end, where gzip checks the whole archive
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if getattr(error, "errno", None):  # an error of the disk, not of the archive
            raise
        raise ValueError(f"{shown(archive)} is damaged or unsafe: {error}. Delete it and run it again") from error


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """One file or folder. Python's own filter for this exists only from 3.11.4 on."""
    place = (target / member.name.lstrip("/")).resolve()
    if not place.is_relative_to(target):
        raise tarfile.TarError(f"{member.name} leads out of its folder")
    if not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name} is a link or a device")
    (place if member.isdir() else place.parent).mkdir(parents=True, exist_ok=True)
    if member.isfile():
        with open(place, "wb") as file:
            shutil.copyfileobj(tar.extractfile(member), file)


def _from_kaggle(name: str) -> Path:
    try:
        import kagglehub  # optional
    except ImportError:
        raise ConnectionError(f"for Kaggle, the package is missing: pip install kagglehub. {REMEDY}") from None
    return Path(kagglehub.dataset_download(name))
