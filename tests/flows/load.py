"""Other people at work on a table while it is migrated: readers that stay, and writers that count every wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from sqlalchemy import make_url

DEADLINE_S = 60


def connect(url: str, **options: Any) -> psycopg.Connection[Any]:
    """A session of somebody else's."""
    parts = make_url(url)
    arguments = {**parts.translate_connect_args(username="user", database="dbname"), **parts.query, **options}
    return psycopg.connect(**arguments)


@contextmanager
def holding(url: str, *statements: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that has run those statements and stays open until the end of the block."""
    with connect(url, **options) as conn:
        for sql in statements:
            conn.execute(sql)
        yield conn
        conn.rollback()


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends, f"{what} did not come true within {deadline_s:g} s"
        time.sleep(0.01)


@dataclass
class Writers:
    """Writers that come on a fixed schedule, whoever stands in the way: an open loop.

    A wait is counted from the moment a write was due, so that a stall is charged to every write it delays.
    """

    url: str
    count: int = 8
    per_second: float = 10.0
    waits_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._ready = threading.Barrier(self.count + 1)
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(self.count)]
        for thread in self._threads:
            thread.start()
        self._ready.wait(DEADLINE_S)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    @property
    def worst_ms(self) -> float:
        """The longest wait so far."""
        return max(self.waits_s) * 1000

    def _write(self, number: int) -> None:
        with connect(self.url, autocommit=True, application_name="shop") as conn:
            conn.execute("select 1 from accounts where id = %s", (number,))
            self._ready.wait(DEADLINE_S)
            began = time.monotonic() + number / self.per_second / self.count
            for turn in range(10**9):
                due = began + turn / self.per_second
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                self._one(conn, number + self.count * turn)
                self.waits_s.append(time.monotonic() - due)

    def _one(self, conn: psycopg.Connection[Any], key: int) -> None:
        try:
            if key % 4:
                conn.execute("update accounts set balance = balance + 1 where id = %s", (key % 1000 + 1,))
            else:
                conn.execute("insert into accounts (owner, balance) values (%s, 0)", (f"new {key}",))
        except psycopg.Error as exc:
            self.errors.append(f"{type(exc).__name__}: {exc}")
