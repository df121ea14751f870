"""Files and folders are whole or absent."""

import errno
import os

import pytest

from mgr_helpers import config
from mgr_helpers.config import ROOT
from mgr_helpers.host import files


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = files.write_whole(tmp_path / "new" / "a.bin", lambda file: file.write(b"one"))
    assert path.read_bytes() == b"one"
    with pytest.raises(ZeroDivisionError):
        files.write_whole(path, lambda file: (file.write(b"tw"), 1 / 0))
    assert path.read_bytes() == b"one" and list(path.parent.iterdir()) == [path]


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    old, young, other = (tmp_path / name for name in (".a.bin.1.tmp", ".a.bin.2.tmp", ".b.bin.3.tmp"))
    for left in (old, young, other):
        left.write_bytes(b"half")
    for left in (old, other):
        os.utime(left, (0, 0))
    files.write_whole(tmp_path / "a.bin", lambda file: file.write(b"one"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, other.name, "a.bin"]


def test_a_built_folder_is_used_even_if_it_is_read_only(tmp_path, monkeypatch):
    folder = files.build_whole(tmp_path / "set", fill, "1")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "FileLock", refuse)
    assert files.build_whole(folder, fill, "1") == folder
    monkeypatch.setattr(files.tempfile, "TemporaryFile", lambda **_: refuse())
    with pytest.raises(PermissionError, match="a.bin .*: give yourself.*MGR_WORK"):
        files.write_whole(tmp_path / "a.bin", lambda file: None)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_place_that_cannot_be_written_names_the_variables(number, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    for write in (files.write_whole, lambda *path_and_fill: files.build_whole(*path_and_fill, "1")):
        with pytest.raises(PermissionError, match=f"a .{os.strerror(number)}.: give yourself.*MGR_BUILD"):
            write(tmp_path / "a", fill)


def test_a_work_folder_that_cannot_be_made_names_its_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "file" / "work"))
    with pytest.raises(OSError, match="set the environment variable MGR_WORK"):
        config.work_dir()


def fill(folder, text="x"):
    (folder / "a.txt").write_text(text)


def test_folder_is_built_once_and_again_when_its_stamp_changes(tmp_path):
    folder = files.build_whole(tmp_path / "set", fill, "1")
    files.build_whole(folder, lambda _: 1 / 0, "1")
    files.build_whole(folder, lambda new: fill(new, "y"), "2")
    assert (folder / "a.txt").read_text() == "y"


def test_failed_build_leaves_the_old_folder(tmp_path):
    folder = files.build_whole(tmp_path / "set", fill, "1")
    with pytest.raises(ZeroDivisionError):
        files.build_whole(folder, lambda new: (fill(new, "y"), 1 / 0), "2")
    assert (folder / "a.txt").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.lock", "set"]


def test_a_folder_of_the_user_is_not_replaced(tmp_path):
    (tmp_path / "set").mkdir()
    fill(tmp_path / "set", "mine")
    with pytest.raises(FileExistsError, match="not made here"):
        files.build_whole(tmp_path / "set", fill, "1")
    assert (tmp_path / "set" / "a.txt").read_text() == "mine"


def test_shown_paths_are_relative_to_the_project(tmp_path):
    assert files.shown(ROOT / "data" / "a.txt") == "data/a.txt"
    assert files.shown(tmp_path / "a.txt") == (tmp_path / "a.txt").as_posix()
