"""Recordings to and from Google Drive: in the background while one records, or from a notebook in Colab.

A file is uploaded only where Drive has none of its name and MD5 in the label's folder, and under an ID that Drive gave
beforehand, so that neither a lost reply, nor a late request, nor a killed script makes a copy. What is still to do is
listed in `pending_uploads.json` beside the recordings.
Explained in notebooks/01_record_audio.ipynb.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Callable

from tqdm.auto import tqdm

from ..host.files import shown, write_whole

TOKEN = Path.home() / ".config" / "music-genre-pico" / "drive_token.json"  # outside of any repository
SCOPE = "https://www.googleapis.com/auth/drive.file"  # only files that this program made
FULL_SCOPE = "https://www.googleapis.com/auth/drive"
FOLDER_TYPE = "application/vnd.google-apps.folder"
PENDING = "pending_uploads.json"
TIMEOUT = 60.0  # seconds without an answer
ATTEMPTS = 10
FIRST_DELAY, LONGEST_DELAY = 1.0, 64.0  # seconds between attempts: doubled each time
RATE_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded", "backendError")

ADVICE = {
    "invalid_grant":
        "Google no longer accepts the saved login (invalid_grant). Delete {token} and run again to log in. While the "
        "OAuth consent screen is in testing, a login ends after seven days: publish the app to keep it",
    "consent":
        "access was refused (access_denied). Log in again and allow it; while the OAuth consent screen is in testing, "
        "your address must be among its test users (console.cloud.google.com, APIs & Services)",
    "secrets":
        "{secrets} is missing or no OAuth client. In console.cloud.google.com: enable the Google Drive API, then "
        "Credentials, Create credentials, OAuth client ID, Desktop app, and download it under this name",
    "login": "Google refused the login (401). Delete {token} and run again to log in",
    "quota":
        "Google Drive is full (storageQuotaExceeded). Make room and run again. A service account has no room of its "
        "own: let it write to a folder of a shared drive, or use an OAuth client",
    "disabled":
        "the Google Drive API is not enabled for this project: enable it in console.cloud.google.com, wait a minute, "
        "and run again",
    "folder":
        "this program may not write to that Drive folder or can't find it. Give a folder's name instead of its ID (it "
        "is created), or share the folder with the account that logs in",
    "network": "Google Drive can't be reached: is there a network?",
}


class DriveError(RuntimeError):
    """Drive needs the user: the message says what to do. Nothing is lost; what was not uploaded stays listed.

    `transient` is True where only patience is needed.
    """

    transient = False


def _pydrive():
    try:
        import pydrive2.auth
        import pydrive2.drive
    except ImportError as error:
        raise DriveError("Google Drive needs the package PyDrive2: pip install PyDrive2") from error
    return pydrive2


# --- logging in ---------------------------------------------------------------------------------------------

def connect_local(secrets: Path = Path("client_secrets.json"), token: Path | None = None):
    """Log in from this machine: with the browser the first time, afterwards with the saved token.

    Parameters
    ----------
    secrets : Path
        What the Google Cloud console gives: an OAuth client (desktop app), or a service account's key.
    token : Path, optional
        Where the login is kept, readable by you only; `~/.config/music-genre-pico/drive_token.json` when not given.

    Returns
    -------
    pydrive2.drive.GoogleDrive

    Raises
    ------
    DriveError
        With advice, when that is not possible.
    """
    pydrive2, token = _pydrive(), Path(token or TOKEN)
    if _is_service_account(secrets):
        return connect_service_account(secrets)
    _make_private(Path(secrets))
    token.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT, settings={
        "client_config_backend": "file", "client_config_file": str(secrets), "save_credentials": True,
        "save_credentials_backend": "file", "save_credentials_file": str(token), "get_refresh_token": True,
        "oauth_scope": [SCOPE]})
    _make_private(token)
    try:
        auth.LocalWebserverAuth()
    except Exception as error:
        raise DriveError(explain(error, secrets, token)) from error
    finally:
        _make_private(token)
    return pydrive2.drive.GoogleDrive(auth)


def connect_service_account(secrets: Path):
    """Log in with a service account's key file. Returns a `pydrive2.drive.GoogleDrive`."""
    pydrive2 = _pydrive()
    if Path(secrets).is_file():
        _make_private(Path(secrets))
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT, settings={
        "client_config_backend": "service", "oauth_scope": [FULL_SCOPE],
        "service_config": {"client_json_file_path": str(secrets), "client_user_email": None}})
    try:
        auth.ServiceAuth()
    except Exception as error:
        raise DriveError(explain(error, secrets)) from error
    return pydrive2.drive.GoogleDrive(auth)


