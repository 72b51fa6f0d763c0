"""The SQL of the kinds of databases that Handrail reads: for a review, which needs no database."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

if TYPE_CHECKING:
    from sqlalchemy import URL

    from handrail.engines.base import Actions, Effects, Shadow, Statements


class Dialect(Protocol):
    """The SQL of one kind of database, as far as it can be read without one. Every Engine is one."""

    @property
    def name(self) -> str:
        """What rules call it."""

    @property
    def url(self) -> URL:
        """A URL of the dialect that statements are written in; no driver has to be installed for it."""

    @property
    def actions(self) -> Actions:
        """What statements do to schema and rows."""

    @property
    def effects(self) -> Effects:
        """What statements do to others."""

    @property
    def statements(self) -> Statements:
        """What statements are."""

    def shadow(self) -> Shadow | None:
        """Return an empty copy of the schema as it is now, None where none is needed or can be held in memory."""


#: The dialects, the one that most migrations are written for first.
DIALECTS = ("postgresql", "sqlite", "mysql", "mariadb")
_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}


def for_name(name: str) -> Dialect:
    """Return what reads that dialect; nothing is connected to."""
    from sqlalchemy import URL  # noqa: PLC0415 - the names alone are asked for where nothing has to be read

    from handrail.engines.base import for_url  # noqa: PLC0415 - see above

    if name == "sqlite":
        return for_url(URL.create(name, database=str(Path(gettempdir(), f"handrail-{uuid4()}.db"))))
    url = URL.create(f"{name}+{_DRIVERS[name]}", database="review")
    if name in {"mysql", "mariadb"}:
        dialect: Dialect = import_module("handrail.engines.mysql").dialect(url)
        return dialect
    return for_url(url)
