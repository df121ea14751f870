"""Recordings to and from Google Drive, by PyDrive2: in the background while one records, or from a notebook.

- A file is uploaded only when the label's folder in Drive has no file of that name and MD5.
- Drive gives out a file's ID before the upload, and every attempt uses this ID. So a second copy can't appear, even
  when Drive's answer is lost or the script is killed.
- `pending_uploads.json` beside the recordings lists what is still to be uploaded.

Notebooks: 01, 02.
"""

import hashlib
import json
import random
import re
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import Callable
from urllib.parse import parse_qsl

from tqdm.auto import tqdm
from tqdm.utils import CallbackIOWrapper

from ..host.command_line import ask
from ..host.files import shown, write_whole
from .drive_errors import ADVICE, TOKEN, DriveError, explain, http_error, is_transient
from .takes import say, write_json

SCOPE = "https://www.googleapis.com/auth/drive"  # all files; with .file only those that this program made
FOLDER_TYPE = "application/vnd.google-apps.folder"
ADDRESS = re.compile(r"(?:https?://|\bgoogle\.com/)\S*?(?:\bfolders/|[?&]id=)([\w-]+)", re.I)  # in the browser
NO_NAME = re.compile(r"^$|://|\bgoogle\.com(?:/|$)", re.I)  # no folder is looked for, or made, by such a name
USUAL_ID = re.compile(r"1[\w-]{32}|0B[\w-]{26}|0A[\w-]{17}")  # what Drive gives out today; any may come
LOGIN_SECONDS = 300.0  # so long the browser may take to answer
ANSWERS = {"code", "error"}  # one of them is in Google's answer to a login
PENDING = "pending_uploads.json"
TIMEOUT = 60.0  # seconds without an answer
ATTEMPTS = 10
FIRST_DELAY, LONGEST_DELAY = 1.0, 64.0  # seconds between attempts: doubled each time


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
    """Log in from this machine: with a browser (here or elsewhere) the first time, afterwards with the saved token.

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
        settings = {"client_config_backend": "service", "oauth_scope": [SCOPE],
                    "service_config": {"client_json_file_path": str(secrets), "client_user_email": None}}
    else:
        try:
            token.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(token)
        except OSError as error:
            raise DriveError(f"the login can't be kept in {token} ({error}): move away what is in its place") from error
        settings = {"client_config_backend": "file", "client_config_file": str(secrets), "save_credentials": True,
                    "save_credentials_backend": "file", "save_credentials_file": str(token),
                    "get_refresh_token": True, "oauth_scope": [f"{SCOPE}.file"]}
    auth = pydrive2.auth.GoogleAuth(settings_file=None, http_timeout=TIMEOUT, settings=settings)
    try:
        if not service:
            auth.GetFlow()
        auth.ServiceAuth() if service else pydrive2.auth.CheckAuth(_ask_for_code)(auth)
    except Exception as error:
        guilty = "key" if service else "login" if auth.flow else "secrets"
        raise DriveError(explain(error, secrets, token, guilty)) from error
    return pydrive2.drive.GoogleDrive(auth)


def _ask_for_code(auth) -> str:
    """Let the user allow access in a browser; returns the code that Google then sends to this computer."""
    # PyDrive2's own way waits without limit, and Google has closed the one that it offers without a browser
    server, deadline = _listen(), time.monotonic() + LOGIN_SECONDS
    auth.flow.redirect_uri = f"http://localhost:{server.server_port}/"
    page = auth.GetAuthUrl()
    say(f"to let this program use Google Drive, open this page and allow it:\n\n    {page}\n")
    with server:
        opened = webbrowser.open(page) is not False
        while opened and ANSWERS.isdisjoint(server.query_params) and (left := deadline - time.monotonic()) > 0:
            server.timeout = left
            server.handle_request()
    answer = _ask_for_address() if ANSWERS.isdisjoint(server.query_params) else server.query_params
    if "code" not in answer:
        raise RuntimeError(f"access_denied: {answer}")
    return answer["code"]


def _listen():
    """A server for the browser's answer. It leaves one that connects and says nothing alone after five seconds."""
    from oauth2client.tools import ClientRedirectHandler, ClientRedirectServer
    handler = type("Handler", (ClientRedirectHandler,), {"timeout": 5})
    for port in (8080, 8090, 0):  # 0: any that is free
        try:
            return ClientRedirectServer(("localhost", port), handler)
        except OSError:
            say(f"port {port} is taken by another program: trying another one, as OAuth clients for desktop apps may")


