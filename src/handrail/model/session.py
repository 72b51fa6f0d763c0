"""What a project's env.py settles on its connection before migrations run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What every session on the database starts with, so that it sees what env.py's own connection would see.

    `parameters` are settings of the server by name; `statements` are sent after them as they stand, in order (SET ROLE,
    SET search_path ...). `schemas` are the statements that create what these name, sent once before a migration.
    """

    parameters: tuple[tuple[str, str], ...] = ()
    statements: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()


#: Of an env.py that only configures.
NOTHING_SETTLED = SessionSettings()
