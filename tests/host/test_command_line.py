"""Arguments of all commands: what is out of range, unused or interrupted ends in one line; nothing is ignored."""

import argparse
import contextlib
import errno
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mgr_helpers import __main__, __version__, config
from mgr_helpers.audio import dataset, mini_set
from mgr_helpers.config import ROOT
from mgr_helpers.host import command_line
from mgr_helpers.pico import clips, listen

TOOLS = ("notebooks.run", "tests.exactness", "tests.stress", "tools.bench", "tools.experiments", "tools.pretrained",
         "tools.readme", "tools.site")


def usage_error(capsys, *words):
    """What the command says to arguments that it refuses."""
    with pytest.raises(SystemExit) as end:
        __main__.main(list(words))
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def run(*words, **options):
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, **options)


def options_of(command):
    parser = argparse.ArgumentParser()
    __main__.COMMANDS[command][1](parser)
    return [action for action in parser._actions if action.dest != "help"]


# --- ranges

@pytest.mark.parametrize("words", ["--mic nan", "--mic inf", "--mic 999", "--mic -97", "--gain nan", "--gain 1e9",
                                   "--noise -5", "--noise nan", "--seconds -10", "--seconds inf", "--seconds 0",
                                   "--clips 0", "--clips -3", "--clips 2.5", "--clips many"])
def test_a_number_out_of_range_is_refused(words, capsys):
    said = usage_error(capsys, "pico", "--audio", "mini", *words.split())
    assert re.search(r"argument --\w+: '.*' is not a (whole )?number from -?\d+ to \d+$", said)


@pytest.mark.parametrize("words", ["evaluate --audio mini --mic nan", "record --seconds inf", "record --seconds -1",
                                   "record --takes -1", "record --takes 1.5", "record --seconds 1e9"])
def test_numbers_of_other_commands_have_ranges(words, capsys):
    assert "number from" in usage_error(capsys, *words.split())


@pytest.mark.parametrize("word, value", [("-1e1", -10.0), ("-.5E1", -5.0), ("-12", -12.0)])
def test_a_negative_number_is_no_option(word, value, monkeypatch):
    monkeypatch.setattr(__main__, "run_command", lambda run, arguments: arguments.gain)
    assert __main__.main(["pico", "--audio", "mini", "--gain", word]) == value


@pytest.mark.parametrize("words", [["record", "--port", ""], ["record", "--label", " "], ["flash", "--port", ""],
                                   ["record", "--drive-folder", ""], ["evaluate", "--audio", ""],
                                   ["pico", "--audio", "mini", "--model", ""]])
def test_an_empty_text_is_refused(words, capsys):
    """An unset variable of the shell leaves one."""
    assert usage_error(capsys, *words).endswith(f"argument {words[-2]}: it is empty")


@pytest.mark.parametrize("words", ["tests.exactness --windows 0", "tests.exactness --windows -1",
                                   "tests.stress --scale nan", "tests.stress --scale 0", "tools.bench --soak -1",
                                   "tools.pretrained --data mini --seed -1"])
def test_numbers_of_tools_have_ranges(words):
    done = run(*words.split())
    assert done.returncode == 2 and "number from" in (last := done.stderr.splitlines()[-1])
    assert last.startswith(f"python -m {words.split()[0]}: error: ")


@pytest.mark.parametrize("command", __main__.COMMANDS)
def test_help_tells_ranges_and_defaults(command):
    for action in options_of(command):
        told = action.help
        assert "number from" in told or action.type not in (int, float) and "number" not in getattr(
            action.type, "__name__", "")
        always = action.required or action.nargs == 0  # needs no default, or is a switch
        assert always or re.search("default|without it|with --|so many|upload to", told), f"{command} {action.dest}"


# --- options that a mode does not use

@pytest.mark.parametrize("words, unused", [
    ("--clips 3 --gain -6", "--gain"), ("--clips 3 --noise 1", "--noise"), ("--clips 3 --seconds 2", "--seconds"),
    ("--mic 0", "--mic"), ("--room", "--room"), ("--mic -12 --room", "--mic, --room")])
