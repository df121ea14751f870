"""The configuration, and the files that repeat parts of it."""

import re
import tomllib

import pytest

from mgr_helpers.config import CONFIG, ROOT, Config, artifact, work_dir


def test_dictionary_holds_the_whole_configuration():
    assert Config.from_dict(CONFIG.to_dict()) == CONFIG


@pytest.mark.parametrize("change, word", [
    ({"n_frames": 21}, "clip_length"), ({"frame_length": 4096, "n_frames": 5}, "frame_length"),
    ({"upper_hz": 12000.0}, "upper_hz"), ({"n_mfcc": 41}, "n_mels"), ({"mean_share": 1.5}, "mean_share")])
def test_impossible_configuration_is_refused(change, word):
    with pytest.raises(ValueError, match=word):
        Config(**change)


def test_unknown_field_is_refused():
    with pytest.raises(ValueError, match="'hop'.*unknown"):
        Config.from_dict({**CONFIG.to_dict(), "hop": 1})


def test_a_field_that_an_older_version_did_not_have_is_refused():
    """Its features were others: a default would change what the model sees."""
    older = {name: value for name, value in CONFIG.to_dict().items() if name != "mean_share"}
    with pytest.raises(ValueError, match="'mean_share'.*missing"):
        Config.from_dict(older)


def test_missing_artifact_says_what_to_do():
    with pytest.raises(FileNotFoundError, match="make pretrained"):
        artifact("no_such_file")


def test_environment_variable_names_the_work_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "own"))
    assert work_dir() == tmp_path / "own" and work_dir().is_dir()


def test_requirements_repeat_pyproject():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert listed == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_only_the_configuration_holds_sample_rate_and_window_length_as_numbers():
    for path in (ROOT / "mgr_helpers").rglob("*.py"):
        if path.name != "config.py":
            code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.S)
            assert not re.search(r"\b22050\b|\b21504\b", code), path.name
