"""Uploads and downloads with the real PyDrive2 and google-api-python-client against a stand-in for Drive."""

import json
import os
import stat
import subprocess
import sys
import time
import types
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("pydrive2", reason="PyDrive2 is an extra: pip install PyDrive2")
from drive_server import DriveServer, add_all, logged_in, redirected  # noqa: E402

from mgr_helpers.record import drive  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
LONG = bool(os.environ.get("MGR_LONG"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(drive, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(drive, "LONGEST_DELAY", 0.01)


@pytest.fixture
def server():
    with DriveServer() as running, redirected(running.url):
        yield running


def make_takes(root, count, labels=("disco", "jazz", "metal")):
    """Write small takes; returns {label: {file name: content}}."""
    expected = {}
    for index in range(count):
        label = labels[index % len(labels)]
        (root / label).mkdir(parents=True, exist_ok=True)
        for suffix in (".wav", ".json"):
            content = f"{label} {index} {suffix} ".encode() * 50
            (root / label / f"{label}_{index}{suffix}").write_bytes(content)
            expected.setdefault(label, {})[f"{label}_{index}{suffix}"] = content
    return expected


def upload_all(server, root, folder="recordings"):
    uploader = drive.Uploader(logged_in(server.url), folder, root)
    add_all(uploader)
    uploader.start()
    uploader.close()
    return uploader


def test_upload_creates_folders_and_sends_no_file_twice(server, tmp_path):
    expected = make_takes(tmp_path, 4)
    assert upload_all(server, tmp_path).uploaded == 8
    assert server.contents("recordings") == expected
    assert upload_all(server, tmp_path).uploaded == 0 and server.contents("recordings") == expected
    assert json.loads((tmp_path / drive.PENDING).read_text()) == []


def test_changed_sidecar_replaces_the_old_one(server, tmp_path):
    make_takes(tmp_path, 1)
    upload_all(server, tmp_path)
    (tmp_path / "disco" / "disco_0.json").write_bytes(b"{}")
    upload_all(server, tmp_path)
    assert server.contents("recordings")["disco"]["disco_0.json"] == b"{}"


def test_folder_name_with_quotes(server, tmp_path):
    folder = "rock'n'roll \\ 1"
    expected = make_takes(tmp_path, 1, ["jazz"])
    upload_all(server, tmp_path, folder)
    upload_all(server, tmp_path, folder)
    assert server.contents(folder) == expected


@pytest.mark.slow
def test_failing_requests_lose_and_double_no_file(tmp_path):
    """Many files, while a fifth of the requests fail in seven ways."""
    count = 100 if LONG else 8  # takes, of two files each
    expected = make_takes(tmp_path, count)
    with DriveServer(fault_rate=0.2, seed=1) as server, redirected(server.url):
        rounds = 1
        while upload_all(server, tmp_path).pending:
            rounds += 1
        print(f"{2 * count} files, {server.requests} requests, {server.faults} failed, {rounds} rounds")
        assert server.contents("recordings") == expected
        assert server.faults > 0.1 * server.requests
        fetched = drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "again")
    wanted = {name: content for files in expected.values() for name, content in files.items()}
    assert {path.name: path.read_bytes() for path in fetched} == wanted


def test_next_run_continues_after_a_kill(server, tmp_path):
    expected = make_takes(tmp_path, 6)
    server.slow_upload = 0.15
    script = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
              "from pathlib import Path; from drive_server import *; from mgr_helpers.record import drive\n"
              f"with redirected({server.url!r}, 5):\n"
              f"    up = drive.Uploader(logged_in({server.url!r}), 'recordings', Path({str(tmp_path)!r}))\n"
              "    add_all(up); up.start(); up.close()\n")
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script])
    while len(server.sessions) < 4:
        assert process.poll() is None, "the script ended by itself"
        time.sleep(0.01)
    time.sleep(0.05)  # within the fourth upload
    process.kill()
    process.wait()
    left = json.loads((tmp_path / drive.PENDING).read_text())
    assert 0 < len(left) < 12
    time.sleep(0.3)
    server.slow_upload = 0
    uploader = drive.Uploader(logged_in(server.url), "recordings", tmp_path)  # as the next run: only the list
    uploader.start()
    assert uploader.close() == [] and server.contents("recordings") == expected


