"""Uploads and downloads with the real PyDrive2 and google-api-python-client against a stand-in for Drive."""

import contextlib
import itertools
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
FOLDER = "application/vnd.google-apps.folder"
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


@pytest.mark.parametrize("folder", ["rock'n'roll \\ 1", "AC/DC", "My Drive"])
def test_odd_name_of_a_folder_that_is_there(server, tmp_path, folder):
    server.store({"title": folder, "mimeType": FOLDER})
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


@pytest.mark.parametrize("content", ["[", "{}", '"x"', "null", "[1]", '[["a"]]', '["../afile"]', '["jazz/../../a"]',
                                     '["/etc/hosts"]', '[""]', '["jazz"]', None])
def test_damaged_pending_list_is_reported(tmp_path, content):
    if content is None:
        (tmp_path / drive.PENDING).mkdir()
    else:
        (tmp_path / drive.PENDING).write_text(content)
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


@pytest.mark.parametrize("folder, file", [
    ("jazz", "../../evil.wav"), ("..", "evil.wav"), ("", "evil.wav"), ("jazz", ".."), ("jazz", "")])
def test_download_refuses_names_that_leave_the_folder(server, tmp_path, folder, file):
    root = server.store({"title": "recordings", "mimeType": "application/vnd.google-apps.folder"})
    label = server.store({"title": folder, "mimeType": "application/vnd.google-apps.folder", "parents": [root]})
    server.store({"title": file, "parents": [label]}, b"x")
    with pytest.raises(drive.DriveError, match="no name for a file: rename it"):
        drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "to")
    assert not list(tmp_path.rglob("evil*"))


LONG_NAMES = ["recordings_of_the_summer_2025", "A" * 25, "MyPicoRecordingsFromTheSummer2025"]


@pytest.mark.parametrize("name", LONG_NAMES)
def test_long_name_of_a_folder_is_looked_up(server, tmp_path, name):
    expected = make_takes(tmp_path, 1, ["jazz"])
    upload_all(server, tmp_path, name)  # made
    upload_all(server, tmp_path, name)  # found
    assert server.contents(name) == expected
    assert [path.name for path in drive.download_recordings(logged_in(server.url), name, tmp_path / "to")]


ADDRESSES = ["{id}", "https://drive.google.com/drive/folders/{id}", "https://drive.google.com/open?id={id}&authuser=0",
             "https://drive.google.com/drive/u/0/folders/{id}?usp=sharing", "drive.google.com/drive/folders/{id}",
             "www.drive.google.com/open?id={id}", " <HTTPS://Drive.Google.com/drive/folders/{id}/> ", "{id}/",
             "'{id} '", '"https://drive.google.com/drive/folders/{id}"']


