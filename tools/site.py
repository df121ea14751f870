"""The series as web pages for those who only want to read: ``make site`` writes ``build/site/index.html``.

Titles, descriptions and pictures come from the notebooks. A page needs no other file and no network: pictures are
inside the page, formulas are MathML, and there is no script.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from mgr_helpers.config import REPO_URL, build_dir
from mgr_helpers.host import files
from mgr_helpers.host.command_line import main
from notebooks.run import find_notebooks

SERIES = "Music genre recognition on the Raspberry Pi Pico"
# code and formulas; code is matched, too, so that a $ in it does not begin a formula
MATH = re.compile(r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$",
                  re.DOTALL)

CSS = """
:root { --ink: #222; --soft: #666; --line: #ddd; --code: #f6f7f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); font: 17px/1.6 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
nav.top { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: .6rem 1.2rem;
          border-bottom: 1px solid var(--line); }
nav.top b { margin-right: auto; } nav.top .here { font-weight: bold; color: var(--ink); }
.columns { display: grid; grid-template-columns: minmax(0, 60rem) 14rem; gap: 3rem; justify-content: center;
           padding: 0 1.2rem; }
.contents { position: sticky; top: 1rem; align-self: start; margin-top: 2.5rem; font-size: .85em; line-height: 1.4;
            border-left: 2px solid var(--line); padding-left: 1rem; max-height: 95vh; overflow: auto; }
.contents a { display: block; margin-bottom: .5em; color: var(--soft); }
h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 2.6rem; } .anchor-link { visibility: hidden; margin-left: .3em; }
h2:hover .anchor-link, h3:hover .anchor-link { visibility: visible; }
blockquote { margin: 1.4rem 0; padding: .4rem 1.2rem; border-left: 5px solid #e69f00; background: #fff7e6; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .8em; }
p, ul, ol, blockquote { max-width: 50rem; }
p code, li code, td code { background: var(--code); padding: .1em .3em; border-radius: 3px; }
pre { margin: 0; overflow-x: auto; line-height: 1.45; }
.text_cell_render > pre { background: var(--code); padding: .7rem 1rem; }
.input_area { background: var(--code); border: 1px solid var(--line); border-radius: 5px; padding: .7rem 1rem;
              margin-top: 1rem; }
.output_area { padding: .4rem 1rem; } .output_area img, .output_area svg { max-width: 100%; height: auto; }
.output_area .note { color: var(--soft); font-style: italic; font-size: .85em; }
table { border-collapse: collapse; border: 0; font-size: .9em; margin: .8rem 0; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; border: 0; border-bottom: 1px solid var(--line); text-align: right; }
thead th { border-color: #999; }
.text_cell_render td, .text_cell_render th { text-align: left; }
math[display=block] { margin: 1rem 0; } math { font-size: 1.08em; }
nav.ends { display: flex; justify-content: space-between; gap: 1rem; border-top: 1px solid var(--line);
           margin: 3rem 0; padding-top: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1.4rem; padding: 0; }
.card { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; color: inherit; background: white; }
.card:hover { border-color: var(--accent); text-decoration: none; }
.card img { width: 100%; height: 9rem; object-fit: contain; padding: .6rem;
            border-bottom: 1px solid var(--line); }
.card div { padding: .2rem 1.1rem 1rem; } .card h2 { margin: .5rem 0; font-size: 1.1em; color: var(--accent); }
.card p { margin: 0; font-size: .88em; line-height: 1.45; } .card small { color: var(--soft); }
.front { max-width: 66rem; margin: 0 auto; padding: 1rem 1.2rem 3rem; }
@media (max-width: 64rem) { .columns { display: block; } .contents { display: none; } }
"""


@dataclass(frozen=True)
class Chapter:
    """A notebook, and what its first cell says about it."""

    path: Path
    notebook: dict
    title: str
    learn: str
    takes: str

    @property
    def page(self) -> str:
        """File name of the web page."""
        return f"{self.path.stem}.html"


def read_chapter(path: Path) -> Chapter:
    """Read a notebook; its title and description come from the first cell.

    Raises
    ------
    ValueError
        When the first cell has no title, does not say what one learns, or how long the notebook takes.
    """
    import nbformat
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0].source
    found = {name: re.search(rf"^\*\*{words}\*\* (.+?)(?:\n\n|\Z)", first, re.MULTILINE | re.DOTALL)
             for name, words in (("learn", "You will learn"), ("takes", "It takes"))}
    title = re.match(r"# (.+)", first)
    if not (title and all(found.values())):
        raise ValueError(f"{path.name}: its first cell needs a title, 'You will learn' and 'It takes'")
    texts = {name: re.sub(r"\s+", " ", match[1]) for name, match in found.items()}
    return Chapter(path, notebook, title[1], texts["learn"], texts["takes"])


def with_mathml(markdown: str) -> str:
    """Markdown with formulas as MathML: browsers draw it without a script."""
    from latex2mathml.converter import convert

    def translated(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        return convert(match["block"] or match["inline"], display="block" if match["block"] else "inline")

    return MATH.sub(translated, markdown)


def with_links(markdown: str) -> str:
    """Markdown with links that work on the site.

    Links to other files lead into the repository. Colab's badge becomes a link.
    """
    markdown = re.sub(r"\[!\[Open In Colab\]\([^)]*\)\]\(([^)]*)\)", r"[Open in Colab](\1)", markdown)
    return re.sub(r"\]\(\.\./([^)]+)\)", rf"]({REPO_URL}/blob/main/\1)", markdown)


def body_of(chapter: Chapter) -> str:
    """The cells of a notebook as HTML, without prompts."""
    from nbconvert import HTMLExporter
    for cell in chapter.notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(with_links(cell.source))
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                output.data["text/markdown"] = with_links(output.data["text/markdown"])
    chapter.notebook.metadata.language_info["pygments_lexer"] = "ipython3"  # it knows !command and %magic
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(chapter.notebook)
    body = re.sub(r'href="(\w+)\.ipynb', r'href="\1.html', body)  # to a notebook's page, from outputs, too
    body = body.replace("No description has been provided for this image", "picture made by the cell above")
    return re.sub(r"<pre>(\((?:interactive|audio player): .+?\))\s*</pre>", r'<p class="note">\1</p>', body)


def page(title: str, content: str) -> str:
    """A whole HTML page."""
    from pygments.formatters import HtmlFormatter
    style = CSS + HtmlFormatter(style="friendly").get_style_defs(".highlight").replace("background: #f0f0f0", "")
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{style}</style>\n</head>\n<body>\n{content}\n</body>\n</html>\n")


def chapter_page(chapters: list[Chapter], number: int) -> str:
    """The page of a chapter: links to all chapters above, its headings beside, previous and next chapter below."""
    chapter = chapters[number]
    top = "".join(f'<a href="{other.page}" {"class=here " * (other is chapter)}title="{html.escape(other.title)}">'
                  f"{other.path.stem[:2]}</a>" for other in chapters)
    body = body_of(chapter)
    headings = re.findall(r'<h2 id="([^"]+)">(.+?)<a class="anchor-link"', body)
    beside = "".join(f'<a href="#{name}">{text}</a>' for name, text in headings)
    before, after = chapters[:number][-1:], chapters[number + 1 :][:1]  # lists of one chapter, or of none
    ends = "".join(f'<a href="{other.page}">← {other.title}</a>' for other in before) or "<span></span>"
    ends += ("".join(f'<a href="{other.page}">{other.title} →</a>' for other in after)
             or '<a href="index.html">All chapters</a>')
    return page(chapter.title, f'<nav class="top"><b><a href="index.html">{SERIES}</a></b>{top}</nav>\n'
                f'<div class="columns"><main>{body}<nav class="ends">{ends}</nav></main>'
                f'<nav class="contents">{beside}</nav></div>')


def thumbnail(chapter: Chapter) -> str:
    """The largest PNG (in bytes) among the outputs of a chapter, in base 64; "" if there is none."""
    pictures = [output["data"]["image/png"] for cell in chapter.notebook.cells for output in cell.get("outputs", [])
                if "image/png" in output.get("data", {})]
    return max(pictures, key=len, default="").replace("\n", "")


def index_page(chapters: list[Chapter]) -> str:
    """The front page, with a card for each chapter."""
    cards = "".join(f'<a class="card" href="{chapter.page}">'
                    f'<img alt="" src="data:image/png;base64,{thumbnail(chapter)}">'
                    f"<div><h2>{html.escape(chapter.title)}</h2><p>{plain(chapter.learn)}</p>"
                    f"<p><small>{plain(chapter.takes)}</small></p></div></a>\n" for chapter in chapters)
    return page(SERIES, f'<div class="front"><h1>{SERIES}</h1><p>From a microphone to a genre, in {len(chapters)} '
                f'chapters. Read them here. To run them, open them in Colab, or <a href="{REPO_URL}">get the '
                'repository</a>. Or <a href="pico/index.html">let an emulated Pico listen</a> to your music, in your '
                'browser.</p>'
                f'<div class="cards">{cards}</div></div>')


def plain(markdown: str) -> str:
    """The first sentence of Markdown as escaped text without its marks. The first letter becomes a capital."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", re.sub(r"[*`]", "", markdown))
    text = re.split(r"(?<=[.!?]) (?=[A-Z])", text)[0]
    return html.escape(text[:1].upper() + text[1:])


def write_site(folder: Path) -> Path:
    """Write all pages into a folder; returns the path of index.html."""
    chapters = [read_chapter(path) for path in find_notebooks()]
    pages = {"index.html": index_page(chapters)}
    pages |= {chapter.page: chapter_page(chapters, number) for number, chapter in enumerate(chapters)}
    for name, text in pages.items():
        files.write_text(folder / name, text)
    return folder / "index.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m tools.site``: none."""


def run(args: argparse.Namespace) -> int:
    """Write the pages to `build/site/`."""
    print(files.shown(write_site(build_dir() / "site")))
    return 0


if __name__ == "__main__":
    sys.exit(main("Write the series as web pages to build/site/.", add_arguments, run))
