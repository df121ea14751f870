"""Write files and folders that are whole or absent, even when the writing is interrupted.

Notebooks: 08.
"""

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from ..config import ROOT

ABANDONED_SECONDS = 3600  # a temporary file older than this has no writer any more: it was killed


def shown(path: Path) -> str:
    """Name of a file for a message: relative to the project's folder if it lies inside."""
    path = Path(path)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()


def _make_folder(path: Path) -> None:
    """Make the folder of a file or folder; a PermissionError says what to do when nothing can be written there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(f"can't write {shown(path)} ({error.strerror}): give yourself write permission, or set "
                              "the environment variable MGR_WORK (what notebooks write) or MGR_BUILD (what is built)"
                              ) from error


def write_whole(path: Path, write: Callable) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part of it. Returns `path`.

    `write` is called with an open binary file, which it fills. A missing folder is made.
    """
    path = Path(path)
    _make_folder(path)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_whole` of a text file in UTF-8."""
    return write_whole(path, lambda file: file.write(text.encode()))


def _sweep(path: Path) -> None:
    """Delete the temporary files that killed writers of this file left."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.") and left.suffix == ".tmp":
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    left.unlink()


def build_whole(folder: Path, fill: Callable[[Path], None], stamp: str) -> Path:
    """Build a folder once. It is whole or absent, even if two processes try or one is killed. Returns `folder`.

    `fill` gets a hidden folder and fills it; then that one is renamed. `stamp` goes into the folder's file `.stamp`: a
    folder with another stamp is out of date and is built again.
    """
    folder = Path(folder)
    if _has_stamp(folder, stamp):  # before the lock: the folder may be read-only
        return folder
    _make_folder(folder)
    with FileLock(folder.parent / f".{folder.name}.lock"):  # the system frees the lock of a process that was killed
        if _has_stamp(folder, stamp):
            return folder
        if folder.exists() and not (folder / ".stamp").is_file():
            raise FileExistsError(f"{shown(folder)} exists but was not made here: move it away, or use it by its path")
        building, old = (folder.parent / f".{folder.name}.{name}" for name in ("building", "old"))
        for left in (building, old):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            building.mkdir()
            fill(building)
            (building / ".stamp").write_text(stamp)
            if folder.exists():
                folder.rename(old)
            building.rename(folder)
        finally:
            for left in (building, old):
                shutil.rmtree(left, ignore_errors=True)
    return folder


def _has_stamp(folder: Path, stamp: str) -> bool:
    file = folder / ".stamp"
    return file.is_file() and file.read_text() == stamp
