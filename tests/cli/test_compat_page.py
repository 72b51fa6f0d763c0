"""The heat map of versions and revisions, looked at in a browser, gone through by keyboard, and read without eyes."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from browser import CHROMIUM, CONTRAST, answered, chromium
from workbench import Workbench

_LIGHT, _DARK = 1, 0
_WIDTHS = (400, 1280)
_MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("nick", String(40)))
"""
#: What a person sees and does in each frame: its width, weak texts, and what the keys do to focus and reason.
_USE = """
const use = frame => {
  const view = frame.contentWindow, page = frame.contentDocument, texts = [];
  const table = page.querySelector('table.matrix');
  const shown = cell => {
    const why = cell.querySelector('.why');
    return !!why && view.getComputedStyle(why).display !== 'none';
  };
  const stops = () => [...table.querySelectorAll('td')].filter(cell => cell.tabIndex === 0).length;
  const at = () => {
    const cell = page.activeElement;
    const row = [...table.tBodies[0].rows].indexOf(cell.parentElement);
    return [row, [...cell.parentElement.querySelectorAll('td')].indexOf(cell), shown(cell), stops()];
  };
  const press = (key, held = {}) => {
    page.activeElement.dispatchEvent(
      new view.KeyboardEvent('keydown', {key, bubbles: true, cancelable: true, ...held}));
    return at();
  };
  table.querySelector('td[tabindex="0"]').focus();
  const begun = at();
  const why = page.activeElement.querySelector('.why').getBoundingClientRect();
  const walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const visible = element.checkVisibility() && !element.closest('.hidden');
    if (walk.currentNode.data.trim() && visible) texts.push(weak(view, element));
  }
  return {
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    weak: texts.filter(Boolean), texts: texts.length,
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches,
    loaded: view.performance.getEntriesByType('resource').length,
    why: why.left >= 0 && why.right <= view.innerWidth && why.bottom <= view.innerHeight && why.height > 20,
    role: table.getAttribute('role'), begun, escaped: press('Escape'),
    walked: ['ArrowDown', 'ArrowLeft', 'ArrowUp', 'ArrowRight', 'End', 'Home'].map(key => press(key)),
    ends: [press('End', {ctrlKey: true}), press('ArrowDown'), press('ArrowRight'), press('Home', {ctrlKey: true})],
  };
};
addEventListener('load', () => {
  document.body.textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(use));
});
"""


@pytest.fixture
def bench(pg_bench: Workbench) -> Workbench:
    """Two versions and four revisions: v1 breaks for one of them and once more for good."""
    pg_bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("nick", sa.String(40)))')
    (pg_bench.root / "app.py").write_text(dedent(_MODELS))
    assert pg_bench.run("versions", "register", "v1", "--models", "app:metadata", "--at", "aaa2").returncode == 0
    pg_bench.revision("aaa3", "aaa2", 'op.alter_column("users", "nick", nullable=False)').write_text(
        (pg_bench.versions / "aaa3_step.py").read_text().replace("Step aaa3.", 'A <script>alert("title")</script>')
    )
    pg_bench.revision("aaa4", "aaa3", 'op.alter_column("users", "nick", nullable=True)')
    pg_bench.revision("aaa5", "aaa4", 'op.drop_column("users", "nick")')
    models = _MODELS.replace(', Column("nick", String(40))', "")
    (pg_bench.root / "app.py").write_text(dedent(models))
    assert pg_bench.run("versions", "register", "v2", "--models", "app:metadata", "--at", "aaa4").returncode == 0
    return pg_bench


