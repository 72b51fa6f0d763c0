"""What is read out of MySQL's and MariaDB's statements, with no server."""

from __future__ import annotations

from functools import reduce

import pytest

from handrail.engines.dialects import for_name
from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.operation import StatementKind
from handrail.model.redefining import told
from handrail.model.replayed import EMPTY, Replayed, replayed

DIALECT = for_name("mariadb")
KINDS = {
    "SELECT 1": StatementKind.READ,
    "  ( SELECT id FROM users )": StatementKind.READ,
    "WITH x AS (SELECT 1) SELECT * FROM x": StatementKind.READ,
    "SHOW CREATE TABLE users": StatementKind.READ,
    "WITH x AS (SELECT 1 AS id) UPDATE users, x SET a = 1": StatementKind.DATA,
    "INSERT INTO users VALUES (1, 'SELECT; -- no')": StatementKind.DATA,
    "REPLACE INTO users SET id = 1": StatementKind.DATA,
    "LOAD DATA INFILE 'x' INTO TABLE users": StatementKind.DATA,
    "TRUNCATE users": StatementKind.SCHEMA,
    "# a comment\nALTER TABLE users ADD a int": StatementKind.SCHEMA,
    "/*!80000 ALTER TABLE users ADD a int */": StatementKind.SCHEMA,
    "/* only a comment */ SET foreign_key_checks = 0": StatementKind.SESSION,
    "SET GLOBAL max_connections = 5": StatementKind.SCHEMA,
    "SET @a = 1": StatementKind.SESSION,
    "LOCK TABLES users WRITE": StatementKind.SESSION,
    "START TRANSACTION": StatementKind.SESSION,
    "CALL anything()": StatementKind.SCHEMA,
    "FROBNICATE users": StatementKind.SCHEMA,
    "UPDATE a SET b = 1; DROP TABLE c": StatementKind.SCHEMA,
    "": StatementKind.SCHEMA,
}


@pytest.mark.parametrize("sql", KINDS)
def test_a_statement_is_known_by_its_kind(sql: str) -> None:
    assert DIALECT.statements.kind(sql) is KINDS[sql]


@pytest.mark.parametrize("sql", ["SELECT 1", "SHOW TABLES", "WITH x AS (SELECT 1) SELECT * FROM x"])
def test_a_statement_that_looks_answers(sql: str) -> None:
    assert DIALECT.statements.answers(sql)


@pytest.mark.parametrize("sql", ["SET @a = 1", "SELECT 1 INTO OUTFILE '/tmp/x'", "UPDATE users SET a = 1", "DO 1"])
def test_a_statement_that_does_not_look_answers_nothing(sql: str) -> None:
    assert not DIALECT.statements.answers(sql)


def test_literals_are_hidden_in_every_spelling() -> None:
    shown = DIALECT.statements.hide_literals(
        r"""UPDATE `users` SET a = 'it''s \' secret', b = "sec""ret", c = x'53', d = 4.5e3 -- secret"""
    )
    assert shown == "UPDATE `users` SET a = ?, b = ?, c = ?, d = ?"


def test_roles_and_users_that_are_made_are_named() -> None:
    assert DIALECT.statements.roles_made("CREATE ROLE reader") == {"reader"}
    assert DIALECT.statements.roles_made("CREATE USER IF NOT EXISTS app") == frozenset()


def read(sql: str) -> tuple[Action, ...]:
    return DIALECT.actions.actions(sql)


def after(*statements: str) -> Replayed:
    def follow(state: Replayed, sql: str) -> Replayed:
        return reduce(lambda now, action: replayed(now, action, "a1"), told(read(sql), state), state)

    return reduce(follow, statements, EMPTY)


