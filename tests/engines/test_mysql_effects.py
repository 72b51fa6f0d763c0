"""What statements of MySQL and MariaDB do to others: claimed by the text, observed on MariaDB.

`ALGORITHM=` and `LOCK=` are promises that the server keeps or refuses: what it takes with a clause it can do that way,
what it refuses it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from handrail.engines.base import Landed
from handrail.engines.dialects import for_name
from handrail.model.effect import Blocks, Cost
from handrail.model.online_ddl import Algorithm, is_mariadb, way
from handrail.model.replayed import EMPTY, Replayed, replayed
from handrail.model.verdict import Confidence

DIALECT = for_name("mariadb")
SCENE = (
    "CREATE TABLE p (id int PRIMARY KEY) ENGINE=InnoDB",
    """
    CREATE TABLE t (
      id int AUTO_INCREMENT PRIMARY KEY, a int NOT NULL, b varchar(40) DEFAULT 'x', n int NULL, txt text,
      e enum('a','b'), f int, g varchar(300), UNIQUE KEY uq (b), KEY ix (a), CONSTRAINT ck CHECK (a > 0),
      CONSTRAINT fk FOREIGN KEY (f) REFERENCES p (id)
    ) ENGINE=InnoDB
    """,
    "INSERT INTO p VALUES (1)",
    "INSERT INTO t (a, b, n) VALUES (1, 'q', 1)",
)
INSTANT, INPLACE, REBUILD, SHARED, COPY = Algorithm
CLAIMS = {
    "ADD COLUMN z int": INSTANT,
    "ADD COLUMN z int NOT NULL": INSTANT,
    "ADD COLUMN z int NOT NULL DEFAULT 5": INSTANT,
    "ADD COLUMN z int FIRST": INSTANT,
    "ADD COLUMN z int AS (a + 1) VIRTUAL": INSTANT,
    "ADD COLUMN z int CHECK (z > 0)": INSTANT,
    "ADD COLUMN z timestamp DEFAULT CURRENT_TIMESTAMP": INSTANT,
    "ADD COLUMN z int UNIQUE": REBUILD,
    "ADD COLUMN z int AS (a + 1) STORED": COPY,
    "ADD COLUMN z int REFERENCES p (id)": COPY,
    "ADD COLUMN z varchar(36) DEFAULT (uuid())": COPY,
    "DROP COLUMN n": INSTANT,
    "RENAME COLUMN n TO m": INSTANT,
    "CHANGE n m int": INSTANT,
    "MODIFY n int NOT NULL": REBUILD,
    "MODIFY a int NULL": REBUILD,
    "MODIFY n bigint": COPY,
    "MODIFY n decimal(10,2)": COPY,
    "MODIFY a int unsigned NOT NULL": COPY,
    "MODIFY b varchar(60) DEFAULT 'x'": INSTANT,
    "MODIFY b varchar(63) DEFAULT 'x'": INSTANT,
    "MODIFY b varchar(64) DEFAULT 'x'": COPY,
    "MODIFY b varchar(20) DEFAULT 'x'": COPY,
    "MODIFY g varchar(400)": INSTANT,
    "MODIFY b varchar(40) DEFAULT 'y'": INSTANT,
    "MODIFY b varchar(40) DEFAULT 'x' COMMENT 'said'": INSTANT,
    "MODIFY e enum('a','b','c')": INSTANT,
    "MODIFY e enum('a','c')": COPY,
    "MODIFY b text": COPY,
    "MODIFY txt longtext": COPY,
    "ALTER COLUMN n SET DEFAULT 4": INSTANT,
    "ALTER COLUMN b DROP DEFAULT": INSTANT,
    "ADD INDEX i2 (n)": INPLACE,
    "ADD UNIQUE INDEX i2 (n)": INPLACE,
    "ADD FULLTEXT INDEX i2 (txt)": SHARED,
    "DROP INDEX ix": INPLACE,
    "RENAME INDEX ix TO ix2": INSTANT,
    "ADD CONSTRAINT c2 CHECK (a < 1000)": COPY,
    "DROP CONSTRAINT ck": INSTANT,
    "ADD CONSTRAINT fk2 FOREIGN KEY (n) REFERENCES p (id)": COPY,
    "DROP FOREIGN KEY fk": INSTANT,
    "DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)": REBUILD,
    "MODIFY id int, DROP PRIMARY KEY": COPY,
    "ROW_FORMAT=COMPRESSED": REBUILD,
    "FORCE": REBUILD,
    "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": COPY,
    "COMMENT='said'": INSTANT,
    "AUTO_INCREMENT=100": INSTANT,
    "DEFAULT CHARACTER SET utf8mb4": INSTANT,
    "DROP COLUMN n, ADD INDEX i2 (a)": REBUILD,
    "DROP COLUMN a, DROP COLUMN n": INPLACE,
    "ADD COLUMN z int, MODIFY n bigint": COPY,
}


def scene() -> Replayed:
    actions = (action for sql in SCENE for action in DIALECT.actions.actions(sql))
    return reduce(lambda state, action: replayed(state, action, "a1"), actions, EMPTY)


@pytest.fixture(scope="module")
def conn() -> Iterator[Connection]:
    import mariadb_server  # noqa: PLC0415 - a module of the tests, found once they run

    with mariadb_server.fresh_database() as url, create_engine(url, poolclass=NullPool).connect() as found:
        yield found


#: ER_ALTER_OPERATION_NOT_SUPPORTED and its form with a reason; any other failure is this test's own.
NOT_THAT_WAY = {1845, 1846}


def taken(conn: Connection, sql: str) -> bool:
    """Return whether the server does that on a fresh table; it may only refuse the way that is asked for."""
    for statement in ("DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS p", *SCENE, "COMMIT"):
        conn.exec_driver_sql(statement)
    try:
        conn.exec_driver_sql(sql)
    except DBAPIError as exc:
        if exc.orig is not None and exc.orig.args[0] in NOT_THAT_WAY:
            return False
        raise
    return True


LIGHTER = {
    INPLACE: "ALGORITHM=INSTANT",
    REBUILD: "ALGORITHM=NOCOPY",
    SHARED: "ALGORITHM=INPLACE, LOCK=NONE",
    COPY: "ALGORITHM=INPLACE",
}


@pytest.mark.mariadb
@pytest.mark.parametrize("change", CLAIMS)
def test_the_server_does_it_the_claimed_way_and_no_lighter(change: str, conn: Connection) -> None:
    major = int(str(conn.exec_driver_sql("SELECT version()").scalar()).partition(".")[0])
    assert is_mariadb(major), "the claims of this table are MariaDB's"
    sql = f"ALTER TABLE t {change}"
    claimed = way(DIALECT.actions.actions(sql), major, before=scene())
    assert claimed is not None
    assert claimed.algorithm is CLAIMS[change]
    algorithm = claimed.algorithm
    clause = "ALGORITHM=NOCOPY, LOCK=NONE" if algorithm is INPLACE else algorithm.words
    assert taken(conn, f"{sql}, {clause}")
    if algorithm in LIGHTER:
        assert not taken(conn, f"{sql}, {LIGHTER[algorithm]}")


@pytest.mark.parametrize("change", CLAIMS)
def test_without_the_schema_nothing_is_claimed_lighter_than_it_is(change: str) -> None:
    blind = way(DIALECT.actions.actions(f"ALTER TABLE t {change}"), 10)
    assert blind is not None
    assert blind.algorithm >= CLAIMS[change]


@pytest.mark.mariadb
def test_a_foreign_key_that_is_not_checked_is_added_in_place(conn: Connection) -> None:
    sql = "ALTER TABLE t ADD CONSTRAINT fk2 FOREIGN KEY (n) REFERENCES p (id)"
    claimed = way(DIALECT.actions.actions(sql), 10, before=scene(), checks_keys=False)
    assert claimed is not None
    assert claimed.algorithm is INPLACE
    conn.exec_driver_sql("SET foreign_key_checks = 0")
    try:
        assert taken(conn, f"{sql}, ALGORITHM=NOCOPY, LOCK=NONE")
    finally:
        conn.exec_driver_sql("SET foreign_key_checks = 1")


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD COLUMN z int, ALGORITHM=INSTANT",
        "ALTER TABLE t ADD INDEX i2 (n), ALGORITHM=INPLACE, LOCK=NONE",
        "CREATE INDEX i2 ON t (n)",
        "RENAME TABLE t TO t2",
        "TRUNCATE TABLE t",
        "DROP TABLE t",
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 1",
    ],
)
def test_a_schema_change_waits_for_whoever_has_read_the_table(sql: str, mariadb_url: str) -> None:
    effects = DIALECT.effects.effects(sql, server_major=10)
    assert any(e.relation == "t" and e.blocks is Blocks.READS_AND_WRITES and "EXCLUSIVE" in e.lock for e in effects)
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.connect() as reader, engine.connect() as changer:
        for statement in SCENE:
            changer.exec_driver_sql(statement)
        changer.commit()
        reader.exec_driver_sql("SELECT count(*) FROM t").all()
        changer.exec_driver_sql("SET lock_wait_timeout = 1")
        with pytest.raises(OperationalError):
            changer.exec_driver_sql(sql)
        reader.rollback()
        changer.exec_driver_sql(sql)


@pytest.mark.mariadb
def test_lock_tables_read_keeps_writers_waiting_and_readers_not(mariadb_url: str) -> None:
    (effect,) = DIALECT.effects.effects("LOCK TABLES t READ", server_major=10)
    assert effect.blocks is Blocks.WRITES
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.connect() as holder, engine.connect() as other:
        for statement in SCENE:
            holder.exec_driver_sql(statement)
        holder.commit()
        holder.exec_driver_sql("LOCK TABLES t READ")
        other.exec_driver_sql("SET lock_wait_timeout = 1")
        assert other.exec_driver_sql("SELECT count(*) FROM t").scalar() == 1
        with pytest.raises(OperationalError):
            other.exec_driver_sql("UPDATE t SET a = 5")
        holder.exec_driver_sql("UNLOCK TABLES")


@pytest.mark.mariadb
def test_a_write_keeps_schema_changes_waiting_and_other_writers_not(mariadb_url: str) -> None:
    (effect,) = DIALECT.effects.effects("INSERT INTO t (a) VALUES (2)", server_major=10)
    assert effect.blocks is Blocks.SCHEMA_CHANGES
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.connect() as writer, engine.connect() as other:
        for statement in SCENE:
            writer.exec_driver_sql(statement)
        writer.commit()
        writer.exec_driver_sql("INSERT INTO t (a) VALUES (2)")
        other.exec_driver_sql("SET lock_wait_timeout = 1")
        other.exec_driver_sql("INSERT INTO t (a, b) VALUES (3, 'z')")
        other.commit()
        with pytest.raises(OperationalError):
            other.exec_driver_sql("ALTER TABLE t ADD COLUMN z int")


def test_a_copy_tells_its_lock_its_cost_and_its_source() -> None:
    moment, work = DIALECT.effects.effects("ALTER TABLE t ADD CHECK (a > 0)", server_major=10)
    assert (moment.blocks, moment.cost) == (Blocks.READS_AND_WRITES, Cost.INSTANT)
    assert (work.lock, work.blocks, work.cost) == (
        "SHARED_NO_WRITE (ALGORITHM=COPY, LOCK=SHARED)",
        Blocks.WRITES,
        Cost.REWRITE,
    )
    assert work.source.startswith("https://mariadb.com/")


def test_versions_differ_as_their_manuals_say() -> None:
    def work(sql: str, major: int) -> tuple[str, Blocks]:
        last = DIALECT.effects.effects(sql, server_major=major)[-1]
        return last.lock, last.blocks

    rename = "ALTER TABLE t RENAME COLUMN n TO m"
    assert work(rename, 8)[0] == "SHARED_UPGRADABLE (ALGORITHM=INPLACE, LOCK=NONE)"
    assert work(rename, 9)[0] == work(rename, 10)[0] == "EXCLUSIVE (ALGORITHM=INSTANT)"
    check = "ALTER TABLE t ADD COLUMN z int CHECK (z > 0)"
    assert work(check, 8)[1] is Blocks.WRITES
    assert work(check, 10)[0] == "EXCLUSIVE (ALGORITHM=INSTANT)"
    convert = "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"
    assert work(convert, 11)[1] is Blocks.WRITES
    assert work(convert, 12) == ("SHARED_UPGRADABLE (ALGORITHM=COPY, LOCK=NONE)", Blocks.SCHEMA_CHANGES)


SAID = {
    INSTANT: "INSTANT",
    INPLACE: "INPLACE",
    REBUILD: "INPLACE, rebuild",
    SHARED: "INPLACE, SHARED",
    COPY: "COPY",
}
PAGE = (Path(__file__).parents[2] / "docs" / "mysql.md").read_text()


def test_the_page_tells_what_the_code_claims() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 20
    for change, *told in rows:
        actions = DIALECT.actions.actions(f"ALTER TABLE t {change}")
        ways = [way(actions, major, before=scene()) for major in (8, 9, 10, 11)]
        assert [SAID[one.algorithm] for one in ways if one] == [*told, told[-1]], change


def test_a_modify_is_assumed_to_copy_since_the_old_column_is_not_in_it() -> None:
    _moment, work = DIALECT.effects.effects("ALTER TABLE t MODIFY b varchar(60)", server_major=10)
    assert (work.blocks, work.confidence) == (Blocks.WRITES, Confidence.LOW)


def test_what_cannot_be_read_is_assumed_the_worst() -> None:
    (effect,) = DIALECT.effects.effects("CALL anything()", server_major=10)
    assert effect.guessed
    assert effect.blocks is Blocks.READS_AND_WRITES


@pytest.mark.parametrize("sql", ["SELECT 1", "SET foreign_key_checks = 0", "SHOW TABLES", "COMMIT"])
def test_what_reads_or_sets_has_no_effect(sql: str) -> None:
    assert DIALECT.effects.effects(sql, server_major=10) == ()


LANDING = {
    "CREATE TABLE made (id int)": Landed.YES,
    "DROP TABLE p2": Landed.YES,
    "ALTER TABLE t ADD COLUMN z int": Landed.YES,
    "ALTER TABLE t DROP COLUMN n": Landed.YES,
    "ALTER TABLE t RENAME COLUMN a TO a2": Landed.YES,
    "ALTER TABLE t ADD INDEX i2 (g)": Landed.YES,
    "DROP INDEX ix ON t": Landed.YES,
    "ALTER TABLE t ADD CONSTRAINT c2 CHECK (a < 5)": Landed.YES,
    "ALTER TABLE t DROP FOREIGN KEY fk": Landed.YES,
    "RENAME TABLE q TO q2": Landed.YES,
    "ALTER TABLE t MODIFY txt longtext": Landed.UNKNOWN,
    "INSERT INTO t (id) VALUES (70)": Landed.UNKNOWN,
}


@pytest.mark.mariadb
@pytest.mark.parametrize("sql", LANDING)
def test_the_data_dictionary_tells_whether_a_statement_took_effect(sql: str, mariadb_url: str) -> None:
    with create_engine(mariadb_url, poolclass=NullPool).connect() as conn:
        for statement in (*SCENE, "CREATE TABLE p2 (id int)", "CREATE TABLE q (id int)"):
            conn.exec_driver_sql(statement)
        before = DIALECT.statements.landed(conn, sql)
        assert before is (Landed.UNKNOWN if LANDING[sql] is Landed.UNKNOWN else Landed.NO)
        if LANDING[sql] is not Landed.UNKNOWN:
            conn.exec_driver_sql(sql)
            assert DIALECT.statements.landed(conn, sql) is LANDING[sql]
