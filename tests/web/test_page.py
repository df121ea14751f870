"""The page in a real Chromium: it hears a fake microphone, files, songs and boards, and decides what Python decides.

What is measured (speed, latency, long tasks) goes to web.json in the folder of MGR_WORK.
"""

import base64
import contextlib
import dataclasses
import html
import http.server
import io
import json
import subprocess
import threading
import urllib.request
import zipfile

import numpy as np
import pytest
import soundfile
import soxr

from mgr_helpers.audio import dataset, mini_set
from mgr_helpers.audio.adc import adc_to_q15, counts_to_audio, ideal_counts
from mgr_helpers.config import CONFIG, work_dir
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model import quantize, recognizer, training
from mgr_helpers.model.network import calibration_choice
from mgr_helpers.model.tflite import embed_front_end, front_end_dict, load_model
from mgr_helpers.pico import emulator, headers, listen
from mgr_helpers.pico.image import build_image
from tests.notebooks.test_browser import CHROMIUM, FLAGS
from tools import web

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on the path (Debian: apt install chromium): the page was not seen")]
MINUTE = 60_000  # milliseconds
OWN_GENRES = ("polka", "tango", "waltz")
LONG_TASKS = """window.longTasks = [];
new PerformanceObserver(list => longTasks.push(...list.getEntries().map(task => task.duration)))
    .observe({entryTypes: ['longtask']});"""
KEEP_FRAMES = """window.frames = [];
document.addEventListener('pico-frame', ({detail}) => frames.push(
    Object.fromEntries(Object.entries(detail).filter(pair => pair[1]).map(([name, values]) => [name, [...values]]))));"""
# a board: what it sends comes as the answer to a GET, what it is sent goes out by POST
SERIAL = """Object.defineProperty(navigator, 'serial', {value: {requestPort: async () => ({
    async open() {
        this.readable = (await fetch('/serial')).body;
        this.writable = new WritableStream({write: bytes => fetch('/serial', {method: 'POST', body: bytes})});
    },
    async setSignals() {},
    async close() { await this.readable.cancel(); },
})}});"""


class Handler(http.server.BaseHTTPRequestHandler):
    """The page, and the serial port of an emulated board (`server.board`, a process)."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "application/octet-stream")
        self.end_headers()
        if self.path == "/":
            self.wfile.write(self.server.page.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the page was closed
            while self.path == "/serial" and (sent := self.server.board.stdout.read1(65536)):
                self.wfile.write(sent)

    def do_POST(self):
        self.server.board.stdin.write(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.board.stdin.flush()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.page = web.page(web.recognizer_image())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def playwright():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is an extra: pip install playwright")
    with api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def open_page(server, playwright):
    """A function that opens the page in a browser, with a file as its microphone."""
    with contextlib.ExitStack() as stack:
        def opened(microphone=None, script="", **options):
            flags = [*FLAGS, "--autoplay-policy=no-user-gesture-required"]
            if microphone:
                flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                          f"--use-file-for-fake-audio-capture={microphone}"]
            browser = stack.enter_context(playwright.chromium.launch(executable_path=CHROMIUM, args=flags))
            page = browser.new_context(bypass_csp=bool(script), **options).new_page()
            page.set_default_timeout(MINUTE)
            page.add_init_script(LONG_TASKS + KEEP_FRAMES + script)
            page.failures, page.requests = [], []
            page.on("pageerror", lambda error: page.failures.append(str(error)))
            page.on("request", lambda request: page.requests.append(request.url))
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            stack.callback(lambda: check(page))
            return page

        def check(page):
            assert page.failures == []

        yield opened


def start(page, source, mode="listen"):
    page.check(f"input[name=mode][value={mode}]", force=True)
    page.select_option("#source", source)
    page.click("#start")


def wait_for(page, condition):
    page.wait_for_function(f"() => {condition}")


def wait_for_windows(page, n):
    wait_for(page, f"document.getElementById('decisions').dataset.count >= {n}")


def log_of(page):
    return page.inner_text("#log")


def heard(page):
    return np.array(page.evaluate("async () => [...await picoHeard()]"), np.uint16)


def check_decisions(page, model, log=None):
    """The decisions in the log are Python's on the counts that the Pico heard; returns them."""
    decisions, counts = listen.parse_decisions(log_of(page)), heard(page)
    expected = recognizer.decisions(counts, model, headers.run_reference)[: len(decisions)]
    keys = ("window", "label", "vote", "confidence", "says", "scores")
    wanted = [{**row, "label": "silence" if row["silent"] else row["label"]} for row in expected]
    assert [[row[key] for key in keys] for row in decisions] == [[row[key] for key in keys] for row in wanted]
    return decisions