def connect():
    """Log in as a notebook does: Colab's way there, else on your own machine. Returns a `pydrive2.drive.GoogleDrive`."""
    return connect_colab() if "google.colab" in sys.modules else connect_local()


def connect_colab():
    """Log in from Colab, which asks for your consent. Returns a `pydrive2.drive.GoogleDrive`."""
    if "google.colab" not in sys.modules:
        raise DriveError("this login is Colab's: on your own machine use connect_local()")
    pydrive2 = _pydrive()
    from google.colab import auth as colab_auth
    from oauth2client.client import GoogleCredentials
    colab_auth.authenticate_user()
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT)
    auth.credentials = GoogleCredentials.get_application_default()
    return pydrive2.drive.GoogleDrive(auth)


def _is_service_account(secrets: Path) -> bool:
    try:
        return json.loads(Path(secrets).read_text()).get("type") == "service_account"
    except (OSError, ValueError, AttributeError) as error:
        raise DriveError(ADVICE["secrets"].format(secrets=secrets)) from error


def _make_private(path: Path) -> None:
    """Readable by its owner only, from its first byte on."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


# --- what went wrong ----------------------------------------------------------------------------------------

def _http_error(error: BaseException | None):
    """The googleapiclient HttpError at the bottom of an error, None when there is none."""
    from googleapiclient.errors import HttpError
    while error is not None and not isinstance(error, HttpError):
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = inner or error.__cause__ or error.__context__
    return error


def _reason(http_error) -> str:
    """Drive's word for an HTTP error, "" when its body has none."""
    try:
        return json.loads(http_error.content)["error"]["errors"][0]["reason"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: server errors, rate limits, time-outs, a network that has gone.

    409 is Drive's answer where an attempt that seemed to fail had come through: trying again finds the file.
    """
    import httplib2
    from oauth2client.client import HttpAccessTokenRefreshError
    if isinstance(error, HttpAccessTokenRefreshError):
        return str(getattr(error, "status", "")).startswith("5")
    http_error = _http_error(error)
    if http_error is not None:
        status = int(http_error.resp.status)
        return status in (408, 409, 429) or status >= 500 or status == 403 and _reason(http_error) in RATE_LIMITS
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
        return False
    return isinstance(error, (httplib2.HttpLib2Error, http.client.HTTPException, OSError))  # OSError: TimeoutError too


def explain(error: BaseException, secrets: Path | str = "client_secrets.json", token: Path | str | None = None) -> str:
    """What the user can do about an error."""
    text, http_error = f"{type(error).__name__}: {error}", _http_error(error)
    if "invalid_grant" in text:
        key = "invalid_grant"
    elif "access_denied" in text or type(error).__name__ == "AuthenticationRejected":
        key = "consent"
    elif type(error).__name__ in ("InvalidConfigError", "InvalidClientSecretsError"):
        key = "secrets"
    elif http_error is not None:
        key = _http_advice(int(http_error.resp.status), _reason(http_error))
    else:
        key = "network" if is_transient(error) else None
    advice = ADVICE[key].format(secrets=secrets, token=token or TOKEN) if key else "this was not expected"
    return f"{advice}. ({text[:300]})"


def _http_advice(status: int, reason: str) -> str | None:
    if status == 401:
        return "login"
    if reason in ("storageQuotaExceeded", "quotaExceeded", "teamDriveFileLimitExceeded"):
        return "quota"
    if reason in ("accessNotConfigured", "SERVICE_DISABLED"):
        return "disabled"
    if status in (403, 404) and reason not in RATE_LIMITS:
        return "folder"
    return "network" if status >= 500 or status in (403, 408, 409, 429) else None


def persist(action: Callable, what: str):
    """Do `action()` until it succeeds, with growing pauses; give up on what trying again can't mend.

    Raises
    ------
    DriveError
        With advice.
    """
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except DriveError:
            raise
        except Exception as error:
            failure = error
            if not is_transient(error):
                break
            time.sleep(min(LONGEST_DELAY, FIRST_DELAY * 2**attempt) * random.uniform(0.5, 1.0))
    problem = DriveError(f"{what}: {explain(failure)}")
    problem.transient = is_transient(failure)
    raise problem from failure


# --- where recordings go ------------------------------------------------------------------------------------

def md5_of(path: Path) -> str:
    """MD5 of a file, as Drive computes it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class _Counted:
    """A file that tells how many bytes were read."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = open(path, "rb"), on_bytes

    def read(self, *count) -> bytes:
        data = self._file.read(*count)
        self._on_bytes(len(data))
        return data

    def __getattr__(self, name: str):
        return getattr(self._file, name)


class DriveFolder:
    """A folder in Google Drive with one sub-folder per label, created where missing.

    Parameters
    ----------
    drive : pydrive2.drive.GoogleDrive
        From `connect_local`, `connect_service_account` or `connect_colab`.
    name : str
        Name of a folder in My Drive, or the ID of any folder (the last part of its address).
    """

    def __init__(self, drive, name: str) -> None:
        self.drive, self.name = drive, name
        self._folders: dict[str, str] = {}
        self._ids: dict[tuple[str, str], str] = {}  # given out by Drive, for files that are not known to be there

    def list(self, parent: str, title: str | None = None) -> list:
        """Files and folders in a folder (by ID), those with a title only when one is given."""
        query = f"'{parent}' in parents and trashed = false"
        if title is not None:
            quoted = title.replace("\\", "\\\\").replace("'", "\\'")
            query += f" and title = '{quoted}'"
        return self.drive.ListFile({"q": query}).GetList()

    def folder_id(self, label: str | None = None) -> str:
        """ID of the folder, or of a label's folder in it; created when missing."""
        key = label or ""
        if key not in self._folders:
            if label is None and re.fullmatch(r"[\w-]{25,}", self.name):
                return self.name
            parent = "root" if label is None else self.folder_id()
            title = self.name if label is None else label
            found = [item for item in self.list(parent, title) if item["mimeType"] == FOLDER_TYPE]
            self._folders[key] = found[0]["id"] if found else self._create_folder(parent, title)
        return self._folders[key]

    def _create_folder(self, parent: str, title: str) -> str:
        return self._insert({"title": title, "mimeType": FOLDER_TYPE, "parents": [{"id": parent}]})["id"]

    def _insert(self, metadata: dict, content=None) -> dict:
        """Create a file or folder. Every attempt for the same one uses the same ID, so that only one can succeed."""
        from googleapiclient.http import MediaIoBaseUpload
        service, http_object = self.drive.auth.service, self.drive.auth.Get_Http_Object()
        key = metadata["parents"][0]["id"], metadata["title"]
        if key not in self._ids:
            self._ids[key] = service.files().generateIds(maxResults=1).execute(http=http_object)["ids"][0]
        media = MediaIoBaseUpload(content, metadata["mimeType"], resumable=True) if content else None
        body = {**metadata, "id": self._ids[key]}
        request = service.files().insert(body=body, media_body=media, supportsAllDrives=True)
        item = request.execute(http=http_object)
        del self._ids[key]
        return item

    def upload(self, label: str, path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> bool:
        """Upload a file once; one of the same name and another content is brought up to date. False: it was there."""
        folder = self.folder_id(label)
        found = self.list(folder, path.name)
        if any(item.get("md5Checksum") == md5_of(path) for item in found):
            return False
        mime_type = "audio/wav" if path.suffix == ".wav" else "application/json"
        with contextlib.closing(_Counted(path, on_bytes)) as content:
            if found:
                item = found[0]
                item.content = content
                item.Upload()
            else:
                item = self._insert({"title": path.name, "mimeType": mime_type, "parents": [{"id": folder}]}, content)
        if item["md5Checksum"] != md5_of(path):
            raise ConnectionError(f"{path.name} arrived damaged")
        return True


class MountedFolder:
    """A folder of a Drive that is mounted as a file system, as Colab can: used like `DriveFolder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def upload(self, label: str, path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> bool:
        """Copy a file where it isn't there already."""
        target = self.folder / label / path.name
        if target.exists() and md5_of(target) == md5_of(path):
            return False
        with open(path, "rb") as source:
            write_whole(target, lambda file: shutil.copyfileobj(source, file))
        on_bytes(path.stat().st_size)
        return True


# --- uploading in the background ----------------------------------------------------------------------------

class Uploader(threading.Thread):
    """Uploads takes while others are recorded, and takes up what an earlier run left.

    Parameters
    ----------
    drive : pydrive2.drive.GoogleDrive, DriveFolder or MountedFolder
    folder : str
        Name or ID of the Drive folder (of no meaning with the two others).
    root : Path
        Where the recordings are: `data/recordings`, with a sub-folder per label.
    """

    def __init__(self, drive, folder: str, root: Path) -> None:
        super().__init__(daemon=True)
        self.remote = drive if isinstance(drive, (DriveFolder, MountedFolder)) else DriveFolder(drive, folder)
        self.root = Path(root)
        self.failed: list[str] = []
        self.uploaded = self.sent_bytes = 0
        self._change = threading.Condition()
        self._pending = _read_pending(self.root)
        self._closing = False

    @property
    def pending(self) -> list[str]:
        """Files not uploaded yet, relative to the root."""
        with self._change:
            return list(self._pending)

    def add_take(self, path: Path) -> None:
        """Add a take: its WAV and its sidecar. They are on the list on disk when this returns."""
        files = [file for file in (Path(path), Path(path).with_suffix(".json")) if file.exists()]
        with self._change:
            names = [file.relative_to(self.root).as_posix() for file in files]
            self._pending += [name for name in names if name not in self._pending]
            self._write_pending()
            self._change.notify()

    def add_all(self) -> None:
        """Add every take under the root; those that are in Drive already cost one question each."""
        for path in sorted(self.root.glob("*/*.wav")):
            self.add_take(path)

    def run(self) -> None:
        """Body of the thread: until `close`, and until nothing is left that was not tried."""
        while (name := self._next()) is not None:
            try:
                self._upload(name)
            except DriveError as error:
                tqdm.write(f"not uploaded: {error}", file=sys.stdout)
                self.failed.append(name)
                if not error.transient:
                    return  # the next file would fail in the same way

    def _next(self) -> str | None:
        with self._change:
            while True:
                todo = [name for name in self._pending if name not in self.failed]
                if todo or self._closing:
                    return todo[0] if todo else None
                self._change.wait()

    def _upload(self, name: str) -> None:
        path = self.root / name
        if path.exists():
            start = self.sent_bytes

            def attempt() -> bool:
                self.sent_bytes = start
                return self.remote.upload(path.parent.name, path, self._count)

            self.uploaded += persist(attempt, name)
            self.sent_bytes = start + path.stat().st_size
        else:
            tqdm.write(f"{name} is gone and can't be uploaded", file=sys.stdout)
        with self._change:
            self._pending.remove(name)
            self._write_pending()

    def _count(self, count: int) -> None:
        self.sent_bytes += count

    def _write_pending(self) -> None:
        write_whole(self.root / PENDING, lambda file: file.write(json.dumps(self._pending, indent=1).encode()))

    def close(self) -> list[str]:
        """Wait for the uploads with a progress bar. Returns what is still pending; it is also listed on disk."""
        with self._change:
            self._closing = True
            self._change.notify()
        sizes = [(self.root / name).stat().st_size for name in self.pending if (self.root / name).exists()]
        start = self.sent_bytes
        hidden = None if sizes else True  # None: where there is no terminal
        with tqdm(total=sum(sizes), unit="B", unit_scale=True, desc="uploading", disable=hidden) as bar:
            while self.is_alive():
                self.join(0.1)
                bar.n = min(bar.total, max(0, self.sent_bytes - start))
                bar.refresh()
        if self.pending:
            tqdm.write(f"{len(self.pending)} files wait in {shown(self.root / PENDING)}: the next run uploads them",
                       file=sys.stdout)
        return self.pending


def _read_pending(root: Path) -> list[str]:
    file = Path(root) / PENDING
    try:
        return json.loads(file.read_text()) if file.exists() else []
    except ValueError as error:
        raise DriveError(f"{shown(file)} is damaged ({error}): delete it; the recordings are all there") from error


# --- downloading --------------------------------------------------------------------------------------------

def download_recordings(drive, folder: str, to: Path) -> list[Path]:
    """Bring a Drive folder of recordings to disk, for notebook 02: `<to>/<label>/<file>`.

    Files that are there already with the same MD5 are not fetched again; a file is whole or absent.

    Parameters
    ----------
    drive : pydrive2.drive.GoogleDrive
    folder : str
        Name or ID.
    to : Path

    Returns
    -------
    list of Path
        All files of the folder, on disk.

    Raises
    ------
    DriveError
        With advice.
    """
    remote, paths = DriveFolder(drive, folder), []
    root = persist(remote.folder_id, f"looking for {folder}")
    labels = [item for item in persist(lambda: remote.list(root), folder) if item["mimeType"] == FOLDER_TYPE]
    items = [(label["title"], item) for label in labels
             for item in persist(lambda label=label: remote.list(label["id"]), label["title"]) if "md5Checksum" in item]
    for label, item in tqdm(items, desc=f"downloading {folder}", disable=None):
        if Path(label).name != label or Path(item["title"]).name != item["title"]:
            raise DriveError(f"{label}/{item['title']} is no name for a file: rename it in Drive")
        path = Path(to) / label / item["title"]
        if not (path.exists() and md5_of(path) == item["md5Checksum"]):
            persist(lambda item=item, path=path: _download(item, path), f"{label}/{item['title']}")
        paths.append(path)
    return paths


def _download(item, path: Path) -> None:
    def write(file) -> None:
        for piece in item.GetContentIOBuffer():
            file.write(piece)

    write_whole(path, write)
    if md5_of(path) != item["md5Checksum"]:
        path.unlink()
        raise ConnectionError(f"{path.name} arrived damaged")
