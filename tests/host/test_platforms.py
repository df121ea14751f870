"""Every package has a wheel on each platform that the README names; what is built from source is named there, too."""

import os
import re
import subprocess
import sys
import tomllib

import pytest

from mgr_helpers.config import ROOT

# pip itself, but markers such as `sys_platform == "linux"` are those of the platform asked for, not of this one
PIP = """
import json, sys
import pip._vendor.packaging.markers as markers
from pip._internal.cli.main import main
here = markers.default_environment
markers.default_environment = lambda: {**here(), **json.loads(sys.argv[1])}
sys.exit(main(sys.argv[2:]))
"""
ARM = [f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)] + ["manylinux2014_aarch64"]
X86 = [name.replace("aarch64", "x86_64") for name in ARM]
MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"}
INTEL_MAC = {**MAC, "platform_machine": "x86_64"}
LINUX_ARM = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"}
LINUX = {**LINUX_ARM, "platform_machine": "x86_64"}
NO_INDEX = re.compile("NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|NameResolutionError|SSLError")


def resolve(lines, names, markers, python, folder):
    """What pip says to these requirements on another platform, with wheels only. Skips when no index can be reached."""
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(lines))
    environment = {**markers, "python_version": python, "python_full_version": f"{python}.0"}
    text = "{" + ", ".join(f'"{key}": "{value}"' for key, value in environment.items()) + "}"
    platforms = [word for name in names for word in ("--platform", name)]
    done = subprocess.run([sys.executable, "-c", PIP, text, "install", "--dry-run", "--target", folder / "x",
                           "--retries", "1", "--only-binary", ":all:", *platforms, "--python-version", python, "-r", listed],
                          capture_output=True, text=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    if done.returncode and (NO_INDEX.search(done.stdout + done.stderr) or os.environ.get("PIP_NO_INDEX")):
        pytest.skip("no package index can be reached")
    return done


def resolved(*arguments):
    """Names of the packages that pip would install."""
    done = resolve(*arguments)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].removeprefix("Would install ").split()
    return {word.rpartition("-")[0].replace("_", "-").lower() for word in words}


def requirements():
    return (ROOT / "requirements.txt").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("names, markers", [(["macosx_14_0_arm64"], MAC), (ARM, LINUX_ARM)],
                         ids=["macosx_14_0_arm64", "manylinux_2_28_aarch64"])
def test_wheels_where_tflm_is_missing(names, markers, tmp_path):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = [line for name in ("emulator", "drive", "wiring", "run") for line in extras[name]
              if not line.startswith("mgr_helpers")]
    installed = resolved(requirements() + needed, names, markers, "3.12", tmp_path)
    assert {"tensorflow", "cmsisdsp", "ziglang"} < installed and "tflite-micro" not in installed


@pytest.mark.slow
def test_wheels_on_x86_64_linux_with_the_newest_python(tmp_path):
    """There is no wheel of cmsisdsp: the README and `make` say that it is built from source."""
    lines = [line for line in requirements() if not line.startswith("cmsisdsp")]
    assert {"tensorflow", "tflite-micro"} < resolved(lines, X86, LINUX, "3.13", tmp_path)


@pytest.mark.slow
def test_an_intel_mac_has_no_tensorflow(tmp_path):
    """As the README says. When this fails, a wheel has come."""
    done = resolve(requirements(), ["macosx_14_0_x86_64"], INTEL_MAC, "3.12", tmp_path)
    assert done.returncode and "tensorflow" in done.stderr
