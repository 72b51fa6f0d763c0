"""What project code finds around it while the fence is up, other than databases."""

from __future__ import annotations

import logging.config
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import StringIO, TextIOBase
from typing import Any, NoReturn, Self, TextIO

#: Variables from which drivers take a server, user or password that nobody chose.
#: Source: https://www.postgresql.org/docs/current/libpq-envars.html
_SERVER_VARIABLES = ("PG", "MYSQL_", "MARIADB_")


class Capture(TextIOBase):
    """A stream that keeps what one thread prints and passes on what the others do."""

    def __init__(self, passed_on: TextIO) -> None:
        self._owner = threading.get_ident()
        self.outside = passed_on
        self._kept = StringIO()

    def write(self, text: str) -> int:
        """Keep or pass on."""
        mine = threading.get_ident() == self._owner
        return (self._kept if mine else self.outside).write(text)

    def flush(self) -> None:
        """Flush the other threads' stream."""
        if threading.get_ident() != self._owner:
            self.outside.flush()

    def text(self) -> str:
        """Return what was kept."""
        return self._kept.getvalue()


class Surroundings:
    """Output kept, input empty, logging's configuration inert, no bytecode, no sudden end of the process."""

    def __init__(self, *, scrub: bool) -> None:
        self._scrub = scrub
        self._stack = ExitStack()
        self.out: Capture | None = None
        self.err: Capture | None = None

    @property
    def output(self) -> str:
        """What project code printed, standard output first."""
        return "".join(stream.text() for stream in (self.out, self.err) if stream is not None)

    def __enter__(self) -> Self:
        self.out, self.err = self.out or Capture(sys.stdout), self.err or Capture(sys.stderr)
        enter = self._stack.enter_context
        enter(replaced(sys, "stdout", self.out))
        enter(replaced(sys, "stderr", self.err))
        enter(replaced(sys, "stdin", StringIO()))  # a question would wait for an answer that nobody sees asked
        enter(replaced(sys, "dont_write_bytecode", value=True))
        # env.py's fileConfig() would disable the loggers of everybody else in this process.
        enter(replaced(logging.config, "fileConfig", _configure_nothing))
        enter(replaced(logging.config, "dictConfig", _configure_nothing))
        enter(replaced(os, "_exit", _leave))
        enter(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if self._scrub:
            enter(_without(_SERVER_VARIABLES))
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let what is printed inside be seen: it is ours."""
        mine = sys.stdout, sys.stderr
        assert self.out is not None
        assert self.err is not None
        sys.stdout, sys.stderr = self.out.outside, self.err.outside
        try:
            yield
        finally:
            sys.stdout, sys.stderr = mine


@contextmanager
def replaced(holder: object, name: str, value: object) -> Iterator[None]:
    """Give an attribute another value for a while."""
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


@contextmanager
def _without(prefixes: tuple[str, ...]) -> Iterator[None]:
    hidden: Mapping[str, str] = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _configure_nothing(*_args: Any, **_options: Any) -> None:
    return None


def _leave(status: int) -> NoReturn:
    raise SystemExit(status)