def _ask_for_address() -> dict[str, str]:
    """Ask for the address at which a browser on another computer ended; returns what it says: code or error."""
    if not sys.stdin.isatty() and type(input) is type(len):  # else a terminal, or a notebook, whose input() is Python
        raise EOFError("no terminal")
    say("no browser answers here. Open the page on any computer and allow access. The browser then shows an error: "
        "copy the address from its address bar. (A service account's key as client secrets needs none of this.)")
    while True:
        text = _bare(ask("address > "))  # an address, what follows its ? or #, or a code alone
        query = f"code={text}" if re.fullmatch(r"[\w/.~%-]+", text) else re.sub("[?#]", "&", text)
        if not ANSWERS.isdisjoint(answer := dict(parse_qsl(query))):
            return answer
        say(f"there is no code in this: {text[:80]!r}. Allow access on the page above first, then copy the address")


def _is_service_account(secrets: Path) -> bool:
    try:
        return json.loads(secrets.read_text()).get("type") == "service_account"
    except (OSError, ValueError, AttributeError) as error:
        raise DriveError(ADVICE["secrets"].format(secrets=secrets)) from error


def _make_private(path: Path) -> None:
    """Let only the owner read a file; made when missing, so that it is private before anything is in it."""
    if not path.exists():
        path.touch(0o600)
    open(path, "rb").close()  # fails for a folder
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:  # the file is someone else's, or its disk has no modes
        say(f"others can read {shown(path)}, and this can't be changed ({error.strerror}): keep it in your own folder")


def retry(action: Callable, what: str):
    """Do `action()` until it succeeds, with growing pauses. An error that is not transient is a DriveError at once."""
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except DriveError:  # says what to do already
            raise
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


def _bare(pasted: str) -> str:
    """A name, ID or address without what was copied along with it: spaces, <>, quotes and a final /."""
    return re.sub(r"""^[<"']([^<>"']*)[>"']$""", r"\1", pasted.strip()).strip().rstrip("/ ")


