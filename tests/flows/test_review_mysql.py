"""`handrail review` of revisions that are for MySQL or MariaDB: no server, no driver, the real dialect."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_review import Project

from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest, review
from handrail.model.operation import Reading
from handrail.model.review import EngineChoice, Review
from handrail.model.revision import Direction

USERS = """
op.create_table(
    "users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(40), nullable=False)
)
"""
RETYPED = 'op.alter_column("users", "name", existing_type=sa.String(40), type_=sa.Text)'


class NoDriver:
    """Finds no driver, as where none is installed."""

    names = ("pymysql", "MySQLdb", "aiomysql", "mariadb")

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(name)


def reviewed(root: Path, **request: object) -> Review:
    return review(review_ports(root), ReviewRequest(everything=True, **request))  # type: ignore[arg-type]  # its fields


def said(found: Review) -> set[str]:
    return {f.rule for f in found.findings if f.rule.startswith(("mysql-", "txn-mysql", "compat-", "sqlite-"))}


@pytest.mark.parametrize(
    ("scheme", "dialect", "major"),
    [
        ("mysql", "mysql", 8),
        ("mysql+pymysql", "mysql", 8),
        ("mysql+mysqldb", "mysql", 8),
        ("mysql+aiomysql", "mysql", 8),
        ("mariadb+pymysql", "mariadb", 10),
        ("mariadb+mariadbconnector", "mariadb", 10),
    ],
)
def test_the_url_tells_the_dialect_and_no_driver_is_needed(
    scheme: str, dialect: str, major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for driver in NoDriver.names:
        monkeypatch.delitem(sys.modules, driver, raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoDriver(), *sys.meta_path])
    project = Project(tmp_path, scheme)
    project.revision("a1", USERS)
    project.revision("b1", RETYPED, parent="a1")
    found = reviewed(tmp_path)
    assert [(e.name, e.spoken, e.server_major, e.told_by) for e in found.engines] == [
        ("mysql", dialect, major, "sqlalchemy.url")
    ]
    assert {c.reading for c in found.coverage} == {Reading.EXACT}
    assert said(found) == {"mysql-alter-lost-attrs", "mysql-table-copy", "compat-drop-not-null"}


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_a_branch_on_the_dialects_name_is_the_one_that_runs(dialect: str, tmp_path: Path) -> None:
    project = Project(tmp_path, dialect)
    project.revision("a1", USERS)
    project.revision(
        "b1",
        f"""
        if op.get_bind().dialect.name == "{dialect}":
            op.execute("ALTER TABLE users CONVERT TO CHARACTER SET utf8mb4")
        """,
        parent="a1",
    )
    assert "mysql-table-copy" in said(reviewed(tmp_path))


@pytest.mark.parametrize(
    ("imports", "body"),
    [
        ("from sqlalchemy.dialects import mysql", 'op.add_column("users", sa.Column("bio", mysql.LONGTEXT()))'),
        ("", 'op.create_table("t", sa.Column("id", sa.Integer), mysql_engine="InnoDB")'),
    ],
)
def test_revisions_that_name_mysql_are_for_it(imports: str, body: str, tmp_path: Path) -> None:
    project = Project(tmp_path, "")
    project.revision("a1", USERS)
    project.revision("b1", body, parent="a1", imports=imports)
    assert reviewed(tmp_path).engines == (EngineChoice(name="mysql", server_major=8, told_by="the revisions"),)


def test_mysql_is_not_assumed_where_nothing_tells(tmp_path: Path) -> None:
    project = Project(tmp_path, "")
    project.revision("a1", USERS)
    project.revision("b1", 'op.alter_column("users", "name", nullable=True)', parent="a1")
    found = reviewed(tmp_path)
    assert "mysql" not in [e.name for e in found.engines]
    assert {f.rule for f in found.findings if "mysql" in f.rule} == set()


@pytest.mark.parametrize("named", ["production", None])
def test_an_environment_on_mysql_tells_the_dialect_and_is_not_looked_at(named: str | None, tmp_path: Path) -> None:
    project = Project(tmp_path, "")
    (tmp_path / "handrail.toml").write_text(
        '[environments.production]\nurl = "mariadb+pymysql://nobody@nowhere.invalid/app"\n'
    )
    project.revision("a1", USERS)
    project.revision("b1", RETYPED, parent="a1")
    found = reviewed(tmp_path, environment=named)
    assert [(e.spoken, e.told_by) for e in found.engines] == [("mariadb", "production")]
    assert "production was not looked at" in found.notes[0]
    assert "mysql-table-copy" in said(found)


def test_a_newer_mariadb_copies_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from handrail.history.files import dialect  # noqa: PLC0415 - its table is what is changed

    project = Project(tmp_path, "mariadb")
    project.revision("a1", USERS)
    project.revision("b1", 'op.execute("ALTER TABLE users CONVERT TO CHARACTER SET utf8mb4")', parent="a1")
    assert "mysql-table-copy" in said(reviewed(tmp_path))
    monkeypatch.setitem(dialect.OLDEST, "mariadb", 12)
    assert "mysql-table-copy" not in said(reviewed(tmp_path))


def test_only_what_stands_in_plain_sight_is_seen_where_nothing_is_executed(tmp_path: Path) -> None:
    project = Project(tmp_path, "mysql")
    project.revision("a1", 'op.execute("CREATE TABLE users (id int, name varchar(40))")')
    project.revision("b1", 'op.execute("ALTER TABLE users ADD CHECK (id > 0)")', parent="a1")
    assert "mysql-table-copy" in said(reviewed(tmp_path, static=True))


def test_an_unreadable_call_is_a_finding(tmp_path: Path) -> None:
    project = Project(tmp_path, "mysql")
    project.revision("a1", 'op.execute("CALL tidy_up()")')
    found = [f for f in reviewed(tmp_path).findings if f.rule == "not-reviewed"]
    assert "calls a procedure" in found[0].what


def test_a_look_whether_a_table_is_there_finds_none_and_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path, "mysql")
    project.revision(
        "a1",
        """
        if not op.get_bind().dialect.has_table(op.get_bind(), "users"):
            op.execute("ALTER TABLE teams CONVERT TO CHARACTER SET utf8mb4")
        """,
    )
    found = reviewed(tmp_path)
    (upgrade,) = (c for c in found.coverage if c.direction is Direction.UPGRADE)
    assert upgrade.reading is Reading.DATA_DEPENDENT
    assert "it reads the database" in upgrade.reason
    assert "mysql-table-copy" in said(found)