def record_figures(**figures):
    path = work_dir() / "web.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **figures}, indent=1))


def song_file(tmp_path, genre, rate=44100):
    """A built-in song as a WAV file (the fake microphone takes only 44.1 kHz for what it is)."""
    path, (index, begin) = tmp_path / f"{genre}.wav", web.SONGS[genre]
    samples = mini_set.song(genre, index)[begin * CONFIG.sample_rate :]
    samples = samples[: web.SONG_SECONDS * CONFIG.sample_rate].astype(np.float32) / 32768
    soundfile.write(path, soxr.resample(samples, CONFIG.sample_rate, rate), rate)
    return path


@pytest.fixture(scope="module")
def mini_model():
    """A model of the mini set's songs. The shipped one learnt real music, and is seldom sure of their metal."""
    songs, recipe = dataset.load_songs("mini"), dataclasses.replace(training.SHIPPED, epochs=12)
    windows = training.training_windows(songs.songs, songs.others, n=3000)
    network, mean, std, _ = training.train_on(windows["raw"], windows["genre"], recipe=recipe)
    chosen = mfcc_q15.normalise(windows["raw"][calibration_choice(windows["genre"])], mean, std)
    return quantize.convert(network, chosen, front_end_dict(mean, std, windows["labels"].tolist())).with_threshold(50)


@pytest.mark.xdist_group("microphone")  # they share a model
@pytest.mark.parametrize("genre", CONFIG.genres)
def test_microphone(genre, open_page, tmp_path, mini_model):
    """A song, and an image with a model of ones own: half a minute without a lost sample, and Python's decisions."""
    headers.write_headers(mini_model, tmp_path)
    image = json.dumps(web.recognizer_image(tmp_path)).encode()
    page = open_page(song_file(tmp_path, genre))
    page.set_input_files("#image", {"name": "own.json", "mimeType": "", "buffer": image})
    assert page.inner_text("#says") == "" and page.get_attribute("#decisions", "data-count") == "0"
    start(page, "mic")
    wait_for_windows(page, 5)
    page.evaluate("longTasks.length = 0")
    latencies = []
    for n in range(6, 35):  # 31 s
        wait_for_windows(page, n)
        latencies.append(page.evaluate("picoStats.latency"))
    wait_for(page, f"document.getElementById('says').textContent === '{genre}'")
    stats, tasks = page.evaluate("picoStats"), page.evaluate("longTasks")
    assert "TEST PASSED" in log_of(page)
    assert stats["audioSeconds"] > 30 and stats["droppedSamples"] == 0 and stats["emulatedSeconds"] > 30
    decisions = check_decisions(page, mini_model)
    assert len(decisions) >= 34 and "%" in page.inner_text("#confidence")
    record_figures(**{f"microphone_{genre}": {"real_time_factor": stats["realTimeFactor"],
                                              "latency_most": max(latencies), "long_tasks": tasks}})


def scores_of(hidden, model):
    """Scores (0 to 1) of a window from the LSTM's hidden values after each frame, by floating-point arithmetic."""
    dense, lstm = model.tensors["dense"], model.tensors["lstm"][-1]
    last = np.mean(hidden, axis=0) if "mean" in model.tensors else np.array(hidden[-1])
    values = (last - lstm["output_zero_point"]) * lstm["output_scale"]
    logits = dense["W_scale"] * (dense["W"] @ values + dense["b"] * dense["x_scale"])
    return np.exp(logits) / np.exp(logits).sum()