def test_pico_refuses_options_of_its_other_mode(words, unused, capsys):
    assert usage_error(capsys, "pico", "--audio", "mini", *words.split()).endswith(f"doesn't use {unused}")


@pytest.mark.parametrize("words", ["--format text --seconds 3", "--format text --start", "--client-secrets key.json"])
def test_record_refuses_options_without_effect(words, capsys):
    assert "doesn't use --" in usage_error(capsys, "record", "--label", "jazz", *words.split())


@pytest.mark.parametrize("words", ["tools.bench --tables --audio mini", "tools.bench --decoder --compiler zig",
                                   "notebooks.run --table --summary", "notebooks.run --table --data mini",
                                   "notebooks.run --only 03 --data mini", "notebooks.run --only 05 --other data"])
def test_tools_refuse_options_without_effect(words):
    done = run(*words.split())
    assert done.returncode == 2 and "doesn't use --" in done.stderr.splitlines()[-1]


def test_the_series_needs_a_folder_that_exists():
    done = run("notebooks.run", "--data", "/nope")
    assert done.returncode == 2 and done.stderr.endswith("there is no folder /nope\n")


@pytest.mark.parametrize("output", ["LICENSE", "LICENSE/x"])
def test_the_series_is_not_written_into_a_file(output):
    done = run("notebooks.run", "--only", "00", "--output", output)
    assert done.returncode == 2 and f"error: {output} can't be a folder" in done.stderr.splitlines()[-1]
    assert done.stdout == "" and "--output" in done.stderr


def test_a_model_is_used_for_one_recording_too(tmp_path, monkeypatch, capsys):
    assert __main__.main(["pico", "--audio", str(tmp_path / "f.wav"), "--model", "/nope"]) == 1
    assert capsys.readouterr().err.startswith("error: no file /nope")
    used = {}
    monkeypatch.setattr(clips, "build_image", lambda name, compiler, generated: used.update(generated=generated))
    monkeypatch.setattr(listen, "listen", lambda *of, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        __main__.main(["pico", "--audio", "f.wav", "--model", str(ROOT / "data/pretrained/model_int8.tflite")])
    assert (used["generated"] / "model.h").is_file()


# --- ~

def test_the_home_folder_is_expanded_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for command in __main__.COMMANDS:
        for action in options_of(command):
            if action.dest in ("audio", "model", "output", "client_secrets", "generated", "port"):
                assert str(action.type("~/x")) == f"{tmp_path}/x", f"{command} {action.dest}"
    monkeypatch.setenv("MGR_WORK", "~/work")
    monkeypatch.setenv("MGR_BUILD", "~/built")
    assert config.work_dir() == tmp_path / "work" and config.build_dir() == tmp_path / "built"
    (tmp_path / "music").symlink_to(mini_set.folder())
    assert dataset.load_songs("~/music").songs


# --- --version, Ctrl-C, Ctrl-D

def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        __main__.main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"mgr_helpers {__version__}\n"
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_tools_have_a_version(tool):
    assert run(tool, "--version").stdout == f"mgr_helpers {__version__}\n"


def raising(error):
    def command(arguments):
        raise error
    return command


def test_an_interrupted_command_ends_in_one_line(capsys):
    assert command_line.run_command(raising(KeyboardInterrupt()), None) == 130
    assert capsys.readouterr().err == "\nstopped\n"


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device", "a.bin"), OSError("661794 requested and 102400 written"),
    shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'")] * 9)], ids=["write", "numpy", "shutil"])
def test_a_full_disk_ends_in_advice(error, capsys):
    assert command_line.run_command(raising(error), None) == 1
    assert capsys.readouterr().err.startswith("error: the disk is full: make room, or set MGR_WORK")


def test_advice_of_our_own_on_a_full_disk_stays(capsys):
    said = "a.part can't be written ([Errno 28] No space left on device): run again"
    command_line.run_command(raising(OSError(said)), None)
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_file_that_ends_early_is_no_interruption():
    with pytest.raises(EOFError):
        command_line.run_command(raising(EOFError("No data left in file")), None)


@pytest.mark.parametrize("in_terminal", [False, True])  # there, input() reads by readline, and its error has no text
def test_ctrl_d_at_a_question(in_terminal, tmp_path):
    controller, terminal = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "mgr_helpers", "record", "--output", tmp_path], cwd=ROOT,
                               stdin=terminal, stdout=terminal if in_terminal else subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    os.write(controller, b"\x04")
    said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said[1] and said[1].endswith("stopped\n")
    os.close(controller), os.close(terminal)