def failing_upload(server, tmp_path, capsys):
    expected = make_takes(tmp_path, 2)
    uploader = upload_all(server, tmp_path)
    assert len(uploader.pending) == 4 and all((tmp_path / name).exists() for name in uploader.pending)
    said = capsys.readouterr().out
    server.refuse = server.token_error = None
    upload_all(server, tmp_path)
    assert server.contents("recordings") == expected  # the next run picks it up
    return said


@pytest.mark.parametrize("status, reason, advice", [
    (403, "storageQuotaExceeded", "Make room"), (403, "accessNotConfigured", "enable it in console"),
    (403, "insufficientFilePermissions", "Give a folder's name"), (404, "notFound", "Give a folder's name"),
    (401, "authError", "Delete .*drive_token.json"), (500, "internalError", "is there a network"),
])
def test_refusals_are_explained_and_nothing_is_lost(server, tmp_path, capsys, status, reason, advice):
    import re
    server.refuse = (status, reason)
    said = failing_upload(server, tmp_path, capsys)
    assert re.search(advice, said) and "4 files wait" in said


def test_expired_login_during_upload(server, tmp_path, capsys):
    server.refuse, server.token_error = (401, "authError"), "invalid_grant"
    said = failing_upload(server, tmp_path, capsys)
    assert "invalid_grant" in said and "Delete" in said and "seven days" in said


def test_no_network(tmp_path, capsys):
    make_takes(tmp_path, 1)
    with DriveServer() as server:
        url = server.url
    with redirected(url):
        uploader = drive.Uploader(logged_in(url), "recordings", tmp_path)
        add_all(uploader)
        uploader.start()
        assert len(uploader.close()) == 2
    assert "is there a network" in capsys.readouterr().out


def test_damaged_pending_list_is_reported(tmp_path):
    (tmp_path / drive.PENDING).write_text("[")
    with pytest.raises(drive.DriveError, match="pending_uploads.json is damaged"):
        drive.Uploader(None, "", tmp_path)


def test_download_fetches_only_what_is_missing(server, tmp_path):
    make_takes(tmp_path / "local", 3)
    upload_all(server, tmp_path / "local")
    first = drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "to")
    requests = server.requests
    first[0].write_bytes(b"damaged")
    again = drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "to")
    assert again == first and first[0].read_bytes() != b"damaged"
    assert server.requests - requests == 6  # the folder, its labels, three lists, one file


def test_download_refuses_names_that_leave_the_folder(server, tmp_path):
    root = server.store({"title": "recordings", "mimeType": "application/vnd.google-apps.folder"})
    label = server.store({"title": "jazz", "mimeType": "application/vnd.google-apps.folder", "parents": [root]})
    server.store({"title": "../../evil.wav", "parents": [label]}, b"x")
    with pytest.raises(drive.DriveError, match="rename it"):
        drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "to")
    assert not list(tmp_path.rglob("evil*"))


# --- logging in ---------------------------------------------------------------------------------------------

@pytest.fixture
def secrets(server, tmp_path):
    file = tmp_path / "client_secrets.json"
    file.write_text(json.dumps({"installed": {
        "client_id": "id", "client_secret": "secret", "redirect_uris": ["http://localhost"],
        "auth_uri": f"{server.url}/auth", "token_uri": f"{server.url}/token"}}))
    return file


def browser(monkeypatch, query):
    """A browser whose user has answered the consent screen: Google then calls the server that the script has opened."""
    import threading
    import webbrowser

    def open_page(page, **options):
        back = urllib.parse.parse_qs(urllib.parse.urlparse(page).query)["redirect_uri"][0]
        threading.Timer(0.2, lambda: urllib.request.urlopen(f"{back}?{query}").read()).start()

    monkeypatch.setattr(webbrowser, "open", open_page)


