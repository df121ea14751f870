"""Recordings to and from Google Drive, by PyDrive2: in the background while one records, or from a notebook.

- A file is uploaded only when the label's folder in Drive has no file of that name and MD5.
- Drive gives out a file's ID before the upload, and every attempt uses this ID. So a second copy can't appear, even
  when Drive's answer is lost or the script is killed.
- `pending_uploads.json` beside the recordings lists what is still to be uploaded.

Notebooks: 01, 02.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Callable

from tqdm.auto import tqdm
from tqdm.utils import CallbackIOWrapper

from ..host.files import shown, write_whole
from .takes import say, write_json

TOKEN = Path.home() / ".config" / "music-genre-pico" / "drive_token.json"  # outside of any repository
SCOPE = "https://www.googleapis.com/auth/drive.file"  # only files that this program made
FULL_SCOPE = "https://www.googleapis.com/auth/drive"
FOLDER_TYPE = "application/vnd.google-apps.folder"
PENDING = "pending_uploads.json"
TIMEOUT = 60.0  # seconds without an answer
ATTEMPTS = 10
FIRST_DELAY, LONGEST_DELAY = 1.0, 64.0  # seconds between attempts: doubled each time
RATE_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded", "backendError")
FULL = ("storageQuotaExceeded", "quotaExceeded", "teamDriveFileLimitExceeded")

ADVICE = {
    "invalid_grant": "Google no longer accepts the saved login (invalid_grant). Delete {token} and run again to log "
                     "in. While the OAuth consent screen is in testing, a login ends after seven days: publish the "
                     "app to keep it",
    "consent": "access was refused (access_denied). Log in again and allow it; while the OAuth consent screen is in "
               "testing, your address must be among its test users (console.cloud.google.com, APIs & Services)",
    "secrets": "{secrets} is missing or no OAuth client. In console.cloud.google.com: enable the Google Drive API, "
               "then Credentials, Create credentials, OAuth client ID, Desktop app, and download it under this name",
    "login": "Google refused the login (401). Delete {token} and run again to log in",
    "quota": "Google Drive is full (storageQuotaExceeded). Make room and run again. A service account has no room of "
             "its own: let it write to a folder of a shared drive, or use an OAuth client",
    "disabled": "the Google Drive API is not enabled for this project: enable it in console.cloud.google.com, wait a "
                "minute, and run again",
    "folder": "this program may not write to that Drive folder or can't find it. Give a folder's name instead of its "
              "ID (it is created), or share the folder with the account that logs in",
    "network": "Google Drive can't be reached: is there a network?",
}


class DriveError(RuntimeError):
    """Drive needs the user: the message says what to do. What was not uploaded stays on the list.

    `transient` is True when trying again later may be enough.
    """

    transient = False


def _pydrive():
    try:
        import pydrive2.auth
        import pydrive2.drive
    except ImportError as error:
        raise DriveError("Google Drive needs the package PyDrive2: pip install PyDrive2") from error
    return pydrive2


def connect():
    """Log in from a notebook: in Colab its way, else as on your own machine. Returns a pydrive2.drive.GoogleDrive."""
    return connect_colab() if "google.colab" in sys.modules else connect_local()


def connect_colab():
    """Log in from Colab, which asks for your consent. Returns a pydrive2.drive.GoogleDrive."""
    if "google.colab" not in sys.modules:
        raise DriveError("this login is Colab's: on your own machine use connect_local()")
    pydrive2 = _pydrive()
    from google.colab import auth as colab_auth
    from oauth2client.client import GoogleCredentials
    colab_auth.authenticate_user()
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT)
    auth.credentials = GoogleCredentials.get_application_default()
    return pydrive2.drive.GoogleDrive(auth)


def connect_local(secrets: Path = Path("client_secrets.json"), token: Path = TOKEN):
    """Log in from this machine: with the browser the first time, afterwards with the saved token.

    Returns a pydrive2.drive.GoogleDrive, or raises a DriveError with advice.

    Parameters
    ----------
    secrets : Path
        From the Google Cloud console: an OAuth client (desktop app), or a service account's key, which needs no token.
    token : Path
        Where the login is kept, readable by you only.
    """
    pydrive2, secrets, token = _pydrive(), Path(secrets), Path(token)
    service = _is_service_account(secrets)
    _make_private(secrets)
    if service:
        settings = {"client_config_backend": "service", "oauth_scope": [FULL_SCOPE],
                    "service_config": {"client_json_file_path": str(secrets), "client_user_email": None}}
    else:
        token.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(token)
        settings = {"client_config_backend": "file", "client_config_file": str(secrets), "save_credentials": True,
                    "save_credentials_backend": "file", "save_credentials_file": str(token),
                    "get_refresh_token": True, "oauth_scope": [SCOPE]}
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT, settings=settings)
    try:
        auth.ServiceAuth() if service else auth.LocalWebserverAuth()
    except Exception as error:
        raise DriveError(explain(error, secrets, token)) from error
    return pydrive2.drive.GoogleDrive(auth)


def _is_service_account(secrets: Path) -> bool:
    try:
        return json.loads(secrets.read_text()).get("type") == "service_account"
    except (OSError, ValueError, AttributeError) as error:
        raise DriveError(ADVICE["secrets"].format(secrets=secrets)) from error


def _make_private(path: Path) -> None:
    """Let only the owner read a file; made when missing, so that it is private before anything is in it."""
    if not path.exists():
        path.touch(0o600)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _http_error(error: BaseException | None) -> tuple[int, str]:
    """HTTP status and Drive's reason of an error, or of the error that caused it; (0, "") when HTTP had no part."""
    from googleapiclient.errors import HttpError
    while error is not None and not isinstance(error, HttpError):
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = inner or error.__cause__ or error.__context__
    if error is None:
        return 0, ""
    try:
        return int(error.resp.status), json.loads(error.content)["error"]["errors"][0]["reason"]
    except (ValueError, KeyError, IndexError, TypeError):
        return int(error.resp.status), ""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: server errors, rate limits, time-outs, no network.

    Drive answers 409 when an attempt that seemed to fail had worked: the next attempt finds the file.
    """
    import httplib2
    from oauth2client.client import HttpAccessTokenRefreshError
    if isinstance(error, HttpAccessTokenRefreshError):
        return str(getattr(error, "status", "")).startswith("5")
    status, reason = _http_error(error)
    if status:
        return status in (408, 409, 429) or status >= 500 or status == 403 and reason in RATE_LIMITS
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
        return False
    return isinstance(error, (httplib2.HttpLib2Error, http.client.HTTPException, OSError))


def explain(error: BaseException, secrets: Path | str = "client_secrets.json", token: Path = TOKEN) -> str:
    """What the user can do about an error."""
    name, text, (status, reason) = type(error).__name__, f"{type(error).__name__}: {error}", _http_error(error)
    cases = {
        "invalid_grant": "invalid_grant" in text,
        "consent": "access_denied" in text or name == "AuthenticationRejected",
        "secrets": name in ("InvalidConfigError", "InvalidClientSecretsError"),
        "login": status == 401,
        "quota": reason in FULL,
        "disabled": reason in ("accessNotConfigured", "SERVICE_DISABLED"),
        "folder": status in (403, 404) and reason not in RATE_LIMITS,
        "network": is_transient(error),
    }
    key = next((key for key, holds in cases.items() if holds), None)
    advice = ADVICE[key].format(secrets=secrets, token=token) if key else "this was not expected"
    return f"{advice}. ({text[:300]})"


def retry(action: Callable, what: str):
    """Do `action()` until it succeeds, with growing pauses. An error that is not transient is a DriveError at once."""
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except Exception as error:
            failure = error
            if not is_transient(error):
                break
            time.sleep(min(LONGEST_DELAY, FIRST_DELAY * 2**attempt) * random.uniform(0.5, 1.0))
    problem = DriveError(f"{what}: {explain(failure)}")
    problem.transient = is_transient(failure)
    raise problem from failure


def md5_of(path: Path) -> str:
    """MD5 of a file, as Drive computes it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class DriveFolder:
    """A folder in Google Drive with one sub-folder per label, created where missing.

    `name` is that of a folder in My Drive, or the ID of any folder (the last part of its address).
    """

    def __init__(self, drive, name: str) -> None:
        self.drive, self.name = drive, name
        self._folders: dict[str | None, str] = {}
        self._ids: dict[tuple[str, str], str] = {}  # given out by Drive, for files that may not exist yet

    def list(self, parent: str, title: str | None = None) -> list:
        """Files and folders in a folder (by ID); with `title` only those of that name."""
        query = f"'{parent}' in parents and trashed = false"
        if title is not None:
            quoted = title.replace("\\", "\\\\").replace("'", "\\'")
            query += f" and title = '{quoted}'"
        return self.drive.ListFile({"q": query}).GetList()

    def folder_id(self, label: str | None = None) -> str:
        """ID of the folder, or of a label's folder in it; created when missing."""
        if label not in self._folders:
            if label is None and re.fullmatch(r"[\w-]{25,}", self.name):
                return self.name
            parent, title = ("root", self.name) if label is None else (self.folder_id(), label)
            found = [item for item in self.list(parent, title) if item["mimeType"] == FOLDER_TYPE]
            self._folders[label] = (found[0] if found else self._insert(parent, title, FOLDER_TYPE))["id"]
        return self._folders[label]

    def _insert(self, parent: str, title: str, mime_type: str, content=None) -> dict:
        """Create a file or folder. All attempts for the same one use the same ID, so that only one can succeed."""
        from googleapiclient.http import MediaIoBaseUpload
        files, http_object = self.drive.auth.service.files(), self.drive.auth.Get_Http_Object()
        key = parent, title
        if key not in self._ids:
            self._ids[key] = files.generateIds(maxResults=1).execute(http=http_object)["ids"][0]
        body = {"id": self._ids[key], "title": title, "mimeType": mime_type, "parents": [{"id": parent}]}
        media = MediaIoBaseUpload(content, mime_type, resumable=True) if content else None
        item = files.insert(body=body, media_body=media, supportsAllDrives=True).execute(http=http_object)
        del self._ids[key]
        return item

    def upload(self, label: str, path: Path, on_bytes: Callable[[int], None]) -> bool:
        """Upload a file, or replace the one of its name; False when Drive has the same content already."""
        folder, md5 = self.folder_id(label), md5_of(path)
        found = self.list(folder, path.name)
        if any(item.get("md5Checksum") == md5 for item in found):
            return False
        with open(path, "rb") as file:
            content = CallbackIOWrapper(on_bytes, file)
            if found:
                item = found[0]
                item.content = content
                item.Upload()
            else:
                mime_type = "audio/wav" if path.suffix == ".wav" else "application/json"
                item = self._insert(folder, path.name, mime_type, content)
        if item["md5Checksum"] != md5:
            raise ConnectionError(f"{path.name} arrived damaged")
        return True


