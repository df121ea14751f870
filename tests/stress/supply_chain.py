"""Downloads of the build are pinned and checked. No secret is in the repository, in outputs, or readable by others."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable

from tqdm.auto import tqdm

from mgr_helpers.audio import gtzan
from mgr_helpers.config import ROOT, build_dir
from mgr_helpers.host import toolchain

from . import last_line, python, relative, result

SECRETS = {
    "Google API key": r"AIza[0-9A-Za-z_-]{35}", "Google OAuth token": r"ya29\.[0-9A-Za-z_-]{20,}",
    "Google client secret": r"GOCSPX-[0-9A-Za-z_-]{20,}", "OAuth refresh token": r"\b1//0[0-9A-Za-z_-]{30,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "GitHub token": r"gh[pousr]_[0-9A-Za-z]{36}",
    "Hugging Face token": r"\bhf_[0-9A-Za-z]{30,}", "AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "Kaggle key": r'"key"\s*:\s*"[0-9a-f]{32}"', "Slack token": r"xox[baprs]-[0-9A-Za-z-]{10,}",
    "PyPI token": r"pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{20,}",
    "password in an address": r"https?://[^\s/:@{<]+:[^\s/@{<]+@",
}
PLANTED = {"Google API key": "AIza" + "x" * 35, "GitHub token": "ghp_" + "x" * 36,
           "Hugging Face token": "hf_" + "x" * 34}
SECRET_FILES = ("client_secrets.json", "client_secrets_desktop.json", "credentials.json", "drive_token.json", ".env",
                "notebooks/client_secrets.json", "data/recordings/token.json", "service_account.json",
                "mgr_helpers/my_token_2.json", "client_secret_123.apps.googleusercontent.com.json", "kaggle.json",
                "data/work/x.npy", "data/gtzan/genres.tar.gz")


def git(*words: str) -> subprocess.CompletedProcess:
    """A git command in the project's folder."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)


# --- secrets ------------------------------------------------------------------------------------------------------

def secrets_in(text: str) -> list[str]:
    """The kinds of secrets in a text."""
    return [kind for kind, pattern in SECRETS.items() if re.search(pattern, text)]


def no_secrets() -> dict:
    """Search every tracked file, every commit, and the logs under build/ for secrets."""
    tracked = [ROOT / name for name in git("ls-files", "-z").stdout.split("\0") if name]
    logs = [path for kind in ("*.log", "*.json", "*.ipynb", "*.txt") for path in build_dir().rglob(kind)
            if "node_modules" not in path.parts]
    broke = [f"{kind} isn't recognised" for kind, text in PLANTED.items() if kind not in secrets_in(f"x = '{text}'")]
    paths = [path for path in {*tracked, *logs} if path.is_file()]
    for path in tqdm(paths, desc="files", leave=False):
        broke += [f"{kind} in {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}"
                  for kind in secrets_in(path.read_bytes().decode(errors="replace"))]
    history = git("log", "-p", "--all", "--no-color", "--no-textconv", "--", ".", ":(exclude)*.ipynb").stdout
    broke += [f"{kind} in the history of commits" for kind in secrets_in(history)]
    return result("tracked files, notebooks with their outputs, build logs and all commits hold no token, key or "
                  "password (the search finds planted ones)", len(paths) + len(PLANTED) + 1, broke,
                  MB_of_history=round(len(history) / 1e6, 1))


def ignored() -> dict:
    """Git ignores files in which people keep secrets, and downloads."""
    broke = [f"{name} is not ignored by git" for name in SECRET_FILES if git("check-ignore", "-q", name).returncode]
    broke += [f"{name} is tracked" for name in git("ls-files").stdout.splitlines()
              if re.search(r"client_secret|credentials.*json|token.*json|\.env$", name)]
    return result("OAuth clients, tokens, service accounts, downloads: git ignores them in every folder",
                  len(SECRET_FILES) + 1, broke)


MAKE_TOKEN = """
import os, pathlib, stat, sys
from mgr_helpers.record import drive
os.umask(0)
folder = pathlib.Path(sys.argv[1])
token = folder / "login" / "token.json"
secrets = folder / "client_secrets.json"
secrets.write_text('{"installed": {}}')
secrets.chmod(0o666)
if sys.argv[2] == "old":
    token.parent.mkdir()
    token.write_text("{}")
    token.chmod(0o666)
try:
    drive.connect_local(secrets, token)
except drive.DriveError:
    pass
print(*(oct(stat.S_IMODE(path.stat().st_mode)) for path in (token, secrets)))
"""


def private_files() -> dict:
    """Only their owner may read the saved login and the OAuth client, even with a umask that lets everyone read."""
    broke = []
    for age in ("new", "old"):
        with tempfile.TemporaryDirectory() as folder:
            done = python(MAKE_TOKEN, folder, age, seconds=60)
        if done.returncode or last_line(done.stdout) != "0o600 0o600":
            broke.append(f"{age} token: {last_line(done.stderr if done.returncode else done.stdout)}")
    return result("saved login and OAuth client after a login with umask 000, new files, or readable ones of an older "
                  "program: their mode is 0600", 2, broke)