@pytest.mark.parametrize("shared", [False, True], ids=["my drive", "shared drive"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_folder_by_its_id_or_its_pasted_address(server, tmp_path, address, shared):
    """Uploads, replaced files and downloads; a shared drive is seen only by requests that ask for it."""
    home = server.store({"title": "team", "mimeType": FOLDER, "parents": [{"id": "drives"}]})
    folder = server.store({"title": "recordings", "mimeType": FOLDER, "parents": [home]})
    server.shared_drive = home["id"] if shared else None
    name = address.format(id=folder["id"])
    expected = make_takes(tmp_path / "local", 2)
    upload_all(server, tmp_path / "local", name)
    expected["jazz"]["jazz_1.json"] = b"{}"
    (tmp_path / "local" / "jazz" / "jazz_1.json").write_bytes(b"{}")
    assert upload_all(server, tmp_path / "local", name).pending == [] and server.contents("recordings") == expected
    fetched = drive.download_recordings(logged_in(server.url), name, tmp_path / "to")
    assert {path.name: path.read_bytes() for path in fetched} == {**expected["disco"], **expected["jazz"]}
    assert [item for item in server.files.values() if item["title"] == name] == []


@pytest.mark.parametrize("name, words", [
    ("1" + "x" * 32, "Give a folder's name instead"), ("https://drive.google.com/drive/folders/gone", "can't find it"),
    ("https://drive.google.com/drive/my-drive", "its address as"), ("{file}", "in the bin"), ("{bin}", "in the bin"),
    ("drive.google.com/drive/my-drive", "nor My Drive itself"), ("Drive.Google.com/", "its address as"),
    ("My Drive", "nor My Drive itself"), ("MyDrive", "nor My Drive itself"),
    ("/content/drive/MyDrive/music", "no path"), ("music/sub", "own name"),
    ("", "its address as"), (" ", "its address as"), ("'' ", "its address as"),
])
def test_what_is_no_folder_is_not_made_one(server, tmp_path, capsys, name, words):
    file = server.store({"title": "song.wav", "mimeType": "audio/wav"}, b"x")
    thrown = server.store({"title": "old", "mimeType": FOLDER, "labels": {"trashed": True}})
    make_takes(tmp_path, 1)
    name = name.format(file=file["id"], bin=thrown["id"])
    assert len(upload_all(server, tmp_path, name).pending) == 2 and len(server.files) == 2
    assert words in capsys.readouterr().out
    with pytest.raises(drive.DriveError, match=words):
        drive.download_recordings(logged_in(server.url), name, tmp_path)


def test_download_makes_no_folder(server, tmp_path):
    with pytest.raises(drive.DriveError, match="no folder 'recodrings'"):
        drive.download_recordings(logged_in(server.url), "recodrings", tmp_path)
    assert not server.files


def test_files_of_one_name_do_not_overwrite_each_other(server, tmp_path):
    root = server.store({"title": "recordings", "mimeType": FOLDER})
    labels = [server.store({"title": "jazz", "mimeType": FOLDER, "parents": [root]}) for _ in range(2)]
    for title, content, label in [("a.wav", b"first", 0), ("a.wav", b"second", 0), ("A.wav", b"third", 0),
                                  ("a (2).wav", b"fourth", 0), ("a.wav", b"fifth", 1), ("a.wav", b"first", 1)]:
        server.store({"title": title, "parents": [labels[label]]}, content)
    for _ in range(2):  # the second time nothing is fetched or renamed
        paths = drive.download_recordings(logged_in(server.url), "recordings", tmp_path)
        assert {path.name: path.read_bytes() for path in paths} == {
            "a.wav": b"first", "a (2).wav": b"second", "A (3).wav": b"third", "a (2) (2).wav": b"fourth",
            "a (4).wav": b"fifth"}
    assert len({str(path).lower() for path in paths}) == 5 == len(list(tmp_path.glob("jazz/*")))


def test_sidecars_are_named_like_their_sounds(server, tmp_path):
    for content in (b"first", b"second"):  # two folders of one name, with takes of one name; the sidecars are equal
        root = server.store({"title": "recordings", "mimeType": FOLDER})
        label = server.store({"title": "jazz", "mimeType": FOLDER, "parents": [root]})
        for title, data in [("a.wav", content), ("a.json", b"{}"), ("a.wav", content + b" again"), ("a.json", b"{}")]:
            server.store({"title": title, "parents": [label]}, data)
    paths = drive.download_recordings(logged_in(server.url), "recordings", tmp_path)
    names = [f"{stem}{suffix}" for stem in ("a", "a (2)", "a (3)", "a (4)") for suffix in (".json", ".wav")]
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.glob("jazz/*")) == sorted(names)
    assert {path.read_bytes() for path in paths} == {
        b"{}", b"first", b"first again", b"second", b"second again"}


def test_what_is_not_downloaded_is_named(server, tmp_path, capsys):
    root = server.store({"title": "recordings", "mimeType": FOLDER})
    label = server.store({"title": "jazz", "mimeType": FOLDER, "parents": [root]})
    below = server.store({"title": "more", "mimeType": FOLDER, "parents": [label]})
    for title, parent in [("a.wav", root), ("b.wav", label), ("c.wav", below)]:
        server.store({"title": title, "parents": [parent], "mimeType": "audio/wav"}, title.encode())
    paths = drive.download_recordings(logged_in(server.url), "recordings", tmp_path)
    assert paths == [tmp_path / "jazz" / "b.wav"]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("only files in a label's folder are: a.wav, jazz/more")


@pytest.mark.parametrize("file", ["to", "to/recordings", "to/recordings/jazz"])
def test_file_in_the_place_of_a_folder_is_named(server, tmp_path, file):
    make_takes(tmp_path / "local", 1, ["jazz"])
    upload_all(server, tmp_path / "local")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("a file")
    with pytest.raises(drive.DriveError, match=f"{file} is a file where a folder is needed"):
        drive.download_recordings(logged_in(server.url), "recordings", tmp_path / "to" / "recordings")


# --- logging in ---------------------------------------------------------------------------------------------

@pytest.fixture
def secrets(server, tmp_path):
    file = tmp_path / "client_secrets.json"
    file.write_text(json.dumps({"installed": {
        "client_id": "id", "client_secret": "secret", "redirect_uris": ["http://localhost"],
        "auth_uri": f"{server.url}/auth", "token_uri": f"{server.url}/token"}}))
    return file


def browser(monkeypatch, *queries):
    """A browser whose user has answered the consent screen: Google then calls the server that the script has opened."""
    import threading
    import webbrowser

    def open_page(page, **options):
        back = urllib.parse.parse_qs(urllib.parse.urlparse(page).query)["redirect_uri"][0]
        threading.Timer(0.2, lambda: [urllib.request.urlopen(f"{back}?{query}").read() for query in queries]).start()

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


@pytest.mark.parametrize("content", [None, "no JSON", "{}", '{"web": {}}', '{"installed": null}', '{"web": []}'])
def test_missing_client_secrets_are_explained(tmp_path, content):
    file = tmp_path / "client_secrets.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(drive.DriveError, match="OAuth client"):
        drive.connect_local(file, tmp_path / "token.json")


def paste(monkeypatch, answer):
    """A terminal, on a computer without a browser, whose user types answers. Returns the questions."""
    asked, answers = [], itertools.repeat(answer) if isinstance(answer, str) else iter(answer)

    def next_answer(question):
        asked.append(question)
        for text in answers:
            return text
        raise EOFError("EOF when reading a line")  # Ctrl-D

    monkeypatch.setattr("webbrowser.open", lambda *args, **options: False)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", next_answer)
    return asked


ANSWERS = ["http://localhost:8080/?state=1&code=4%2Fabc&scope=x", " 4/abc ", "4%2Fabc", "code=4/abc",
           "localhost:8080/#code=4/abc&scope=x", "<http://localhost:8080/?code=4/abc#>"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_code_is_found_in_what_is_pasted(monkeypatch, answer):
    paste(monkeypatch, answer)
    assert drive._ask_for_address()["code"] == "4/abc"


@pytest.mark.parametrize("answer", ["", "  ", "http://localhost:8080/", "localhost:8080/", "localhost:8080/?code=",
                                    "{page}", "Sorry, no access"])
def test_pasted_text_without_a_code_is_asked_for_again(server, secrets, tmp_path, monkeypatch, capsys, answer):
    page = f"{server.url}/auth?client_id=id&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%2F"
    asked = paste(monkeypatch, [answer.format(page=page), "code=4/abc"])
    drive.connect_local(secrets, tmp_path / "token.json")
    assert len(asked) == 2 and "there is no code in this" in capsys.readouterr().out


def test_ctrl_d_at_the_question_is_no_error_of_drive(secrets, tmp_path, monkeypatch):
    paste(monkeypatch, [])
    with pytest.raises(KeyboardInterrupt):  # the command then ends in one line
        drive.connect_local(secrets, tmp_path / "token.json")


def test_request_of_a_stranger_does_not_end_the_login(server, secrets, tmp_path, monkeypatch):
    browser(monkeypatch, "x=1", "code=abc")
    drive.connect_local(secrets, tmp_path / "token.json")
    assert "again" in (tmp_path / "token.json").read_text()


@pytest.mark.parametrize("answer", ANSWERS[:2])
def test_login_without_a_browser_by_a_pasted_address(server, secrets, tmp_path, monkeypatch, capsys, answer):
    asked = paste(monkeypatch, answer)
    drive.connect_local(secrets, tmp_path / "token.json")
    said = capsys.readouterr().out
    assert len(asked) == 1 and f"{server.url}/auth?" in said and "any computer" in said and "service account" in said
    assert "again" in (tmp_path / "token.json").read_text()


def test_login_without_browser_and_terminal_says_what_to_do(secrets, tmp_path):
    """As over SSH in a script: a process of its own, with no screen and no terminal."""
    script = ("from pathlib import Path; from mgr_helpers.record import drive\n"
              f"drive.connect_local(Path({str(secrets)!r}), Path({str(tmp_path / 'token.json')!r}))")
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "TERM")}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], stdin=subprocess.PIPE, capture_output=True,
                          text=True, timeout=60, env={**environment, "PATH": str(tmp_path)})
    assert "DriveError" in done.stderr and "in a terminal" in done.stderr and "service account" in done.stderr


