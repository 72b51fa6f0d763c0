"""Writes docs/rules/: one page for each rule, from its file, and the index by group."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from handrail.flows import explain

FOLDER = Path(__file__).parents[1] / "docs" / "rules"


def pages() -> dict[str, str]:
    """Return every page by its file's name."""
    found = {f"{page.name}.md": page.text for page in explain.index()}
    lines = ["# Rules", "", "Written by `python tools/rule_pages.py` from the rules' files.", ""]
    for group, those in groupby(explain.index(), key=lambda page: page.group):
        lines += [f"## {group}", "", "| Rule | Severity | |", "|---|---|---|"]
        for page in those:
            off = " (off by default)" if page.style else ""
            lines.append(f"| [{page.name}]({page.name}.md) | {page.severity.value}{off} | {page.title} |")
        lines.append("")
    return {**found, "index.md": "\n".join(lines).rstrip() + "\n"}


def main() -> int:
    """Write what differs, remove what is no rule's; with --check only tell, and return 1."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/rules/{name} is not what its rule says: python tools/rule_pages.py")
        return bool(stale)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