def test_panels_show_what_the_pico_computed(open_page, tmp_path):
    """Mel bands, MFCCs and hidden values, read out of the running image, are Python's, or lead to the scores."""
    page = open_page(song_file(tmp_path, "jazz"))
    start(page, "mic")
    wait_for_windows(page, 4)
    frames, counts, model = page.evaluate("frames"), heard(page), load_model()
    mel, steps = ([frame for frame in frames if name in frame][: 3 * CONFIG.n_frames] for name in ("mel", "mfcc"))
    assert len(mel) == len(steps) == 3 * CONFIG.n_frames
    decisions = listen.parse_decisions(log_of(page))
    for window in range(3):
        first = window * CONFIG.window_step
        audio = adc_to_q15(counts)[first : first + CONFIG.window_length]
        mine = slice(window * CONFIG.n_frames, (window + 1) * CONFIG.n_frames)
        assert [frame["mel"] for frame in mel[mine]] == mfcc_q15.q15_stages(audio)["log_mel"].tolist()
        features = mfcc_q15.quantize_features(mfcc_q15.mfcc_windows(audio[None]), model.front_end)[0]
        assert [step["mfcc"] for step in steps[mine]] == features.tolist()
        hidden = [step["hidden"] for step in steps[mine]]
        assert len(set(map(tuple, hidden))) == CONFIG.n_frames
        assert np.allclose(scores_of(hidden, model), (np.array(decisions[window]["scores"]) + 128) / 256, atol=0.03)
    canvases = page.evaluate("""['sound', 'mel', 'mfcc', 'hidden', 'scores'].map(id => new Set(
        document.getElementById(id).getContext('2d').getImageData(0, 0, 250, 30).data).size)""")
    assert min(canvases) > 4  # each has been drawn on
    assert page.locator("#work dt").all_inner_texts()[:5] == [
        "spectrum and Mel bands", "MFCCs", "LSTM", "all else", "awake"]


def test_a_file(open_page, tmp_path):
    page = open_page()
    page.select_option("#source", "file")
    page.click("#start")
    wait_for(page, "document.getElementById('status').textContent.includes('choose a file')")
    page.set_input_files("#file", song_file(tmp_path, "disco", rate=22050))
    page.click("#start")
    wait_for(page, "document.getElementById('says').textContent === 'disco'")
    wait_for(page, "document.getElementById('status').textContent === 'The file is over.'")
    assert len(check_decisions(page, load_model())) >= 10
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename.startswith("jazz_")
    page.set_input_files("#file", {"name": "x.wav", "mimeType": "audio/wav", "buffer": b"no sound"})
    page.click("#start")
    wait_for(page, "document.getElementById('status').textContent.includes('x.wav is no sound')")


@pytest.mark.parametrize("genre", web.SONGS)
def test_a_built_in_song(genre, open_page):
    page = open_page()
    page.select_option("#song", genre)
    start(page, "song")
    wait_for(page, f"document.getElementById('says').textContent === '{genre}'")
    check_decisions(page, load_model())
    assert all(url.startswith((page.url, "blob:", "data:")) for url in page.requests)
    page.click("#stop")
    wait_for(page, "document.getElementById('status').textContent === 'Stopped.'")


def renamed_model(path):
    """The shipped model with other names for its genres, written to a file."""
    model = load_model()
    config = {**model.metadata["config"], "genres": list(OWN_GENRES)}
    front_end = {**model.metadata, "config": config, "labels": [*OWN_GENRES, *model.labels[len(OWN_GENRES):]]}
    path.write_bytes(embed_front_end(model.content, front_end))
    return load_model(path)


def test_a_model_of_ones_own(open_page, tmp_path):
    """An image with other names for the genres: dropped on the page, and built into one."""
    own = renamed_model(tmp_path / "own.tflite")
    config = own.config
    headers.write_headers(own, tmp_path)
    image = web.recognizer_image(tmp_path, config)
    for name, content in (("own.json", json.dumps(image).encode()), ("own.bin", base64.b64decode(image["flash"]))):
        page = open_page()
        page.set_input_files("#image", {"name": name, "mimeType": "", "buffer": content})
        page.select_option("#song", "disco")
        start(page, "song")
        wait_for(page, "document.getElementById('says').textContent === 'polka'")
        check_decisions(page, own)
        assert "polka" in page.inner_text("#legend")
        assert (len(page.evaluate("frames")) > 20) == (name == "own.json")  # a bare image tells no names
        page.set_input_files("#image", {"name": "x.bin", "mimeType": "", "buffer": bytes(500)})
        wait_for(page, "document.getElementById('image-text').textContent.includes('x.bin is no image')")
    assert '"genres": ["polka", "tango", "waltz"]' in web.page(image, config)


# --- a real board, by a serial port that leads to an emulated one

@contextlib.contextmanager
def board(server, folder, sketch, adc, pace=4.0):
    """An emulated board at the server's serial port; its process, and a function that pulls the cable."""
    emulator.write_job(build_image(sketch), folder, adc, interactive=True, pace=pace)
    command, environment = emulator.node_command(folder)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        server.board = process
        try:
            yield process
        finally:
            process.kill()


