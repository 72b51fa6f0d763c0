"""The SQL of the kinds of databases that Handrail reads: for a review, which needs no database."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What reads the SQL of a dialect that revisions are written in; satisfies `Dialect`.

    Each part is loaded when it is asked for: what understands statements needs no SQLAlchemy.
    """

    dialect: str

    @property
    def name(self) -> str:
        """What rules call it: MariaDB is one with MySQL."""
        return "mysql" if self.dialect == "mariadb" else self.dialect

    @property
    def url(self) -> URL:
        """A URL of the dialect; nothing is connected to, and no driver has to be installed."""
        from sqlalchemy import URL  # noqa: PLC0415 - only what runs revisions asks for it

        return URL.create(f"{self.dialect}+{_DRIVERS[self.dialect]}", database="review")

    @property
    def actions(self) -> Actions:
        """What reads statements as actions."""
        actions: Actions = import_module(f"handrail.engines.{self.name}.sql.actions")
        return actions

    @property
    def effects(self) -> Effects:
        """What knows the locks of statements."""
        effects: Effects = import_module(f"handrail.engines.{self.name}.sql.effects")
        return effects

    @property
    def statements(self) -> Statements:
        """What reads statements one by one."""
        statements: Statements = import_module(f"handrail.engines.{self.name}.sql.statements")
        return statements

    def shadow(self) -> Shadow | None:
        """Return an empty schema, None where none can be held in memory: a batch that recreates is read in part."""
        if self.name != "sqlite":
            return None
        shadow: Shadow = import_module("handrail.engines.sqlite.shadow").EMPTY
        return shadow


#: The dialects, the one that most migrations are written for first.
DIALECTS = ("postgresql", "sqlite", "mysql", "mariadb")
_DRIVERS = {"postgresql": "psycopg", "sqlite": "pysqlite", "mysql": "pymysql", "mariadb": "pymysql"}


def for_name(name: str) -> Dialect:
    """Return what reads that dialect; nothing is connected to, and nothing loaded yet."""
    return Written(dialect=name)