class Uploader(threading.Thread):
    """Uploads takes while others are recorded. Starts with what an earlier run left on the list.

    `folder` is the name or ID of a Drive folder, `root` the folder of the recordings, with a sub-folder per label.
    """

    def __init__(self, drive, folder: str, root: Path) -> None:
        super().__init__(daemon=True)
        self.remote, self.root = DriveFolder(drive, folder), Path(root)
        self.failed: list[str] = []
        self.uploaded = self.sent_bytes = 0
        self._change = threading.Condition()
        self._closing = False
        listed = self.root / PENDING
        try:
            self._pending = json.loads(listed.read_text()) if listed.exists() else []
        except ValueError as error:
            raise DriveError(f"{shown(listed)} is damaged ({error}): delete it; all recordings are there") from error

    @property
    def pending(self) -> list[str]:
        """Files not uploaded yet, relative to the root."""
        with self._change:
            return list(self._pending)

    def add_take(self, path: Path) -> None:
        """Add a take: its WAV and its sidecar. Both are on the list on disk when this returns."""
        files = [file for file in (Path(path), Path(path).with_suffix(".json")) if file.exists()]
        with self._change:
            names = [file.relative_to(self.root).as_posix() for file in files]
            self._pending += [name for name in names if name not in self._pending]
            write_json(self.root / PENDING, self._pending)
            self._change.notify()

    def run(self) -> None:
        """Body of the thread. Ends when every file was tried and `close` was called."""
        while (name := self._next()) is not None:
            try:
                self._upload(name)
            except DriveError as error:
                say(f"not uploaded: {error}")
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
        path, start = self.root / name, self.sent_bytes

        def attempt() -> bool:
            self.sent_bytes = start
            return self.remote.upload(path.parent.name, path, self._count)

        if path.exists():
            self.uploaded += retry(attempt, name)
            self.sent_bytes = start + path.stat().st_size
        else:
            say(f"{name} is gone and can't be uploaded")
        with self._change:
            self._pending.remove(name)
            write_json(self.root / PENDING, self._pending)

    def _count(self, count: int) -> None:
        self.sent_bytes += count

    def close(self) -> list[str]:
        """Wait for the uploads, with a progress bar. Returns what is still to be uploaded."""
        with self._change:
            self._closing = True
            self._change.notify()
        sizes = [(self.root / name).stat().st_size for name in self.pending if (self.root / name).exists()]
        start = self.sent_bytes
        disable = None if sizes else True  # None: disabled where there is no terminal
        with tqdm(total=sum(sizes), unit="B", unit_scale=True, desc="uploading", disable=disable) as bar:
            while self.is_alive():
                self.join(0.1)
                bar.n = min(bar.total, max(0, self.sent_bytes - start))
                bar.refresh()
        if self.pending:
            say(f"{len(self.pending)} files wait in {shown(self.root / PENDING)}: the next run uploads them")
        return self.pending