class DriveFolder:
    """A folder in Drive with a sub-folder per label. `name`: a name in My Drive, or the ID or address of any folder."""

    def __init__(self, drive, name: str) -> None:
        self.drive, self.name = drive, _bare(name)
        self._folders: dict[str | None, tuple[str, ...]] = {}
        self._ids: dict[tuple[str, str], str] = {}  # given out by Drive, for files that may not exist yet

    def list(self, parent: str, title: str | None = None) -> list:
        """Files and folders in a folder (by ID); with `title` only those of that name."""
        query = f"'{parent}' in parents and trashed = false"
        if title is not None:
            query += " and title = '%s'" % re.sub(r"([\\'])", r"\\\1", title)
        return self.drive.ListFile({"q": query}).GetList()  # PyDrive2 lists shared drives, too

    def folder_id(self, label: str | None = None) -> str:
        """ID of the folder, or of a label's folder in it; created when missing."""
        return self.folder_ids(label)[0]

    def folder_ids(self, label: str | None = None, create: bool = True) -> tuple[str, ...]:
        """IDs of all folders of the name; one is created when none is there, or without `create` a DriveError."""
        if label not in self._folders:
            parent, title = ("root", self.name) if label is None else (self.folder_id(), label)
            items = [] if NO_NAME.search(title) else self.list(parent, title)
            found = [item for item in items if item["mimeType"] == FOLDER_TYPE]
            found = found or (self._by_id() if label is None else [])
            if not found and (not create or NO_NAME.search(title) or re.search("/|^my ?drive$", title, re.I)):
                raise DriveError(f"this program sees no folder {title!r} in My Drive: give a folder's own name (no "
                                 "path, nor My Drive itself), or its address as the browser shows it")
            self._folders[label] = tuple(item["id"] for item in found or [self._insert(parent, title, FOLDER_TYPE)])
        return self._folders[label]

    def _by_id(self) -> list:
        """The folder of which `name` is the ID or the address; empty when it is neither."""
        address = ADDRESS.search(self.name)
        if not (address or re.fullmatch(r"[\w-]{15,}", self.name)):
            return []
        item = self.drive.CreateFile({"id": address[1] if address else self.name})
        try:
            item.FetchMetadata()
        except OSError as error:
            if http_error(error)[0] == 404 and not (address or USUAL_ID.fullmatch(self.name)):
                return []  # a long name
            raise
        if item["mimeType"] != FOLDER_TYPE or item["labels"]["trashed"]:
            raise DriveError(f"{self.name} is {item['title']!r}, a file or in the bin: choose a folder")
        return [item]

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
            paths = [Path(name) for name in self._pending] if isinstance(self._pending, list) else [Path()]
            if any(path.anchor or ".." in path.parts or len(path.parts) < 2 for path in paths):
                raise ValueError("no list of <label>/<file>")
        except (OSError, TypeError, ValueError) as error:
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
            while not (todo := [name for name in self._pending if name not in self.failed]) and not self._closing:
                self._change.wait()
            return todo[0] if todo else None

    def _upload(self, name: str) -> None:
        path, start = self.root / name, self.sent_bytes

        def attempt() -> bool:
            self.sent_bytes = start
            return self.remote.upload(path.parent.name, path, self._count)

        if path.is_file():
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
        start, disable = self.sent_bytes, None if sizes else True  # None: disabled where there is no terminal
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

    `folder` is a name (all folders of it are read), an ID or an address. Files of the same MD5 are not fetched again; a
    file is whole or absent. Of files of one name the oldest keeps it. What is left out is named; a DriveError advises.
    """
    remote = DriveFolder(drive, folder)
    roots = retry(lambda: remote.folder_ids(create=False), f"looking for {folder}")
    top = [item for root in roots for item in retry(lambda root=root: remote.list(root), folder)]
    items = [(label, item) for label in top if label["mimeType"] == FOLDER_TYPE
             for item in retry(lambda label=label: remote.list(label["id"]), label["title"])]
    left = [item["title"] for item in top if item["mimeType"] != FOLDER_TYPE]
    left += [f"{label['title']}/{item['title']}" for label, item in items if "md5Checksum" not in item]
    if left:
        say(f"not downloaded, as only files in a label's folder are: {', '.join(left[:9])}{' ...' if left[9:] else ''}")
    paths = _own_paths([(label, item) for label, item in items if "md5Checksum" in item], Path(to))
    if files := [place for place in {place for path in paths for place in path.parents} if place.is_file()]:
        raise DriveError(f"{shown(files[0])} is a file where a folder is needed: move it, or choose another folder")
    for path, item in tqdm(paths.items(), desc=f"downloading {folder}", disable=None):
        if not (path.exists() and md5_of(path) == item["md5Checksum"]):
            retry(lambda item=item, path=path: _download(drive, item, path), f"{path.parent.name}/{item['title']}")
    return list(paths)


def _own_paths(items: list[tuple[dict, dict]], to: Path) -> dict[Path, dict]:
    """A path for each (folder, file): in Drive two files may have one name, or names that differ only in case."""
    paths, taken, sounds = {}, {}, {}
    for folder, item in sorted(items, key=lambda pair: (
            pair[1]["title"].endswith(".json"), pair[1].get("createdDate", ""), pair[1]["id"])):
        label, name, number = folder["title"], Path(item["title"]), 1
        if any(title in ("", "..") or Path(title).name != title for title in (label, item["title"])):
            raise DriveError(f"{label}/{item['title']} is no name for a file: rename it in Drive")
        take = sounds.setdefault((folder["id"], name.stem), [])  # the second a.json belongs to the second a.wav
        if name.suffix == ".json" and take:
            name = take.pop(0).with_suffix(".json")
        path = to / label / name
        while taken.setdefault(str(path).lower(), item["md5Checksum"]) != item["md5Checksum"]:
            number += 1
            path = path.with_name(f"{name.stem} ({number}){name.suffix}")
        paths[path] = item
        take.append(Path(path.name))
    return paths


def _download(drive, item: dict, path: Path) -> None:
    # PyDrive2's own way to read a file leaves out supportsAllDrives
    request = drive.auth.service.files().get_media(fileId=item["id"], supportsAllDrives=True)
    content = request.execute(http=drive.auth.Get_Http_Object())
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != item["md5Checksum"]:
        raise ConnectionError(f"{path.name} arrived damaged")
    write_whole(path, lambda file: file.write(content))