def test_browser_that_never_answers_is_not_waited_for_without_limit(secrets, tmp_path, monkeypatch):
    import socket
    import threading

    def open_page(page, **options):  # a browser that connects ahead and then says nothing
        back = urllib.parse.parse_qs(urllib.parse.urlparse(page).query)["redirect_uri"][0]
        port = urllib.parse.urlparse(back).port
        threading.Timer(0.1, lambda: silent.append(socket.create_connection(("localhost", port)))).start()

    silent = []
    monkeypatch.setattr("webbrowser.open", open_page)
    monkeypatch.setattr(drive, "LOGIN_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(drive.DriveError, match="nobody can be asked"):
        drive.connect_local(secrets, tmp_path / "token.json")
    assert silent and time.monotonic() - start < 30


def test_wrong_answer_is_explained(server, secrets, tmp_path, monkeypatch):
    paste(monkeypatch, "http://localhost:8080/?error=access_denied")
    with pytest.raises(drive.DriveError, match="test users"):
        drive.connect_local(secrets, tmp_path / "token.json")
    paste(monkeypatch, "old")
    for error, words in [("invalid_grant", "run again to log in"), ("invalid_client", "OAuth client")]:
        server.token_error = error
        with pytest.raises(drive.DriveError, match=words):
            drive.connect_local(secrets, tmp_path / "token.json")


def test_login_with_its_usual_ports_taken(server, secrets, tmp_path, monkeypatch, capsys):
    import socket
    taken = []
    for port in (8080, 8090):
        with contextlib.suppress(OSError):  # it is taken already
            taken.append(socket.create_server(("localhost", port)))
    browser(monkeypatch, "code=abc")
    try:
        drive.connect_local(secrets, tmp_path / "token.json")
    finally:
        for listener in taken:
            listener.close()
    said = capsys.readouterr().out
    assert "port 8080 is taken" in said and "port 8090 is taken" in said
    assert "again" in (tmp_path / "token.json").read_text()


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"_module": "none", "_class": "None"}'])
def test_damaged_saved_login_is_named(secrets, tmp_path, content):
    token = tmp_path / "token.json"
    token.write_text(content)
    with pytest.raises(drive.DriveError, match="Delete .*token.json"):
        drive.connect_local(secrets, token)