def takes_of(page):
    """{name: content} of the zip file that the page gives."""
    with page.expect_download() as download:
        page.click("#download")
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    return {name: archive.read(name) for name in archive.namelist()}


def take_of(files):
    """Samples and sidecar of the only take."""
    wav, sidecar = sorted(files, reverse=True)
    samples, rate = soundfile.read(io.BytesIO(files[wav]), dtype="int16")
    assert rate == CONFIG.sample_rate
    return samples, json.loads(files[sidecar])


def test_a_real_board_with_the_recogniser(server, open_page, tmp_path):
    page = open_page(script=SERIAL)
    adc = ideal_counts(mini_set.song("disco", web.SONGS["disco"][0]))
    with board(server, tmp_path, "genre_recognizer", adc, pace=2.0):
        start(page, "serial", "record")
        wait_for(page, "document.getElementById('says').textContent === 'disco'")
        assert page.is_checked("input[name=mode][value=listen]")
        decisions = listen.parse_decisions(log_of(page))
        expected = recognizer.decisions(adc, load_model(), headers.run_reference)
        for row in decisions:
            assert row["scores"] == expected[row["window"]]["scores"]


def test_a_take_of_a_real_board_is_bit_equal(server, open_page, tmp_path):
    page = open_page(script=SERIAL)
    adc = np.random.default_rng(3).integers(1200, 1900, 40 * CONFIG.sample_rate).astype(np.uint16)
    with board(server, tmp_path, "recorder", adc):
        start(page, "serial")
        wait_for(page, "!document.getElementById('take').disabled")
        assert page.is_checked("input[name=mode][value=record]")
        page.fill("#label", "no label!")
        page.click("#take")
        assert "can't be a label" in page.inner_text("#status")
        page.fill("#label", "metal")
        page.fill("#seconds", "30")
        page.click("#take")
        wait_for(page, "document.getElementById('takes').children.length")
        samples, sidecar = take_of(takes_of(page))
    assert sidecar["complete"] and sidecar["end"] == "length" and sidecar["label"] == "metal"
    assert len(samples) == sidecar["samples"] == round(30 * sidecar["true_sample_rate"])
    expected = counts_to_audio(adc, sidecar["bias"])
    (begin,) = [i for i in np.flatnonzero(expected[:-len(samples)] == samples[0])
                if np.array_equal(expected[i : i + 50], samples[:50])]
    assert np.array_equal(samples, expected[begin : begin + len(samples)])


def test_an_unplugged_cable_loses_nothing(server, open_page, tmp_path):
    page = open_page(script=SERIAL)
    with board(server, tmp_path, "recorder", ideal_counts(mini_set.song("jazz", 0)), pace=1.0) as process:
        start(page, "serial")
        wait_for(page, "!document.getElementById('take').disabled")
        page.click("#take")
        wait_for(page, "/[2-9][.]. of/.test(document.getElementById('take-state').textContent)")
        process.kill()
        wait_for(page, "document.getElementById('takes').children.length")
        assert "Incomplete" in page.inner_text("#takes")
        samples, sidecar = take_of(takes_of(page))
    assert not sidecar["complete"] and len(samples) == sidecar["samples"] > 1.9 * CONFIG.sample_rate


def test_a_browser_without_web_serial_says_so(open_page):
    page = open_page(script="delete Navigator.prototype.serial;")
    start(page, "serial")
    wait_for(page, "document.getElementById('status').textContent.includes('no Web Serial')")


def test_a_take_without_a_board(open_page, tmp_path):
    """The emulated recorder cuts a take from the microphone."""
    page = open_page(song_file(tmp_path, "disco"))
    start(page, "mic", "record")
    wait_for(page, "!document.getElementById('take').disabled")
    page.fill("#label", "disco")
    page.fill("#seconds", "3")
    page.click("#take")
    wait_for(page, "document.getElementById('takes').children.length")
    files = takes_of(page)
    (samples, sidecar), counts = take_of(files), heard(page)
    assert sidecar["complete"] and sidecar["samples"] == round(3 * sidecar["true_sample_rate"])
    expected = counts_to_audio(counts, sidecar["bias"])
    assert any(np.array_equal(samples, expected[i : i + len(samples)])
               for i in np.flatnonzero(expected == samples[0]) if np.array_equal(expected[i : i + 9], samples[:9]))
    for name, content in files.items():
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recordings" / name).write_bytes(content)
    songs = dataset.load_songs("mini", recordings=tmp_path / "recordings").songs
    (song,) = [song for song in songs if song.path.startswith("recordings/")]
    assert song.genre == "disco" and np.array_equal(song.samples, samples)
    page.click("#takes button")
    assert page.locator("#takes li").count() == 0 and page.is_disabled("#download")


