"""One database of SQLite 3.35 and later, in a file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module

from sqlalchemy import URL, Connection

from handrail.engines.archives import Backups
from handrail.engines.base import (
    Actions,
    Activity,
    Catalog,
    Cause,
    Effects,
    Locks,
    Purpose,
    Rows,
    Shadow,
    Statements,
)
from handrail.engines.explanation import explained
from handrail.engines.facts import Dependants, Sizes, Violations
from handrail.engines.integrity import Ground, Orphans, Rights, Sequences, Trials
from handrail.engines.loading import loaded
from handrail.engines.sandboxes import Sandbox
from handrail.engines.sqlite import (
    activity,
    catalog,
    ground,
    locks,
    orphans,
    plans,
    rights,
    rows,
    sequences,
    shadow,
    step,
    trials,
    usage,
)
from handrail.engines.sqlite.causes import classify
from handrail.engines.sqlite.sandbox import open_sandbox
from handrail.engines.sqlite.session import connect, connected_file
from handrail.engines.sqlite.sql import effects, statements
from handrail.engines.usage import Plans, Usage
from handrail.errors import TargetRefused
from handrail.host.secrets import mask
from handrail.model.effect import Blocker
from handrail.model.needs import Needs
from handrail.model.session import SessionSettings
from handrail.model.target import Target

#: The first version with ALTER TABLE DROP COLUMN and RETURNING: https://www.sqlite.org/releaselog/3_35_0.html.
OLDEST = (3, 35, 0)


def engine(url: URL) -> SQLite:
    """Return the engine bound to that URL; nothing is opened yet."""
    return SQLite(url)


def _holders(conn: Connection) -> tuple[Blocker, ...]:
    return locks.blockers(conn, effects.effects("create table t (id)", server_major=3), older_than_s=0.0)


class SQLite:
    """One SQLite file behind one URL; satisfies `Engine`. Our own tables are named `handrail_*`."""

    name = "sqlite"
    state_schema: str | None = None
    catalog: Catalog = catalog
    rows: Rows = rows
    effects: Effects = effects
    statements: Statements = statements
    locks: Locks = locks
    activity: Activity = activity
    usage: Usage = usage
    plans: Plans = plans
    rights: Rights = rights
    orphans: Orphans = orphans
    sequences: Sequences = sequences
    ground: Ground = ground
    trials: Trials = trials
    actions: Actions = loaded("handrail.engines.sqlite.sql.actions")
    sizes: Sizes = loaded("handrail.engines.sqlite.sizes")
    violations: Violations = loaded("handrail.engines.sqlite.violations")
    dependants: Dependants = loaded("handrail.engines.sqlite.dependants")

    def __init__(self, url: URL) -> None:
        self.url = url

    def settled(self, session: SessionSettings, driver: str = "") -> SQLite:  # noqa: ARG002 - the Protocol's shape
        """Return this engine: SQLite knows no settings of that kind."""
        return self

    @property
    def backups(self) -> Backups:
        """What makes archives of this database."""
        backups: Backups = import_module("handrail.engines.sqlite.backup").SqliteBackups(self.url)
        return backups

    @contextmanager
    def connect(self, purpose: Purpose, *, run: str = "") -> Iterator[Connection]:  # noqa: ARG002 - no server shows it
        """Open one connection on Python's own driver, closed at the end.

        READ commits nothing, writes nothing and leaves no file; a file that is not there reads as an empty database.
        STATE commits each statement. MIGRATE begins with BEGIN IMMEDIATE and commits DDL only where told to. A lock is
        waited for 5 s, or `?timeout=SECONDS` of the URL. Raises Unreachable, TargetRefused or UsageRefused.
        """
        with connect(self.url, purpose) as conn:
            file = str(connected_file(conn))
            with explained(file, purpose, classify=classify, blockers=lambda: _holders(conn)):
                yield conn

    def target(self, conn: Connection) -> Target:
        """Return the facts about the file; SQLite knows no users and no identity. Raises TargetRefused below 3.35."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise TargetRefused(
                what="the database cannot be migrated; nothing was touched",
                why=f"this Python has SQLite {sqlite3.sqlite_version}, and Handrail needs 3.35",
                fix="use a Python linked with a newer SQLite",
            )
        file = connected_file(conn)
        return Target(
            engine=self.name,
            url=mask(self.url.render_as_string(hide_password=True)),
            database=file.name,
            host="",
            user="",
            server=sqlite3.sqlite_version,
            server_major=sqlite3.sqlite_version_info[0],
            read_only=file.exists() and not os.access(file, os.W_OK),
        )

    def needs(self, conn: Connection) -> Needs:  # noqa: ARG002 - the Protocol's shape; a file needs no server
        """Return the major version, all that a file needs."""
        return Needs(server_major=catalog.SERVER_MAJOR)

    def classify(self, exc: BaseException) -> Cause:
        """Return why a driver raised, by class and SQLite's result code."""
        return classify(exc)

    def before_step(self, conn: Connection) -> None:
        """Switch foreign keys off, and remember what violates them already. Raises TargetRefused in a transaction."""
        step.before(conn)

    def before_commit(self, conn: Connection) -> tuple[str, ...]:
        """Return a line for each row whose parent the transaction has taken away."""
        return step.broken(conn)

    def after_step(self, conn: Connection) -> None:
        """Put foreign keys and the lock timeout back as they were."""
        step.after(conn)

    def shadow(self) -> Shadow:
        """Return an empty copy of the schema as it is now. Reads only."""
        with self.connect(Purpose.READ) as conn:
            return shadow.shadow(conn)

    def sandbox(self, *, server_major: int) -> AbstractContextManager[Sandbox]:
        """Open a private folder for databases to work in. Raises SandboxUnavailable for any version but 3."""
        return open_sandbox(server_major)
