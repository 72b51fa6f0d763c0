"""The page of a report, looked at in a browser: light and dark, narrow and wide, without anything from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from load import DEADLINE_S, holding
from workbench import Workbench

_CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
_HEADLESS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0")
_LIGHT, _DARK = 1, 0
_WIDTHS = (400, 1280)

#: Measures each frame: whether it is wider than it may be, what it loaded, which scheme it is shown in, and every text
#: whose contrast with what is behind it is too weak (WCAG 2.2, 1.4.3).
_MEASURE = """
const rgb = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = colour => {
  const [r, g, b] = colour.map(v => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (view, element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgb(view.getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const weak = (view, element) => {
  const style = view.getComputedStyle(element);
  const pair = [rgb(style.color), behind(view, element)].map(c => light(c.slice(0, 3)));
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  return ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5) ? [element.textContent.trim(), ratio] : null;
};
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


def chromium(page: Path, *flags: str) -> tuple[str, str]:
    """What the browser makes of a page, and what it logs."""
    done = subprocess.run(
        [_CHROMIUM, *_HEADLESS, *flags, f"--user-data-dir={page.parent / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout, done.stderr


def measured(tmp_path: Path, pages: tuple[str, ...], scheme: int) -> list[dict[str, Any]]:
    """Each page at each width, as the browser shows it."""
    frames = "".join(
        f'<iframe srcdoc="{escape(page)}" style="width: {width}px; height: 900px; border: 0"></iframe>'
        for page in pages
        for width in _WIDTHS
    )
    wrapper = tmp_path / f"wrapper-{scheme}.html"
    wrapper.write_text(f"<!DOCTYPE html><title>wrapper</title><script>{_MEASURE}</script><body>{frames}", "utf-8")
    dom, log = chromium(wrapper, "--dump-dom", f"--blink-settings=preferredColorScheme={scheme}")
    assert "CONSOLE" not in log
    body = re.search(r"<body>(.*)</body>", dom, re.DOTALL)
    assert body
    found: list[dict[str, Any]] = json.loads(unescape(body[1]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not _CHROMIUM, reason="needs Chromium")
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
@pytest.mark.skipif(not _CHROMIUM, reason="needs Chromium")
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
