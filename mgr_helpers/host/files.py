"""Files and folders that are whole or absent, whatever interrupts the writing.

Used by the modules that download, build or cache; kept apart from them because it knows nothing of audio.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Callable

from filelock import FileLock

from ..config import ROOT

ABANDONED_SECONDS = 3600  # a temporary file that nobody has written to for so long was left by a process that was killed


def shown(path: Path) -> str:
    """Name of a file for a message: relative to the project where it lies inside, else as given."""
    path = Path(path)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()


def write_whole(path: Path, write: Callable) -> Path:
    """Write a file so that a reader sees the old one or the new one, never half of it.

    Parameters
    ----------
    path : Path
        The file; its folder is made when missing.
    write : callable
        Called with an open binary file, which it fills.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except PermissionError as error:
        raise PermissionError(f"no permission to write {shown(path)}: give yourself the right to, or set the environment "
                              "variable MGR_WORK (what notebooks write) or MGR_BUILD (what is built)") from error
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _sweep(path: Path) -> None:
    """Delete what killed writers of this file left."""
    prefix = f".{path.name}."
    for left in path.parent.iterdir():
        if left.name.startswith(prefix) and left.suffix == ".tmp":
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    left.unlink()


def build_whole(folder: Path, fill: Callable[[Path], None], stamp: str) -> Path:
    """Build a folder once: it is whole or absent, even if two processes try or one is killed.

    Parameters
    ----------
    folder : Path
        The folder. It is built in a hidden folder beside it, which is then renamed.
    fill : callable
        Called with the hidden folder, which it fills.
    stamp : str
        Written into the folder's `.stamp`; a folder with another stamp is out of date and is built again.
    """
    folder = Path(folder)
    if _has_stamp(folder, stamp):  # also where nothing may be written, not even a lock
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
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
