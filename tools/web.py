"""The Pico in the browser: ``make site`` writes one page without other files, ``build/site/pico/index.html``.

The page holds images of the firmware, the emulator and synthetic songs. Its sources are in firmware/emulator/web/.
``make live`` serves it on this computer and opens it. With ``--model <file>`` it holds a model of your own.
"""

import argparse
import base64
import functools
import html
import http.server
import io
import json
import os
import sys
import webbrowser
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import soxr
from elftools.elf.elffile import ELFFile

from mgr_helpers import plots
from mgr_helpers.audio import adc, mini_set
from mgr_helpers.config import CONFIG, FIRMWARE, REPO_URL, ROOT, Config, build_dir
from mgr_helpers.host import files, toolchain
from mgr_helpers.host.command_line import as_path, main
from mgr_helpers.model.tflite import load_model
from mgr_helpers.pico import headers
from mgr_helpers.pico.image import build_image, symbols_of

WEB = FIRMWARE / "emulator" / "web"
PARTS = ("main", "worker", "worklet")  # each becomes one script
FUNCTIONS = ("mfcc_shifted_frame", "mfcc_dct", "lstm_step")  # where the page looks at the Pico: see worker.js
# song of the mini set, and second where it begins: some that the shipped model names, although it learnt real music
SONGS = {"disco": (11, 0), "jazz": (3, 2), "metal": (13, 0)}
SONG_SECONDS, SONG_QUALITY = 10, 0.6  # quality of libsndfile's MP3: 0 is best, 1 is smallest


def text64(data: bytes) -> str:
    """Bytes in base 64."""
    return base64.b64encode(data).decode()


def member(elf: Path, struct: str, name: str) -> dict:
    """offset and shape of a struct's array in an image, from its debugging information.

    Raises
    ------
    KeyError
        When the image has no such struct, or that has no such array.
    """
    with open(elf, "rb") as file:
        for unit in ELFFile(file).get_dwarf_info().iter_CUs():
            for entry in unit.iter_DIEs():
                if entry.tag != "DW_TAG_typedef" or entry.attributes["DW_AT_name"].value.decode() != struct:
                    continue
                for child in entry.get_DIE_from_attribute("DW_AT_type").iter_children():
                    if child.attributes["DW_AT_name"].value.decode() == name:
                        return {"offset": child.attributes["DW_AT_data_member_location"].value,
                                "shape": _shape(child.get_DIE_from_attribute("DW_AT_type"))}
    raise KeyError(f"{files.shown(elf)} has no array {struct}.{name}: has the firmware changed? See tools/web.py")


def _shape(array) -> list[int]:
    """Lengths of the dimensions of a C array; the compilers tell the last index or the count."""
    ranges = [child.attributes for child in array.iter_children() if child.tag == "DW_TAG_subrange_type"]
    return [r["DW_AT_count"].value if "DW_AT_count" in r else r["DW_AT_upper_bound"].value + 1 for r in ranges]


def names_of(elf: Path) -> dict:
    """Where the page finds what the recogniser computes: addresses of functions, and its place in their data.

    Raises
    ------
    KeyError
        When the firmware has changed so that the page would read something else.
    """
    found = {symbol["name"]: symbol["address"] for symbol in symbols_of(elf) if symbol["function"]}
    if missing := set(FUNCTIONS) - set(found):
        raise KeyError(f"{files.shown(elf)} lacks {', '.join(sorted(missing))}: correct FUNCTIONS in tools/web.py")
    hidden = member(elf, "lstm_t", "hidden")
    layers, units = hidden["shape"]
    return {"functions": {name: found[name] for name in FUNCTIONS},
            "hidden": {"offset": hidden["offset"] + (layers - 1) * units, "units": units}}


def recognizer_image(generated: Path | None = None, config: Config = CONFIG) -> dict:
    """The recogniser's image as the page takes it, also by drag and drop: flash (base 64), genres, names.

    `generated` and `config` are those of a model of your own (`headers.write_headers`); default: those that ship.
    """
    image = build_image("genre_recognizer", generated=generated)
    names = {**names_of(image["elf"]), "nMels": config.n_mels, "nMfcc": config.n_mfcc, "nFrames": config.n_frames}
    return {"flash": text64(image["bin"].read_bytes()), "genres": list(config.genres), "names": names}


def song_file(genre: str) -> bytes:
    """A part of a song of the mini set as MP3: at twice its rate, where MP3 keeps all that it has."""
    file, rate, (index, begin) = io.BytesIO(), CONFIG.sample_rate, SONGS[genre]
    samples = mini_set.song(genre, index)[begin * rate :][: SONG_SECONDS * rate].astype(np.float32) / 32768
    with soundfile.SoundFile(file, "w", 2 * rate, 1, format="MP3", bitrate_mode="VARIABLE",
                             compression_level=SONG_QUALITY) as sound:
        sound.write(soxr.resample(samples, rate, 2 * rate))
    return file.getvalue()


