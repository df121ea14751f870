"""A stand-in for Google Drive on 127.0.0.1: the part of API v2 that PyDrive2 calls, and OAuth's token endpoint.

It keeps files in memory and can fail in the ways that Drive and networks do. `redirected` makes the real PyDrive2 and
google-api-python-client talk to it instead of Google.
"""

import contextlib
import hashlib
import json
import random
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER_TYPE = "application/vnd.google-apps.folder"
FAULTS = ("before", "after", "drop", "drop_after", "slow", "rate", "html")


class DriveServer(ThreadingHTTPServer):
    """Requests fail at random (`fault_rate`, by one of FAULTS), or all with one answer (`refuse`: status, reason)."""

    daemon_threads = True

    def __init__(self, fault_rate=0.0, seed=0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files, self.sessions, self.lock = {}, {}, threading.RLock()
        self.fault_rate, self.random = fault_rate, random.Random(seed)
        self.refuse = self.token_error = None
        self.requests = self.faults = self.slow_upload = 0
        self.slow_seconds = 0.6
        self.next_id = 0
        self.shared_drive = None  # ID of a folder that only requests see that know shared drives

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Nothing: tests make clients that go away."""

    def new_id(self):
        self.next_id += 1
        return f"id{self.next_id:030d}"

    def store(self, metadata, content=None, file_id=None):
        with self.lock:
            file_id, made = file_id or self.new_id(), f"2026-01-01T00:00:{len(self.files):06d}Z"
            before = self.files.get(file_id, {"labels": {"trashed": False}, "createdDate": made})
            item = {**before, **metadata, "id": file_id}
            item["parents"] = item.get("parents") or [{"id": "root"}]
            if content is not None:
                item |= {"content": content, "md5Checksum": hashlib.md5(content).hexdigest()}
            self.files[file_id] = item
            return item

    def contents(self, folder):
        """{label: {title: content}} of a folder. Fails when a title occurs twice."""
        found = {}
        (root,) = [item for item in self.files.values() if item["title"] == folder]
        for label in self.children(root["id"]):
            assert label["title"] not in found, "a folder twice"
            titles = [item["title"] for item in self.children(label["id"])]
            assert len(titles) == len(set(titles)), "a file twice"
            found[label["title"]] = {item["title"]: item["content"] for item in self.children(label["id"])}
        return found

    def is_shared(self, item):
        """Whether a file is in the shared drive."""
        while item and item["id"] != self.shared_drive:
            item = self.files.get(item["parents"][0]["id"])
        return bool(item)

    def children(self, parent):
        return [item for item in self.files.values() if parent in [p["id"] for p in item["parents"]]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.answer()

    do_POST = do_PUT = do_PATCH = do_GET

    def answer(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/token":
            return self.token(dict(urllib.parse.parse_qsl(body.decode())))
        with server.lock:
            server.requests += 1
            fault = server.random.choice(FAULTS) if server.random.random() < server.fault_rate else None
            server.faults += fault is not None
        if server.refuse:
            return self.fail(*server.refuse)
        if fault == "before":
            return self.fail(500, "internalError")
        if fault == "rate":
            return self.fail(403, "userRateLimitExceeded")
        if fault == "html":
            return self.send(502, b"<html>bad gateway</html>", "text/html")
        if fault == "drop":
            return self.drop()
        if fault == "slow":
            time.sleep(server.slow_seconds)
        status, reply, headers = self.act(url.path, query, body)
        if fault == "after":
            return self.fail(503, "backendError")
        if fault == "drop_after":
            return self.drop()
        return self.send(status, reply, **headers)

    def act(self, path, query, body):
        """Do what Drive would; returns status, JSON or bytes, headers."""
        server = self.server
        knows_shared = query.get("supportsAllDrives") == "true"
        if path == "/drive/v2/files" and self.command == "GET":
            return 200, self.search(query["q"], knows_shared and query.get("includeItemsFromAllDrives") == "true"), {}
        if path == "/drive/v2/files/generateIds":
            return 200, {"ids": [server.new_id()], "space": "drive"}, {}
        if path == "/drive/v2/files":
            return self.insert(json.loads(body), knows_shared=knows_shared)
        if match := re.fullmatch(r"/upload/drive/v2/files(?:/(\w+))?", path):
            session = server.new_id()
            server.sessions[session] = (json.loads(body or b"{}"), match[1], knows_shared)
            return 200, {}, {"Location": f"{server.url}/session/{session}"}
        if path.startswith("/session/"):
            time.sleep(server.slow_upload)
            metadata, file_id, knows_shared = server.sessions[path.rsplit("/")[-1]]
            return self.insert(metadata, body, file_id, knows_shared)
        item = server.files.get(path.rsplit("/")[-1])
        if item is None or server.is_shared(item) and not knows_shared:
            return 404, error_body(404, "notFound"), {}
        return 200, item["content"] if query.get("alt") == "media" else public(item), {}

    def insert(self, metadata, content=None, file_id=None, knows_shared=False):
        """files.insert and, with a file_id, files.update."""
        with self.server.lock:
            there = self.server.files.get(file_id or metadata["parents"][0]["id"])
            if there and self.server.is_shared(there) and not knows_shared:
                return 404, error_body(404, "notFound"), {}
            if file_id is None and metadata.get("id") in self.server.files:
                return 409, error_body(409, "fileIdInUse"), {}
            return 200, public(self.server.store(metadata, content, file_id or metadata.get("id"))), {}

    def search(self, text, knows_shared):
        """files.list for the queries of record/drive.py."""
        parent = re.search(r"'((?:[^'\\]|\\.)*)' in parents", text)[1]
        title = re.search(r"title = '((?:[^'\\]|\\.)*)'", text)
        wanted = re.sub(r"\\(.)", r"\1", title[1]) if title else None
        found = [item for item in self.server.children(parent) if (wanted is None or item["title"] == wanted)
                 and (knows_shared or not self.server.is_shared(item))]
        return {"items": [public(item) for item in found], "nextPageToken": None}

    def token(self, form):
        if self.server.token_error:
            return self.send(400, {"error": self.server.token_error, "error_description": "expired or revoked"})
        reply = {"access_token": "fresh", "expires_in": 3600, "token_type": "Bearer"}
        if form["grant_type"] == "authorization_code":
            reply["refresh_token"] = "again"
        return self.send(200, reply)

    def fail(self, status, reason):
        self.send(status, error_body(status, reason))

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def send(self, status, reply, kind="application/json", **headers):
        data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        with contextlib.suppress(OSError):  # the client was killed, or didn't wait
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)


def public(item):
    return {key: value for key, value in item.items() if key != "content"}


def error_body(status, reason):
    return {"error": {"code": status, "message": reason, "errors": [{"domain": "global", "reason": reason}]}}


@contextlib.contextmanager
def redirected(url, timeout=0.4):
    """Send PyDrive2's requests for www.googleapis.com to the server at `url`; `timeout` in seconds."""
    import httplib2
    from pydrive2.auth import GoogleAuth

    class LocalHttp(httplib2.Http):
        def request(self, uri, *args, **kwargs):
            return super().request(re.sub(r"^https://www\.googleapis\.com", url, uri), *args, **kwargs)

    original = GoogleAuth._build_http

    def build_http(self):
        http = LocalHttp(timeout=timeout)
        http.redirect_codes = http.redirect_codes - {308}
        return http

    GoogleAuth._build_http = build_http
    try:
        yield
    finally:
        GoogleAuth._build_http = original


def add_all(uploader):
    """Give an uploader every take under its root."""
    for path in sorted(uploader.root.glob("*/*.wav")):
        uploader.add_take(path)


def logged_in(url):
    """A GoogleDrive that is logged in, as after loading a saved token."""
    import datetime
    from oauth2client.client import OAuth2Credentials
    from pydrive2.auth import GoogleAuth
    from pydrive2.drive import GoogleDrive
    auth = GoogleAuth(settings_file=None, http_timeout=1.0)
    expiry = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
    auth.credentials = OAuth2Credentials("token", "id", "secret", "refresh", expiry, f"{url}/token", "test")
    return GoogleDrive(auth)
