"""The series as web pages: links work, every picture of the notebooks is there, nothing is fetched."""

import html.parser
import json

import nbformat
import pytest

from mgr_helpers.config import REPO_URL, ROOT
from notebooks import run
from tools import site

NOTEBOOKS = run.find_notebooks()


class Page(html.parser.HTMLParser):
    """The links, ids, tags and picture sources of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.tags, self.sources = [], set(), set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        self.ids |= {values.get("id")}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "src" in values:
            self.sources.append(values["src"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site.write_site(folder)
    return {path.name: Page(path) for path in folder.iterdir()}


def test_links_lead_to_pages_and_files_that_exist(pages):
    for name, page in pages.items():
        for link in page.links:
            target, _, place = link.partition("#")
            if target.startswith(f"{REPO_URL}/blob/main/"):
                assert (ROOT / target.removeprefix(f"{REPO_URL}/blob/main/")).exists(), f"{name}: {link}"
            elif target == "pico/index.html":
                assert name == "index.html"  # tools.web writes it
            elif not target.startswith("https://"):
                assert not place or place in pages[target or name].ids, f"{name}: {link}"
                assert (target or name) in pages, f"{name}: {link}"


def test_each_chapter_has_a_page_and_links_to_its_neighbours(pages):
    assert sorted(pages) == sorted([*(f"{path.stem}.html" for path in NOTEBOOKS), "index.html"])
    chapters = [link for link in pages["index.html"].links if link.endswith(".html") and "/" not in link]
    assert chapters == [f"{path.stem}.html" for path in NOTEBOOKS]
    for before, after in zip(chapters, chapters[1:]):
        assert after in pages[before].links and before in pages[after].links


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_is_there_and_nothing_is_fetched(path, pages):
    page = pages[f"{path.stem}.html"]
    cells = json.loads(path.read_text())["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    pngs = [data["image/png"].rstrip("\n") for data in outputs if "image/png" in data]
    sources = [source for source in page.sources if "image/svg" not in source]
    assert sources == [f"data:image/png;base64,{png}" for png in pngs]
    drawings = sum("image/svg+xml" in data for data in outputs)
    assert sum(source.startswith("data:image/svg+xml;base64,") for source in page.sources) == drawings
    assert not {"script", "link", "iframe"} & page.tags


def test_formulas_are_mathml_and_code_is_left_alone():
    text = site.with_mathml("`$x$` costs\n\n$$c \\odot i$$\nand $f_s/2$; ```\n$a$\n```")
    assert text.count("<math") == 2 and 'display="block"' in text
    assert "`$x$`" in text and "$a$" in text and "\\odot" not in text


def test_card_shows_title_and_description_of_its_notebook(tmp_path):
    cell = "# 9. A & B\n\n**You will learn** how *x* makes [y](z.ipynb). And more.\n\n**It takes** a\nminute."
    path = tmp_path / "09_a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(cell)]), path)
    text = site.index_page([site.read_chapter(path)])
    assert "<h2>9. A &amp; B</h2>" in text and "<p>How x makes y.</p>" in text and "A minute." in text
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 9. A")]), path)
    with pytest.raises(ValueError, match="09_a.ipynb.*You will learn"):
        site.read_chapter(path)
