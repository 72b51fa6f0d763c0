"""MySQL 8.0 and later, MariaDB 10.6 and later: their SQL is read; no database of theirs is connected to yet."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import URL

from handrail.engines.base import Actions, Effects, Statements


def dialect(url: URL) -> MySQL:
    """Return what reads the SQL of that URL's kind of database; a driver need not be installed."""
    return MySQL(url)


class MySQL:
    """MySQL's or MariaDB's SQL, by the URL's dialect; satisfies `Dialect`."""

    name = "mysql"

    def __init__(self, url: URL) -> None:
        self.url = url

    @property
    def actions(self) -> Actions:
        """What reads statements as actions."""
        actions: Actions = import_module("handrail.engines.mysql.actions")
        return actions

    @property
    def effects(self) -> Effects:
        """What knows the locks of statements."""
        effects: Effects = import_module("handrail.engines.mysql.effects")
        return effects

    @property
    def statements(self) -> Statements:
        """What reads statements one by one."""
        statements: Statements = import_module("handrail.engines.mysql.statements")
        return statements

    def shadow(self) -> None:
        """Return None: no copy can be held in memory, so a batch that is told to recreate is read in part."""