USERS = """
CREATE TABLE `users` (
  id INTEGER NOT NULL AUTO_INCREMENT,
  `na``me` VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL DEFAULT 'a, b' COMMENT 'it''s (a) name',
  amount NUMERIC(8, 2) UNSIGNED,
  seen TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  mood ENUM('good', 'bad') DEFAULT 'good',
  twice INT GENERATED ALWAYS AS (amount * 2) STORED,
  team INT REFERENCES teams (id),
  flag BOOL,
  PRIMARY KEY (id), UNIQUE KEY uq_name (`na``me`), KEY ix (amount, seen DESC),
  CONSTRAINT positive CHECK (amount > 0),
  CONSTRAINT fk FOREIGN KEY (team) REFERENCES teams (id) ON DELETE SET NULL ON UPDATE RESTRICT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""


def test_a_table_is_known_with_columns_keys_and_indexes() -> None:
    table = after(USERS).table("users")
    assert table is not None
    found = {column.name: column for column in table.columns}
    assert {name: column.type for name, column in found.items()} == {
        "id": "int",
        "na`me": "varchar(40)",
        "amount": "decimal(8,2) unsigned",
        "seen": "timestamp",
        "mood": "enum('good','bad')",
        "twice": "int",
        "team": "int",
        "flag": "tinyint(1)",
    }
    assert (found["id"].nullable, found["id"].identity) == (False, "serial")
    assert (found["na`me"].default, found["na`me"].nullable) == ("'a, b'", False)
    assert found["na`me"].comment == "it's (a) name"
    assert found["seen"].default == "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
    assert (found["twice"].generated, found["twice"].stored) == ("amount * 2", True)
    assert table.primary_key == ("id",)
    keys = {key.name: key for key in table.constraints}
    assert (keys["fk"].referenced_table, keys["fk"].on_delete) == ("teams", "SET NULL")
    assert keys["uq_name"].columns == ("na`me",)
    assert keys["positive"].expression == "amount > 0"
    assert [(index.name, index.columns) for index in table.indexes] == [("ix", ("amount", "seen"))]


def test_every_part_of_an_alter_table_is_an_action() -> None:
    found = read(
        "ALTER TABLE users ADD COLUMN (a int, b int NOT NULL), DROP COLUMN c, CHANGE d e text NOT NULL,"
        " ADD CONSTRAINT u UNIQUE (a), DROP FOREIGN KEY f, DROP PRIMARY KEY, RENAME COLUMN g TO h,"
        " ALTER COLUMN i SET DEFAULT 5, DROP INDEX j, RENAME INDEX k TO l, ADD FULLTEXT INDEX m (n),"
        " RENAME TO people, CONVERT TO CHARACTER SET utf8mb4, ALGORITHM=INPLACE, LOCK=NONE"
    )
    assert [type(action) for action in found] == [
        act.AddColumn,
        act.AddColumn,
        act.DropColumn,
        act.RedefineColumn,
        act.AddConstraint,
        act.DropConstraint,
        act.DropConstraint,
        act.RenameColumn,
        act.AlterDefault,
        act.DropIndex,
        act.RenameIndex,
        act.CreateIndex,
        act.Other,
        act.Other,
        act.Other,
        act.RenameTable,
    ]
    assert [a.what for a in found if isinstance(a, act.Other)] == [
        "CONVERT TO CHARACTER SET",
        "ALGORITHM=INPLACE",
        "LOCK=NONE",
    ]


def test_what_modify_leaves_out_is_gone() -> None:
    state = after(USERS, "ALTER TABLE users MODIFY seen DATETIME")
    column = state.column("users", "seen")
    assert column is not None
    assert (column.type, column.nullable, column.default) == ("datetime", True, None)


def test_modify_is_told_as_the_changes_it_amounts_to() -> None:
    parts = told(read("ALTER TABLE users CHANGE mood feeling VARCHAR(9) NOT NULL"), after(USERS))
    assert [type(part) for part in parts] == [
        act.AlterType,
        act.AlterNullable,
        act.AlterDefault,
        act.RedefineColumn,
        act.RenameColumn,
    ]
    state = after(USERS, "ALTER TABLE users CHANGE team club INT NOT NULL")
    table = state.table("users")
    assert table is not None
    assert table.column("team") is None
    assert {key.columns for key in table.foreign_keys} == {("club",)}


def test_indexes_are_those_of_their_table() -> None:
    state = after(
        "CREATE TABLE a (x int, KEY ix (x))",
        "CREATE TABLE b (x int, KEY ix (x), UNIQUE uq (x))",
        "DROP INDEX ix ON b",
        "ALTER TABLE b DROP INDEX uq",
    )
    a, b = state.table("a"), state.table("b")
    assert a is not None
    assert b is not None
    assert [index.name for index in a.indexes] == ["ix"]
    assert (b.indexes, b.constraints) == ((), ())


def written(sql: str) -> act.WriteRows:
    (found,) = read(sql)
    assert isinstance(found, act.WriteRows)
    return found


def test_writes_name_their_table_their_columns_and_what_they_read() -> None:
    update = written("UPDATE users u JOIN teams t ON t.id = u.team SET u.a = t.b, c = 'x' WHERE t.id > 5 LIMIT 10")
    assert (update.table, update.columns, update.reads) == ("users", ("a", "c"), ("teams",))
    assert update.where == "t.id > 5 LIMIT 10"
    assert written("UPDATE users SET a = 1").where == ""
    insert = written("INSERT IGNORE INTO kept (a, b) SELECT a, b FROM users JOIN teams")
    assert (insert.verb, insert.columns, insert.reads) == (act.Verb.INSERT, ("a", "b"), ("users", "teams"))
    delete = written("DELETE u FROM users AS u JOIN teams t ON t.id = u.team")
    assert (delete.table, delete.reads) == ("users", ("teams",))
    assert delete.where
    assert written("DELETE FROM users").where == ""


@pytest.mark.parametrize(
    "sql", ["CALL p()", "EXECUTE s", "FROBNICATE t", "SELECT 1; SELECT 2", "", "CREATE NONSENSE x", "ALTER NONSENSE x"]
)
def test_what_cannot_be_read_may_do_anything(sql: str) -> None:
    assert isinstance(read(sql)[0], act.Opaque)


def test_the_body_of_a_trigger_belongs_to_it() -> None:
    (found,) = read("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN SET NEW.a = 1; DELETE FROM x; END")
    assert isinstance(found, act.CreateObject)
    assert (found.kind, found.name, found.table) == ("trigger", "t", "users")