# --- pins ---------------------------------------------------------------------------------------------------------

def pins() -> dict:
    """The repository holds a hash of everything that the build fetches."""
    lock = json.loads((toolchain.EMULATOR / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    broke = [f"{name} has no SHA-512 in package-lock.json" for name, entry in packages.items()
             if not re.fullmatch(r"sha512-[0-9A-Za-z+/]{86}==", entry.get("integrity", ""))]
    hashes = {"cmsisdsp": toolchain.CMSIS_SHA256, "GTZAN": gtzan.SHA256}
    broke += [f"{name} has no SHA-256" for name, value in hashes.items() if not re.fullmatch("[0-9a-f]{64}", value)]
    code = "\n".join(path.read_text() for path in sorted((ROOT / "mgr_helpers").rglob("*.py")))
    fetches = set(re.findall(r"(?:urlopen|urlretrieve|requests\.(?:get|post|put))\(", code))
    broke += [f"another way to download: {call}" for call in fetches - {"requests.get("}]
    if "--require-hashes" not in code or '"ci"' not in code or '"--ignore-scripts"' not in code:
        broke.append("pip or npm is not told to check hashes, or may run scripts")
    return result("npm packages are pinned by SHA-512, CMSIS-DSP and GTZAN by SHA-256; pip has --require-hashes, npm "
                  "ci runs no scripts; the code has no other download", len(packages) + len(hashes) + 2, broke)


CMSIS = """
from mgr_helpers.host import toolchain
try:
    toolchain.cmsis_sources()
    print("accepted")
except RuntimeError as error:
    print("refused", str(error).replace("\\n", " ")[:2000])
"""
NPM = CMSIS.replace("cmsis_sources", "emulator_modules")


def tampered_archive(name: str) -> bytes:
    """A source archive whose setup.py would write a file `ran`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, text in ((f"{name}/setup.py", b"open('ran', 'w')"), (f"{name}/package.json", b"{}")):
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def npm_server(archive: bytes) -> ThreadingHTTPServer:
    """A registry on this computer that serves another file as rp2040js, with the hash of that file."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".tgz"):
                body = archive
            else:
                name = self.path.strip("/").replace("%2f", "/")
                version = versions.get(name, "1.0.0")
                at = f"http://127.0.0.1:{self.server.server_address[1]}/{name}.tgz"
                digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
                body = json.dumps({"name": name, "versions": {version: {"name": name, "version": version, "dist": {
                    "tarball": at, "integrity": f"sha512-{digest}"}}}, "dist-tags": {"latest": version}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            """Stay quiet."""

    lock = json.loads((toolchain.EMULATOR / "package-lock.json").read_text())
    versions = {path.removeprefix("node_modules/"): entry.get("version") for path, entry in lock["packages"].items()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def tampered() -> dict:
    """Registries that serve another file under the right name."""
    broke, n = [], 0
    for name, code in (("cmsisdsp", CMSIS), ("rp2040js", NPM)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            archive = tampered_archive("package" if name == "rp2040js" else f"cmsisdsp-{toolchain.CMSIS_VERSION}")
            (folder / f"cmsisdsp-{toolchain.CMSIS_VERSION}.tar.gz").write_bytes(archive)
            server = npm_server(archive)
            done = python(code, seconds=180, MGR_BUILD=folder / "build", PIP_NO_INDEX=1, PIP_FIND_LINKS=folder,
                          npm_config_registry=f"http://127.0.0.1:{server.server_address[1]}/",
                          npm_config_cache=folder / "npm", npm_config_fetch_retries=0)
            server.shutdown(), server.server_close()
            said = last_line(done.stdout if not done.returncode else done.stderr)
            built = [path for path in (folder / "build").rglob("*") if path.name in ("cmsis", "rp2040js")]
            ran = [path for path in folder.rglob("ran")]
        n += 1
        noticed = re.search("HASHES|EINTEGRITY|integrity", done.stdout)
        if not said.startswith("refused") or not noticed or built or ran:
            broke.append(f"{name}: {relative(said, folder)[:200]}; built: {len(built)}; ran: {len(ran)}")
    return result("a package index and an npm registry (on this computer) serve another file under the right name: it "
                  "is refused by its hash, its code does not run, nothing stays", n, broke)


def audit_command() -> dict:
    """The audit command of the README exists, and checks what is installed."""
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    broke = []
    if not re.search(r"^audit:.*\n(\t.*\n)*\t.*pip_audit --strict", makefile, re.MULTILINE):
        broke.append("Makefile has no target `audit` that runs pip-audit and fails on what can't be looked up")
    if "make audit" not in readme:
        broke.append("README.md doesn't name `make audit`")
    return result("one command audits the installed packages, and the README names it", 1, broke[:1])


def campaigns() -> list[tuple[str, Callable[[], dict]]]:
    """Name and callable of each campaign."""
    return [("no secrets", no_secrets), ("ignored files", ignored), ("private files", private_files), ("pins", pins),
            ("tampered downloads", tampered), ("audit", audit_command)]
