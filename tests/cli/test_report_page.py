"""The page of a report, looked at in a browser: light and dark, narrow and wide, without anything from elsewhere."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, CONTRAST, answered, chromium
from load import DEADLINE_S, holding
from workbench import Workbench

_LIGHT, _DARK = 1, 0
_WIDTHS = (400, 1280)

#: Measures each frame: whether it is wider than it may be, what it loaded, which scheme it is shown in, its weak texts.
_MEASURE = """
const look = frame => {
  const view = frame.contentWindow, page = frame.contentDocument, texts = [];
  const walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() && !element.closest('svg')) texts.push(weak(view, element));
  }
  const right = e => e.getBoundingClientRect().right, all = what => [...page.body.querySelectorAll(what)];
  return {
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    shown: view.innerWidth,
    texts: texts.length,
    weak: texts.filter(Boolean),
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches,
    loaded: view.performance.getEntriesByType('resource').length,
    bars: all('rect').filter(e => e.getBoundingClientRect().width > 0).length,
    sticking: all('*').filter(e => right(e) > page.documentElement.clientWidth + 0.5).map(e => e.outerHTML),
  };
};
addEventListener('load', () => {
  document.body.textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(look));
});
"""


@pytest.fixture
def pages(tmp_path: Path, postgresql_url: str) -> tuple[str, str]:
    """The page of a run that waited and went through, and that of one that failed."""
    bench = Workbench(tmp_path / "project", postgresql_url)
    bench.execute("create table users (id integer primary key)")
    bench.revision("aaa1", None, 'op.add_column("users", sa.Column("email", sa.String(50)))')
    with holding(bench.url, "select 1 from users"):
        process = bench.start("apply", "--yes")
        assert process.stderr is not None
        waited = any("waits, holding nothing" in line for line in process.stderr)
    process.communicate(timeout=DEADLINE_S)
    assert waited
    page = bench.run("report", "--format", "html").stdout
    bench.revision("bbb2", "aaa1", 'op.create_index("a", "users", ["email"])\nop.drop_table("nobody_has_this_table")')
    assert bench.run("apply", "--yes").returncode == 1
    return page, bench.run("report", "--format", "html").stdout


def measured(tmp_path: Path, pages: tuple[str, ...], scheme: int) -> list[dict[str, Any]]:
    """Each page at each width, as the browser shows it."""
    frames = "".join(
        f'<iframe srcdoc="{escape(page)}" style="width: {width}px; height: 900px; border: 0"></iframe>'
        for page in pages
        for width in _WIDTHS
    )
    wrapper = tmp_path / f"wrapper-{scheme}.html"
    wrapper.write_text(
        f"<!DOCTYPE html><title>wrapper</title><script>{CONTRAST}{_MEASURE}</script><body>{frames}", "utf-8"
    )
    found: list[dict[str, Any]] = answered(wrapper, f"--blink-settings=preferredColorScheme={scheme}")
    return found


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize("scheme", [_LIGHT, _DARK], ids=["light", "dark"])
def test_a_browser_shows_the_page_whole_readable_and_alone(pages: tuple[str, str], tmp_path: Path, scheme: int) -> None:
    frames = measured(tmp_path, pages, scheme)
    assert [f["shown"] for f in frames] == [*_WIDTHS, *_WIDTHS]
    for frame in frames:
        assert frame["dark"] is (scheme == _DARK)
        assert (frame["overflow"], frame["sticking"]) == (0, [])
        assert frame["texts"] > 60
        assert frame["weak"] == []
        assert frame["loaded"] == 0
        assert frame["bars"] > 10


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_the_page_can_be_printed(pages: tuple[str, str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages[1], "utf-8")
    chromium(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


class _Outline(HTMLParser):
    """What a reader without eyes or colours is given."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.levels: list[int] = []
        self.attributes: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def test_the_page_needs_no_eyes_no_script_and_nothing_from_elsewhere(lite_bench: Workbench) -> None:
    lite_bench.run("apply", "--yes")
    page = lite_bench.run("report", "--format", "html").stdout
    outline = _Outline()
    outline.feed(page)
    assert ("html", "lang", "en") in outline.attributes
    assert "<title>PASS: 1 revision applied (main, run " in page
    assert outline.tags.count("h1") == outline.tags.count("main") == 1
    assert outline.levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(outline.levels))
    assert outline.tags.count("caption") == outline.tags.count("table") > 0
    assert sum((tag, name) == ("th", "scope") for tag, name, _ in outline.attributes) == outline.tags.count("th")
    assert not {"script", "img", "link", "iframe", "object"} & set(outline.tags)
    assert not {"src", "srcset", "onclick", "onload"} & {name for _, name, _ in outline.attributes}
    assert {value[0] for _, name, value in outline.attributes if name == "href"} == {"#"}
    assert set(re.findall(r"url\((.)", page)) == {"#"}
    assert not re.search(r"@import|https?://", page)
    for section in ("Planning", "Testing", "Execution", "Verification", "Documentation"):
        assert f">{section}</h2>" in page


def test_every_bar_says_in_words_what_it_shows(lite_bench: Workbench) -> None:
    lite_bench.run("apply", "--yes")
    page = lite_bench.run("report", "--format", "html").stdout
    bars = re.findall(r'<svg class="bars[^>]*role="img" aria-label="([^"]*)"', page)
    assert any("attempt 1 committed" in said for said in bars)
    assert any("CREATE TABLE users" in said for said in bars)
    assert "" not in bars


def test_nothing_in_a_report_can_become_markup(lite_bench: Workbench) -> None:
    path = lite_bench.revision("bbb2", "aaa1", 'op.drop_table("nobody</pre><script>alert(1)</script>")')
    path.write_text(path.read_text().replace("Step bbb2.", '<script>alert("title")</script>'))
    lite_bench.run("apply", "--yes")
    page = lite_bench.run("report", "--format", "html").stdout
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "</pre><script" not in page