def page_of(bench: Workbench) -> str:
    done = bench.run("compat", "--format", "html")
    assert done.returncode == 1, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_the_heat_map_is_gone_through_by_keyboard_and_read_in_light_and_dark(bench: Workbench, tmp_path: Path) -> None:
    page = page_of(bench)
    for scheme in (_LIGHT, _DARK):
        frames = "".join(
            f'<iframe srcdoc="{escape(page)}" style="width: {width}px; height: 900px; border: 0"></iframe>'
            for width in _WIDTHS
        )
        wrapper = tmp_path / f"wrapper-{scheme}.html"
        script = f"<script>{CONTRAST}{_USE}</script>"
        wrapper.write_text(f"<!DOCTYPE html><title>wrapper</title>{script}<body>{frames}", "utf-8")
        found: list[dict[str, Any]] = answered(wrapper, f"--blink-settings=preferredColorScheme={scheme}")
        assert len(found) == len(_WIDTHS)
        for frame in found:
            assert frame["dark"] is (scheme == _DARK)
            assert (frame["overflow"], frame["loaded"], frame["weak"]) == (0, 0, [])
            assert frame["texts"] > 40
            assert frame["role"] == "grid"
            assert frame["begun"] == [1, 0, True, 1]  # where v1 first breaks, its reason shown, one stop for Tab
            assert frame["why"]
            assert frame["escaped"] == [1, 0, False, 1]
            below, _, back, right, last, first = frame["walked"]
            assert below == [2, 0, False, 1]
            assert back == [1, 0, True, 1]
            assert (right, last, first) == ([1, 1, False, 1], [1, 1, False, 1], [1, 0, True, 1])
            assert frame["ends"] == [[3, 1, False, 1]] * 3 + [[0, 0, False, 1]]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_the_heat_map_can_be_printed(bench: Workbench, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert bench.run("compat", "--output", str(file)).returncode == 1
    chromium(file, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.slow
def test_the_heat_map_needs_neither_eyes_nor_colours_nor_anything_from_elsewhere(bench: Workbench) -> None:
    page = page_of(bench)
    outline = _Outline()
    outline.feed(page)
    assert outline.of("html")[0]["lang"] == "en"
    assert len(outline.of("h1")) == len(outline.of("main")) == 1
    assert len(outline.of("caption")) == len(outline.of("table")) == 2
    assert all("scope" in header for header in outline.of("th"))
    cells = [a for a in outline.of("td") if re.match(r"works|never|read|insert", a.get("class", ""))]
    assert [c["class"] for c in cells] == [
        *("works", "never"),
        *("insert opens", "never"),
        *("works closes", "works"),
        *("read opens", "works"),
    ]
    reasons = {a["aria-describedby"] for a in cells if "aria-describedby" in a}
    assert reasons == {a["id"] for a in outline.of("div") if a.get("role") == "tooltip"} == {"why-1-0", "why-3-0"}
    assert all(a["tabindex"] == "0" for a in cells if "aria-describedby" in a)  # without the script, too
    assert re.findall(r'<span class="hidden">([^<]*)</span>', page) == [
        *("works", "never meet"),
        *("an INSERT of only what is required fails; a break begins here", "never meet"),
        *("works; a break ends here", "works"),
        *("read fails; a break begins here", "works"),
    ]
    assert not {"img", "link", "iframe", "object"} & {tag for tag, _ in outline.tags}
    assert set(re.findall(r"url\((.)", page)) == {"#"}
    assert not re.search(r"@import|https?://", page)


@pytest.mark.slow
def test_nothing_in_the_heat_map_can_become_markup(bench: Workbench) -> None:
    page = page_of(bench)
    assert "A &lt;script&gt;alert(" in page
    assert page.count("<script>") == 1
    assert "script-src 'sha256-" in page


@pytest.mark.slow
def test_markdown_and_json_tell_the_same_breaks(bench: Workbench) -> None:
    document = bench.json("compat")
    told = [(b["version"], b["since"], b["until"], b["operation"]) for b in document["breaks"]]
    assert told == [
        ("v1", "aaa3", "aaa4", "alter_column users.nick at line 11"),
        ("v1", "aaa5", "", "drop_column users.nick at line 11"),
    ]
    markdown = bench.run("compat", "--format", "markdown").stdout
    assert "**FAIL**" in markdown
    assert "| v1 | `aaa3` | alter_column users.nick at line 11 | `aaa4` | minimal insert fails on `users" in markdown
    assert "| v1 | `aaa5` | drop_column users.nick at line 11 | still open | read fails on `users" in markdown
