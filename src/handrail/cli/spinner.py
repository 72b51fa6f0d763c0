"""What a person at a terminal sees below the lines: that it is alive, and at what."""

from __future__ import annotations

from rich.console import Console
from rich.status import Status


class Spinner:
    """A line that turns while something is going on; what is told meanwhile scrolls by above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._status = Status("", console=self._console)
        self._turning = False

    def turn(self, doing: str) -> None:
        """Show what is going on, from now until `stop`."""
        self._status.update(doing)
        if not self._turning:
            self._turning = True
            self._status.start()

    def tell(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line)

    def stop(self) -> None:
        """Take the turning line away; also when there is none."""
        if self._turning:
            self._turning = False
            self._status.stop()
