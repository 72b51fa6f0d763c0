"""Chromium, for pages that are looked at: what it makes of them, and how their texts can be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

from load import DEADLINE_S

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
_HEADLESS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0")

#: `weak(view, element)`: a text whose contrast with what is behind it is too weak (WCAG 2.2, 1.4.3), else null.
CONTRAST = """
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
"""


def chromium(page: Path, *flags: str) -> tuple[str, str]:
    """What the browser makes of a page, and what it logs."""
    done = subprocess.run(
        [CHROMIUM, *_HEADLESS, *flags, f"--user-data-dir={page.parent / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout, done.stderr


def answered(wrapper: Path, *flags: str) -> Any:
    """What the page's own script has left in its body, as JSON; nothing may be said on the console."""
    dom, log = chromium(wrapper, "--dump-dom", *flags)
    assert "CONSOLE" not in log, log
    body = re.search(r"<body>(.*)</body>", dom, re.DOTALL)
    assert body
    return json.loads(unescape(body[1]))
