"""Draws docs/terminal.svg: what a person sees in a terminal who brings the tour's production database to its head."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from handrail.flows.demo import scene

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("apply", "-e", "production", "--backup-first", "--verify-after", "--confirm", "htstatus_production")
COLUMNS = 118
SPINNER = re.compile("[\u2801-\u28ff]")  # a terminal shows these only until the next line
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def in_terminal(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    """Return what a command writes to a terminal of COLUMNS columns, as it stands there at the end."""
    ours, theirs = pty.openpty()
    sized = {**env, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=cwd, env=sized, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                chunk = os.read(ours, 1 << 16)
            except OSError:  # the other side has ended
                break
            if not chunk:
                break
            written += chunk
        process.wait()
    lines = [line.rpartition("\r")[2] for line in written.decode().replace("\r\n", "\n").split("\n")]
    return "\n".join(line for line in lines if not SPINNER.search(line)).rstrip()


def main() -> None:
    """Play the scene, run the command, draw the picture."""
    with scene(lambda _text: None) as stage:
        said = in_terminal([sys.executable, "-m", "handrail", *WORDS], stage.folder, stage.environment())
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor", force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), ("handrail " + " ".join(WORDS), "bold")))
    console.print(Text.from_ansi(said))
    svg = FONT.sub("", console.export_svg(title="handrail"))  # a page on its own fetches nothing
    (ROOT / "docs" / "terminal.svg").write_text(svg)


if __name__ == "__main__":
    main()