STARTING = """import runpy, sys
class Stop:
    def find_spec(name, *_):
        if name == "argparse":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop)
runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["mgr_helpers", "notebooks.run", "tests.exactness", "tests.stress", "tools.site"])
def test_ctrl_c_while_a_command_starts(module):
    """At the first library that all of them load."""
    done = subprocess.run([sys.executable, "-c", STARTING, module], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "\nstopped\n")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("seconds", [1, 5])  # while it loads libraries; while it works
@pytest.mark.parametrize("words", [
    "mgr_helpers pico --audio mini --clips 60", "mgr_helpers evaluate --audio mini --mic -12 --room",
    "tests.exactness --windows 3000", "tools.bench --soak 60", "notebooks.run --only 03 --output {}"],
    ids=lambda words: words.split()[0])
def test_ctrl_c(words, seconds, tmp_path):
    """Ctrl-C reaches the whole process group: emulators and kernels, too."""
    process = subprocess.Popen([sys.executable, "-m", *words.format(tmp_path).split()], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # "&" ignores it
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    try:
        said = process.communicate(timeout=60)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended, as it should
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert "Traceback" not in said and said.endswith("\nstopped\n")


PRINTING = """import sys
from mgr_helpers.host.command_line import at_once, run_command
def command(arguments):
    for _ in range(arguments):
        print("a line")
    return 0
sys.exit(at_once(run_command(command, int(sys.argv[1]))))
"""


@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_command_whose_reader_left_ends_quietly(lines):
    """A single line would wait for the exit, many lines would not."""
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", PRINTING, str(lines)], cwd=ROOT, env=buffered, stdout=writing,
                          stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_output_to_a_full_disk_ends_in_one_line():
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", PRINTING, "1"], cwd=ROOT, env=buffered, stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and re.fullmatch("error: the disk is full.*\n", done.stderr)


def test_a_command_without_output_works():
    """A shell can close the output: `>&-`."""
    done = subprocess.run(f"'{sys.executable}' -m notebooks.run --table >&-", shell=True, cwd=ROOT, text=True,
                          stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")


WORKERS = """import joblib, signal
from mgr_helpers.host.processes import in_parallel
def deaf(number):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())
print(list(in_parallel((joblib.delayed(deaf)(number) for number in range(4)), 2)), deaf(0))
"""


def test_workers_never_hear_ctrl_c():
    """From their first moment: else they print tracebacks when it comes while they load libraries."""
    done = subprocess.run([sys.executable, "-c", WORKERS], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[True, True, True, True] False\n", done.stderr


@pytest.mark.parametrize("words", [("notebooks.run", "--only", "99"), ("mgr_helpers", "evaluate", "--audio", "/no/…")])
def test_a_terminal_without_utf8(words):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                   "LC_ALL": "C"}
    done = run(*words, env=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    plain = subprocess.run([sys.executable, "-c", "from mgr_helpers.host.command_line import run_command\n"
                            "run_command(lambda arguments: print('03 \\u2026'), None)"], cwd=ROOT, env=environment,
                           capture_output=True, text=True)
    assert plain.stdout == "03 ?\n"


def test_make_keeps_python_in_utf8_and_quotes_its_path():
    text = (ROOT / "Makefile").read_text()
    assert re.search(r"^export PYTHONUTF8 = 1$", text, re.MULTILINE)
    recipes = re.findall(r"^\t.*\$\(PYTHON\).*$", text, re.MULTILINE)
    assert recipes and all('"$(PYTHON)"' in line for line in recipes)
