"""The notebooks in JupyterLab in a browser: cells run, a slider changes its picture, one's own song is recognised."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time

import nbformat
import pytest
import soundfile

from mgr_helpers.audio import mini_set
from mgr_helpers.config import CONFIG
from notebooks import run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on the path (Debian: apt install chromium): notebooks not seen in a browser")]
# a test needs neither the sandbox (which root cannot use) nor Google's servers
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
# otherwise JupyterLab asks whether to fetch news
SETTINGS = {"@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"}}
LIMIT = 900  # seconds for each wait; more than a minute is needed only on a busy computer


def environment(folder):
    """Environment with all folders of Jupyter and the series in `folder`. It lacks MPLBACKEND, which hides pictures."""
    inherited = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    jupyter = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    return {**inherited, **jupyter, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "MGR_DATASET": "mini",
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "MGR_WORK": str(folder / "work"),
            "IPYTHONDIR": str(folder / "ipython")}


def wait_for_server(process, runtime, log):
    """Address of the server with its token. The server writes both to a file when it is ready."""
    for _ in range(10 * LIMIT):
        for path in runtime.glob("jpserver-*.json"):
            about = json.loads(path.read_text() or "null")
            if about:
                return f"{about['url']}lab/tree/{{}}?reset&token={about['token']}"
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab with copies of the notebooks without outputs. Gives an address with {} for the notebook's name."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    for path in run.find_notebooks():
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        nbformat.write(notebook, folder / "notebooks" / path.name)
    for name, values in SETTINGS.items():
        path = folder / "settings" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    log = folder / "log.txt"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
               f"--IdentityProvider.token={secrets.token_hex(16)}", f"--notebook-dir={folder / 'notebooks'}"]
    with open(log, "w") as file:
        process = subprocess.Popen(command, env=environment(folder), stdout=file, stderr=file)
    try:
        yield wait_for_server(process, folder / "runtime", log)
    finally:
        process.terminate()  # it ends its kernels
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A WAV file: what is uploaded, and what the browser's microphone hears."""
    path = tmp_path_factory.mktemp("music") / "my song.wav"
    soundfile.write(path, mini_set.song("disco", 11), CONFIG.sample_rate)
    return path


@pytest.fixture(scope="module")
def browser(music):
    api = pytest.importorskip("playwright.sync_api", reason="playwright is an extra: pip install playwright")
    microphone = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-audio-capture={music}"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *microphone], timeout=1000 * LIMIT)
        yield browser
        browser.close()


def run_all_cells(page):
    """Click Run All Cells, and wait until every code cell has its number; returns the numbers."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function("""() => {
        const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(node => node.textContent);
        const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
        return failed || prompts.length && prompts.every(text => /^\\[\\d+\\]:/.test(text));
    }""")
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    return [int(re.sub(r"\D", "", text) or 0) for text in prompts]


def slider_of(page, label):
    """Interactive output and slider with this description. In ipywidgets a box holds a label and its slider."""
    text = page.locator(".widget-label").filter(has_text=re.compile(label, re.IGNORECASE)).first
    box = page.locator(".widget-hslider").filter(has=text).first
    box.scroll_into_view_if_needed()
    return page.locator(".widget-interact").filter(has=text).first, box


def move(page, label):
    """Press the arrow key on a slider and wait for another picture; returns (reading, picture) before and after."""
    output, box = slider_of(page, label)
    picture = output.locator("img").first
    picture.wait_for()
    states = [(box.locator(".widget-readout").inner_text(), picture.get_attribute("src"))]
    box.locator(".noUi-handle").press("ArrowRight")
    page.wait_for_function("([image, before]) => !image.isConnected || image.src !== before",
                           arg=[picture.element_handle(), states[0][1]])
    picture.wait_for()
    return [*states, (box.locator(".widget-readout").inner_text(), picture.get_attribute("src"))]


def run_notebook(number, lab, browser):
    """Open a notebook in a page of its own and run all of it; returns the page and the cells' numbers."""
    (notebook,) = run.find_notebooks([number])
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(1000 * LIMIT)
    page.goto(lab.format(notebook.name))
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # earlier, Run would ask for a kernel
    return page, run_all_cells(page)


@pytest.mark.parametrize("number, label", [("03", "Mel bands"), ("04", "level")])
def test_runs_in_a_browser_and_a_slider_changes_the_picture(number, label, lab, browser):
    page, numbers = run_notebook(number, lab, browser)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_text_contents() == []
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_text_contents() == []
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 10
    (reading, picture), (other_reading, other_picture) = move(page, label)
    assert other_reading != reading and picture.startswith("data:image/png")
    assert other_picture.startswith("data:image/png") and other_picture != picture
    page.close()


def upload(page, file):
    """Press ipywidgets' upload button, and choose a file."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="a sound file").click()
    chooser.value.set_files(file)


def test_own_song_from_a_file_and_from_the_microphone(lab, browser, music):
    """Notebook 00 gives both to the emulated Pico, which says something to each; what isn't sound is told so."""
    page, _ = run_notebook("00", lab, browser)
    upload(page, music)
    page.get_by_text("my song.wav: the Pico says disco").wait_for()
    page.get_by_role("button", name="record 10 seconds").click()
    page.get_by_text(re.compile("recording.webm: the Pico says (disco|jazz|metal|unsure)")).wait_for()
    upload(page, {"name": "no.wav", "mimeType": "audio/wav", "buffer": b"no"})
    page.get_by_text(re.compile("no.wav: corrupt or not audio")).wait_for()
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_text_contents() == []
    page.close()