def _colors(genres: tuple[str, ...]) -> dict:
    table = {name: text64((matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes())
             for name in (plots.SEQUENTIAL, plots.DIVERGING)}
    fixed = plots.GENRE_COLORS | plots.NO_GENRE_COLORS
    return {"fixed": fixed | {genre: plots.genre_color(genre) for genre in genres},
            "others": [color for color in plots.PALETTE if color not in plots.GENRE_COLORS.values()],
            "sequential": table[plots.SEQUENTIAL], "diverging": table[plots.DIVERGING]}


def bundle(scripts: list[Path], folder: Path, *options: str) -> None:
    """Write scripts into a folder, each with all that it imports, by esbuild. `options` are esbuild's."""
    modules, (node, _) = toolchain.emulator_modules(), toolchain.find_node()
    toolchain.call([node, modules / "esbuild" / "bin" / "esbuild", *scripts, "--bundle", f"--outdir={folder}",
                    "--charset=utf8", "--log-level=warning", *options], "bundling the page", "See what esbuild says.",
                   env={**os.environ, "NODE_PATH": str(modules)})


def _scripts() -> dict[str, str]:
    folder = build_dir() / "web"
    bundle([WEB / f"{part}.js" for part in PARTS], folder, "--minify", "--format=iife", "--legal-comments=none")
    return {part: (folder / f"{part}.js").read_text(encoding="utf-8") for part in PARTS}


def _licences() -> str:
    """The texts that must go with the code in the page: this project's, the emulator's, CMSIS-DSP's."""
    texts = {"This project": ROOT / "LICENSE", "rp2040js": toolchain.emulator_modules() / "rp2040js" / "LICENSE",
             "CMSIS-DSP": toolchain.cmsis_sources() / "LICENSE"}
    return "\n\n".join(f"{name}\n\n{html.escape(file.read_text(encoding='utf-8'))}" for name, file in texts.items())


def page(image: dict, config: Config = CONFIG) -> str:
    """The whole page as HTML. `image` is from `recognizer_image`, `config` that of its model."""
    scripts = _scripts()
    facts = {
        "adc": {"rate": config.sample_rate, "bias": float(adc.volts_to_counts(adc.BIAS_VOLTS)),
                "top": 2**config.adc_bits - 1, "frameStep": config.frame_step, "windowStep": config.window_step},
        "colors": _colors(config.genres),
        "images": {"recognizer": image, "recorder": {"flash": text64(build_image("recorder")["bin"].read_bytes())}},
        "songs": {genre: text64(song_file(genre)) for genre in SONGS},
        "scripts": {part: scripts[part] for part in PARTS[1:]},
    }
    whole = (WEB / "index.html").read_text(encoding="utf-8")
    for mark, text in (("/*REPO*/", REPO_URL), ("/*STYLE*/", (WEB / "style.css").read_text(encoding="utf-8")),
                       ("/*LICENCES*/", _licences()), ("/*SCRIPT*/", scripts["main"]),
                       ("/*FACTS*/", json.dumps(facts).replace("</", "<\\/"))):
        whole = whole.replace(mark, text)
    return whole


def write_page(generated: Path | None = None, config: Config = CONFIG) -> Path:
    """Write the page to `build/site/pico/index.html`, and its image to image.json beside it; returns the page's path.

    For `generated` and `config` see `recognizer_image`.
    """
    folder, image = build_dir() / "site" / "pico", recognizer_image(generated, config)
    files.write_text(folder / "image.json", json.dumps(image))
    return files.write_text(folder / "index.html", page(image, config))


def serve(path: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of a page's folder on 127.0.0.1; call its serve_forever()."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=path.parent)
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m tools.web``."""
    parser.add_argument("--model", type=as_path, help="a .tflite file of notebook 06: its headers go into the page")
    parser.add_argument("--open", action="store_true", help="serve the page on this computer and open it")


def run(args: argparse.Namespace) -> int:
    """Write the page, and with --open show it."""
    generated, config = None, CONFIG
    if args.model:
        model, generated = load_model(args.model), build_dir() / "web" / "generated"
        headers.write_headers(model, generated)
        config = model.config
    path = write_page(generated, config)
    print(files.shown(path))
    if args.open:
        with serve(path) as server:
            address = f"http://127.0.0.1:{server.server_port}/"
            print(f"{address} (Ctrl-C ends it)")
            webbrowser.open(address)
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main("Write the page with the emulated Pico to build/site/pico/.", add_arguments, run))
