"""Lets the server plan a statement as it would for a driver that prepares it."""

from __future__ import annotations

from sqlalchemy import Connection

#: `?` is an operator of jsonb.
question_marks = False

# Takes the locks of the statement's tables, ACCESS SHARE for queries and ROW EXCLUSIVE for writes, until the
# transaction ends; runs nothing. Planning finds what parsing does not, such as an ON CONFLICT without its unique
# index, and EXPLAIN asks for the rights too: https://www.postgresql.org/docs/current/sql-prepare.html.
_PREPARE = "PREPARE handrail_query AS "
_EXPLAIN = "EXPLAIN (COSTS OFF) EXECUTE handrail_query"
_FORGET = "DEALLOCATE handrail_query"
_NO_PARAMETERS = {"no_parameters": True}  # a % of the statement is no placeholder of the driver's


def placeholder(number: int) -> str:
    """Return $number."""
    return f"${number}"


def plan(conn: Connection, sql: str, parameters: int) -> None:
    """PREPARE the statement, then EXPLAIN it with NULL for each parameter."""
    nulls = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    conn.exec_driver_sql(_PREPARE + sql, execution_options=_NO_PARAMETERS)
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(_EXPLAIN + nulls, execution_options=_NO_PARAMETERS)
    finally:
        conn.exec_driver_sql(_FORGET)