# --- the equaliser

RENDER = """async gains => {
    const rate = 44100, context = new OfflineAudioContext(1, 2 * rate, rate);
    const equaliser = new picoParts.Equaliser(context);
    for (const frequency of [100, 1000, 8000]) {
        const tone = new OscillatorNode(context, {frequency}), level = new GainNode(context, {gain: 0.2});
        tone.connect(level).connect(equaliser.input);
        tone.start();
    }
    equaliser.output.connect(context.destination);
    equaliser.set(gains, false);
    return [...(await context.startRendering()).getChannelData(0)];
}"""


def levels(samples):
    """Levels in dB of the chord's tones in its second half."""
    half = np.asarray(samples)[len(samples) // 2 :]
    spectrum = np.abs(np.fft.rfft(half * np.hanning(len(half))))
    return 20 * np.log10([spectrum[round(hertz * len(half) / 44100)] for hertz in (100, 1000, 8000)])


def test_equaliser_changes_the_spectrum_of_a_chord(open_page):
    page = open_page()
    flat = levels(page.evaluate(RENDER, [0, 0, 0]))
    for gains in ([9, 0, 0], [0, 6, 0], [0, 0, -6], [6, -6, 6]):
        change = levels(page.evaluate(RENDER, gains)) - flat
        assert np.allclose(change, np.subtract(gains, max(0, *gains)), atol=1.2), (gains, change)


def test_equaliser_follows_the_genre(open_page):
    page = open_page()
    page.select_option("#song", "disco")
    start(page, "song")
    wait_for(page, "document.getElementById('says').textContent === 'disco'")
    assert page.evaluate("picoGains()") == [0, 0, 0]
    page.check("#eq")
    wanted = page.evaluate("picoParts.gainsOf('disco')")
    wait_for(page, f"picoGains().every((gain, i) => Math.abs(gain - {wanted}[i]) < 0.2)")
    page.focus("#curve circle >> nth=0")
    page.keyboard.press("ArrowUp")
    wait_for(page, f"Math.abs(picoGains()[0] - {wanted[0] + 1}) < 0.2")
    page.uncheck("#eq")
    wait_for(page, "picoGains().every(gain => Math.abs(gain) < 0.2)")


def test_an_image_of_other_firmware_is_refused():
    """A page that would read something else out of the image is not built."""
    elf = build_image("recorder")["elf"]
    with pytest.raises(KeyError, match="lstm_step, mfcc_dct, mfcc_shifted_frame: correct FUNCTIONS"):
        web.names_of(elf)
    with pytest.raises(KeyError, match="lstm_t.hidden"):
        web.member(elf, "lstm_t", "hidden")


def test_live_serves_the_page_on_this_computer(tmp_path, server):
    (tmp_path / "index.html").write_text(server.page, encoding="utf-8")
    with web.serve(tmp_path / "index.html") as live:
        threading.Thread(target=live.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{live.server_port}/") as answer:
            assert answer.read().decode() == server.page
        live.shutdown()
    assert live.server_address[0] == "127.0.0.1" and "Uri Shaked" in server.page and "Apache License" in server.page


def test_page_is_small_and_needs_nothing_else(server):
    size = len(server.page.encode())
    record_figures(page_bytes=size)
    assert size < 700_000
    head = server.page.split('<script type="application/json"')[0]
    assert not [part for part in ("<link", " src=", "@import", "url(") if part in head]


@pytest.mark.parametrize("place", ["disk", "frame"])
def test_it_runs_from_disk_and_inside_a_notebooks_cell(place, server, open_page, tmp_path):
    """A cell shows the page as the srcdoc of a frame, as notebook 08 does."""
    page = open_page()
    if place == "disk":
        (tmp_path / "index.html").write_text(server.page, encoding="utf-8")
        page.goto((tmp_path / "index.html").as_uri())
        frame = page.main_frame
    else:
        page.set_content(f'<iframe srcdoc="{html.escape(server.page)}" allow="microphone; autoplay; serial"></iframe>')
        (frame,) = page.main_frame.child_frames
    frame.select_option("#song", "disco")
    frame.click("#start")
    frame.wait_for_function("() => document.getElementById('says').textContent === 'disco'")
    frame.click("#stop")
