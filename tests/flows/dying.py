"""`python dying.py EVENT N ARGUMENTS...`: run handrail, and die by SIGKILL at the Nth event of that name."""

from __future__ import annotations

import os
import signal
import sys

from handrail.cli import main, terminal
from handrail.model.run import Event

_EVENT, _NTH, *_ARGUMENTS = sys.argv[1:]


class Dying(terminal.Terminal):
    """The terminal's subscriber, for as long as it lives."""

    seen = 0

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if type(event).__name__ == _EVENT:
            self.seen += 1
            if self.seen == int(_NTH):
                os.kill(os.getpid(), signal.SIGKILL)


terminal.Terminal = Dying  # type: ignore[misc]  # commands import the name when they are called
sys.exit(main.main(_ARGUMENTS))
