"""The fenced blocks of a Markdown page, and the command lines in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: its language, '' for none, and the second-level heading it stands under."""

    chapter: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without comments and blanks, those ending in a backslash joined with the next."""
        joined = re.sub(r"\s*\\\n\s*", " ", self.text)
        return [
            line.partition("  #")[0].strip()
            for line in joined.splitlines()
            if line.strip(" #")[:1] and line.lstrip()[0] != "#"
        ]


def blocks(page: Path) -> list[Block]:
    """Return the page's fenced blocks in its order."""
    found: list[Block] = []
    chapter, language, text = "", None, []
    for line in page.read_text().splitlines():
        if language is not None and line == "```":
            found.append(Block(chapter=chapter, language=language, text="".join(f"{each}\n" for each in text)))
            language, text = None, []
        elif language is not None:
            text.append(line)
        elif line.startswith("```"):
            language = line.removeprefix("```")
        elif line.startswith("## "):
            chapter = line.removeprefix("## ")
    return found
