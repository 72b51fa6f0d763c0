"""No statement, however broken, stops what reads it: it is read, or said not to be."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handrail.engines.dialects import for_name
from handrail.model.action import Action

STATEMENTS = (
    "CREATE TABLE s.t (id integer PRIMARY KEY, n text COLLATE x DEFAULT 'a' NOT NULL, UNIQUE (n), CHECK (n > 1))",
    "CREATE TABLE t (id bigint GENERATED ALWAYS AS (a + 1) STORED, CONSTRAINT fk FOREIGN KEY (id) REFERENCES u (id))",
    "CREATE TABLE t AS SELECT a, b FROM u WHERE c = 1",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON t USING btree (a DESC, lower(b)) INCLUDE (c) WHERE d IS NULL",
    "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE VIEW v AS SELECT * FROM t JOIN u USING (id)",
    "ALTER TABLE t ADD COLUMN a numeric(10, 2) DEFAULT 0 NOT NULL, ALTER COLUMN b TYPE bigint USING b::bigint",
    "ALTER TABLE `t` MODIFY a varchar(10) CHARACTER SET utf8 AFTER b, ALGORITHM=INPLACE, LOCK=NONE",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
    "ALTER TABLE t RENAME COLUMN a TO b",
    "ALTER TYPE e ADD VALUE IF NOT EXISTS 'x' BEFORE 'y'",
    "DROP TABLE IF EXISTS t, u CASCADE",
    "UPDATE t SET a = 1, b = (SELECT max(c) FROM u) WHERE id IN (1, 2) AND d LIKE '%x'",
    "INSERT INTO t (a, b) SELECT c, d FROM u ON CONFLICT (a) DO UPDATE SET b = excluded.b",
    "DELETE t, u FROM t INNER JOIN u ON t.id = u.t WHERE u.a = 1",
    "WITH x AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM x",
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM t) THEN ALTER TABLE t DROP COLUMN a; END IF; END $$",
    "SET SESSION lock_timeout = '5s'",
    "PRAGMA foreign_keys = ON",
)
PIECES = tuple(re.findall(r"\s+|\w+|[^\w\s]", sql) for sql in STATEMENTS)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """One of them without some of its pieces, with some of another's, or cut off."""
    pieces = list(draw(st.sampled_from(PIECES)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(pieces)))
        until = draw(st.sampled_from([at, at + 1, at + 2, len(pieces)]))
        pieces[at:until] = draw(st.just([]) | st.sampled_from(PIECES).flatmap(lambda p: st.sampled_from(p).map(list)))
    return "".join(pieces)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite", "mysql"])
@settings(deadline=None, max_examples=200)
@given(sql=broken())
@example(sql="CREATE UNIQUE INDEX ix")
@example(sql="CREATE TABLE t (a text COLLATE")
def test_a_broken_statement_is_read_or_said_not_to_be(engine: str, sql: str) -> None:
    written = for_name(engine)
    assert all(isinstance(action, Action) for action in written.actions.actions(sql))
    statements = written.statements
    assert statements.hide_literals(sql) or not sql.strip()
    assert statements.kind(sql)
    for read in (statements.answers, statements.roles_made, statements.concurrent, statements.discard):
        read(sql)
    written.effects.effects(sql, server_major=15)
