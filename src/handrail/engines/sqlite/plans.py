"""Lets SQLite compile a statement."""

from __future__ import annotations

from sqlalchemy import Connection

question_marks = True

# SHARED lock; compiles the statement and runs nothing: https://www.sqlite.org/lang_explain.html
_EXPLAIN = "EXPLAIN "


def placeholder(number: int) -> str:
    """Return ?number."""
    return f"?{number}"


def plan(conn: Connection, sql: str, parameters: int) -> None:
    """EXPLAIN the statement with NULL for each parameter."""
    conn.exec_driver_sql(_EXPLAIN + sql, (None,) * parameters)