def test_login_saves_a_private_token_and_uses_it_again(server, secrets, tmp_path, monkeypatch, capsys):
    token = tmp_path / "config" / "token.json"
    browser(monkeypatch, "code=abc")
    drive.connect_local(secrets, token)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600 and "again" in token.read_text()
    token.chmod(0o644)
    monkeypatch.setattr("webbrowser.open", lambda *args, **options: pytest.fail("logged in already"))
    found = drive.connect_local(secrets, token)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    expected = make_takes(tmp_path / "takes", 1)
    uploader = drive.Uploader(found, "recordings", tmp_path / "takes")
    add_all(uploader)
    uploader.start()
    assert uploader.close() == [] and server.contents("recordings") == expected


def test_refused_consent_and_revoked_login(server, secrets, tmp_path, monkeypatch, capsys):
    token = tmp_path / "token.json"
    browser(monkeypatch, "error=access_denied")
    with pytest.raises(drive.DriveError, match="test users"):
        drive.connect_local(secrets, token)
    browser(monkeypatch, "code=abc")
    drive.connect_local(secrets, token)
    saved = json.loads(token.read_text())
    token.write_text(json.dumps({**saved, "token_expiry": "2020-01-01T00:00:00Z"}))
    server.token_error = "invalid_grant"
    with pytest.raises(drive.DriveError, match="invalid_grant.*token.json"):
        drive.connect_local(secrets, token)


@pytest.mark.parametrize("content", [None, "no JSON", "{}", '{"web": {}}'])
def test_missing_client_secrets_are_explained(tmp_path, content):
    file = tmp_path / "client_secrets.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(drive.DriveError, match="OAuth client"):
        drive.connect_local(file, tmp_path / "token.json")


def test_service_account(server, tmp_path):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                            serialization.NoEncryption()).decode()
    file = tmp_path / "service.json"
    file.write_text(json.dumps({"type": "service_account", "client_email": "a@b.c", "private_key": pem,
                                "client_id": "1", "private_key_id": "k", "token_uri": f"{server.url}/token"}))
    expected = make_takes(tmp_path / "takes", 1)
    uploader = drive.Uploader(drive.connect_local(file), "recordings", tmp_path / "takes")
    add_all(uploader)
    uploader.start()
    assert uploader.close() == [] and server.contents("recordings") == expected


def test_colab_login(server, monkeypatch):
    with pytest.raises(drive.DriveError, match="connect_local"):
        drive.connect_colab()
    asked = []
    colab = types.ModuleType("google.colab")
    colab.auth = types.SimpleNamespace(authenticate_user=lambda: asked.append(True))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr("oauth2client.client.GoogleCredentials.get_application_default",
                        lambda: logged_in(server.url).auth.credentials)
    assert drive.DriveFolder(drive.connect_colab(), "recordings").folder_id() and asked
    assert drive.DriveFolder(drive.connect(), "recordings").folder_id() and len(asked) == 2  # as a notebook does
    monkeypatch.delitem(sys.modules, "google.colab")
    monkeypatch.setattr(drive, "connect_local", lambda: "local")
    assert drive.connect() == "local"


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydrive2", None)
    monkeypatch.setitem(sys.modules, "pydrive2.auth", None)
    with pytest.raises(drive.DriveError, match="pip install PyDrive2"):
        drive._pydrive()


@pytest.mark.skipif(os.name == "nt", reason="no modes here")
def test_the_oauth_client_is_made_private(tmp_path):
    secrets = tmp_path / "client_secrets.json"
    secrets.write_text('{"installed": {}}')
    secrets.chmod(0o644)
    with pytest.raises(drive.DriveError):
        drive.connect_local(secrets, tmp_path / "token.json")
    assert [path.stat().st_mode & 0o777 for path in (secrets, tmp_path / "token.json")] == [0o600, 0o600]