@pytest.mark.parametrize("where", ["config", "config/music"])
def test_file_in_the_place_of_the_settings_folder_is_named(secrets, tmp_path, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("a file")
    with pytest.raises(drive.DriveError, match="config/music.*move away"):
        drive.connect_local(secrets, tmp_path / "config" / "music" / "token.json")


def test_folder_in_the_place_of_the_saved_login_is_named(secrets, tmp_path):
    token = tmp_path / "token.json"
    token.mkdir(mode=0o755)
    with pytest.raises(drive.DriveError, match="token.json.*move away"):
        drive.connect_local(secrets, token)
    assert os.name == "nt" or stat.S_IMODE(token.stat().st_mode) == 0o755


@pytest.mark.skipif(os.name == "nt", reason="no modes here")
def test_file_that_can_not_be_made_private_is_only_warned_of(secrets, tmp_path, monkeypatch, capsys):
    def refuse(path, mode):
        raise PermissionError(1, "Operation not permitted", str(path))

    secrets.chmod(0o644)
    paste(monkeypatch, "4/abc")
    monkeypatch.setattr(Path, "chmod", refuse)
    drive.connect_local(secrets, tmp_path / "token.json")
    said = capsys.readouterr().out
    assert "client_secrets.json, and this can't be changed" in said and "token.json, and" not in said


KEY = {"type": "service_account", "client_email": "a@b.c", "client_id": "1", "private_key_id": "k", "private_key": "x"}


@pytest.mark.parametrize("changes", [{}, {"private_key": None}, {"client_email": ...}, {"private_key": ...}, {
    "private_key": "-----BEGIN " + "PRIVATE KEY-----\nAAAA\n-----END " + "PRIVATE KEY-----\n"}])
def test_broken_key_of_a_service_account_is_named(tmp_path, changes):
    file = tmp_path / "service.json"
    file.write_text(json.dumps({name: value for name, value in {**KEY, **changes}.items() if value is not ...}))
    with pytest.raises(drive.DriveError, match="service.json is a service account's key, but damaged"):
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