def download_recordings(drive, folder: str, to: Path) -> list[Path]:
    """Download a Drive folder of recordings to `<to>/<label>/<file>`; returns the paths of all its files.

    `folder` is a name or an ID. Files that are there already with the same MD5 are not fetched again; a file is whole
    or absent. A DriveError gives advice.
    """
    remote, paths = DriveFolder(drive, folder), []
    root = retry(remote.folder_id, f"looking for {folder}")
    labels = [item for item in retry(lambda: remote.list(root), folder) if item["mimeType"] == FOLDER_TYPE]
    items = [(label["title"], item) for label in labels
             for item in retry(lambda label=label: remote.list(label["id"]), label["title"]) if "md5Checksum" in item]
    for label, item in tqdm(items, desc=f"downloading {folder}", disable=None):
        if Path(label).name != label or Path(item["title"]).name != item["title"]:
            raise DriveError(f"{label}/{item['title']} is no name for a file: rename it in Drive")
        path = Path(to) / label / item["title"]
        if not (path.exists() and md5_of(path) == item["md5Checksum"]):
            retry(lambda item=item, path=path: _download(item, path), f"{label}/{item['title']}")
        paths.append(path)
    return paths


def _download(item, path: Path) -> None:
    write_whole(path, lambda file: file.writelines(item.GetContentIOBuffer()))
    if md5_of(path) != item["md5Checksum"]:
        path.unlink()
        raise ConnectionError(f"{path.name} arrived damaged")
