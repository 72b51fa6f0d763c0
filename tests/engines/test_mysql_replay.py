"""The schema kept by replaying MySQL's statements is the one that MariaDB has after them."""

from __future__ import annotations

from functools import reduce

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from handrail.engines.dialects import for_name
from handrail.model.redefining import told
from handrail.model.replayed import EMPTY, Replayed, replayed

DIALECT = for_name("mariadb")
SCENE = (
    "CREATE TABLE teams (id int PRIMARY KEY)",
    """
    CREATE TABLE users (
      id int AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'none' COMMENT 'shown', n int UNIQUE,
      seen timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, team int, KEY ix (n),
      CONSTRAINT fk FOREIGN KEY (team) REFERENCES teams (id) ON DELETE CASCADE
    )
    """,
)
CHANGES = {
    "MODIFY loses": "ALTER TABLE users MODIFY name varchar(60)",
    "MODIFY keeps what it says": "ALTER TABLE users MODIFY name varchar(60) NOT NULL DEFAULT 'x' COMMENT 'shown'",
    "MODIFY loses the number": "ALTER TABLE users MODIFY id bigint NOT NULL",
    "MODIFY loses ON UPDATE": "ALTER TABLE users MODIFY seen timestamp NULL DEFAULT CURRENT_TIMESTAMP",
    "CHANGE renames and loses": "ALTER TABLE users CHANGE name label varchar(40)",
    "RENAME COLUMN keeps": "ALTER TABLE users RENAME COLUMN name TO label",
    "a column of a key is renamed": "ALTER TABLE users CHANGE team club int",
    "a default is set": "ALTER TABLE users ALTER name SET DEFAULT 'y'",
    "a default is dropped": "ALTER TABLE users ALTER COLUMN name DROP DEFAULT",
    "a unique index goes": "ALTER TABLE users DROP INDEX n",
    "an index goes": "DROP INDEX ix ON users",
    "an index is renamed": "ALTER TABLE users RENAME INDEX ix TO ix2",
    "a foreign key goes": "ALTER TABLE users DROP FOREIGN KEY fk",
    "several at once": "ALTER TABLE users ADD (a int, b int NOT NULL), DROP COLUMN seen, ADD UNIQUE uq (a, b)",
    "the table is renamed": "ALTER TABLE users RENAME TO people",
}


def follow(*statements: str) -> Replayed:
    def after(state: Replayed, sql: str) -> Replayed:
        actions = told(DIALECT.actions.actions(sql), state)
        return reduce(lambda now, action: replayed(now, action, "a1"), actions, state)

    return reduce(after, statements, EMPTY)


def columns_there(conn: Connection, table: str) -> set[tuple[object, ...]]:
    rows = conn.exec_driver_sql(
        "SELECT column_name, is_nullable = 'YES', column_default IS NOT NULL AND column_default <> 'NULL',"
        " extra LIKE '%%auto_increment%%', extra LIKE '%%on update%%', column_comment FROM information_schema.columns"
        f" WHERE table_schema = database() AND table_name = '{table}'"
    )
    return {
        (name, bool(null), bool(default), bool(number), bool(update), said)
        for name, null, default, number, update, said in rows
    }  # fmt: skip - one row of six


def columns_replayed(state: Replayed, table: str) -> set[tuple[object, ...]]:
    found = state.table(table)
    assert found is not None
    return {
        (
            c.name,
            c.nullable,
            c.default is not None,
            c.identity == "serial",
            isinstance(c.default, str) and "ON UPDATE" in c.default,
            c.comment,
        )
        for c in found.columns
    }


def keys_there(conn: Connection, table: str) -> set[tuple[str, str]]:
    """Return the columns of unique indexes and of foreign keys."""
    unique = conn.exec_driver_sql(
        "SELECT group_concat(column_name ORDER BY seq_in_index) FROM information_schema.statistics"
        f" WHERE table_schema = database() AND table_name = '{table}' AND non_unique = 0 GROUP BY index_name"
    )
    foreign = conn.exec_driver_sql(
        "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = database()"
        f" AND table_name = '{table}' AND referenced_table_name IS NOT NULL"
    )
    return {("unique", row[0]) for row in unique} | {("foreign", row[0]) for row in foreign}


def keys_replayed(state: Replayed, table: str) -> set[tuple[str, str]]:
    found = state.table(table)
    assert found is not None
    kinds = {"primary key": "unique", "unique constraint": "unique", "foreign key": "foreign"}
    return {(kinds[c.kind.value], ",".join(c.columns)) for c in found.constraints}


@pytest.mark.mariadb
@pytest.mark.parametrize("case", CHANGES)
def test_what_is_replayed_is_what_the_server_has(case: str, mariadb_url: str) -> None:
    statements = (*SCENE, CHANGES[case])
    state = follow(*statements)
    table = "people" if state.table("people") else "users"
    with create_engine(mariadb_url, poolclass=NullPool).connect() as conn:
        for sql in statements:
            conn.exec_driver_sql(sql)
        assert columns_replayed(state, table) == columns_there(conn, table)
        assert keys_replayed(state, table) == keys_there(conn, table)
        plain = conn.exec_driver_sql(
            "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = database()"
            f" AND table_name = '{table}' AND non_unique = 1"
        )
        found = state.table(table)
        assert found is not None
        # The index that the server makes for a foreign key by itself is not replayed.
        assert {index.name for index in found.indexes} == {row[0] for row in plain} - {"fk"}
