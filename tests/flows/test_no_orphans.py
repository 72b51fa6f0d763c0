"""The check `no-orphans`: rows without parent, by the database's keys and by the models."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelled import Modelled
from workbench import Workbench

from handrail.engines.base import Engine, Purpose, for_url
from handrail.engines.sqlite import orphans as sqlite_orphans
from handrail.model.relation import Relation, RelationKind, declared, only_in_models
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation

TABLES = """
create table users (id integer primary key, "group" integer, "Nick" varchar(9), unique ("group", "Nick"));
create table marks (id integer primary key, user_id integer, "group" integer, "Nick" varchar(9));
insert into users values (1, 7, 'a'), (2, 8, 'b');
insert into marks values (10, 1, 7, 'a'), (11, 3, 7, 'b'), (12, null, null, 'x'), (13, 4, 8, 'b')
"""
MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship, remote

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    group: Mapped[int | None]
    nick: Mapped[str | None] = mapped_column("Nick", sa.String(9))

class Mark(Base):
    __tablename__ = "marks"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None]{key}
    group: Mapped[int | None]
    nick: Mapped[str | None] = mapped_column("Nick", sa.String(9))
{more}
metadata = Base.metadata
"""
KEY = ' = mapped_column(sa.ForeignKey("users.id"))'
LOOSE = """
    user: Mapped[User] = relationship(primaryjoin=lambda: foreign(Mark.user_id) == User.id{options})
"""
MATCHED = """
    user: Mapped[User] = relationship(
        primaryjoin=lambda: sa.and_(foreign(Mark.user_id) == User.id, Mark.group == 7))
"""
BY_USER = Relation(
    kind=RelationKind.MODEL_KEY,
    name="fk",
    table="marks",
    columns=("user_id",),
    referenced_table="users",
    referenced_columns=("id",),
    key=("id",),
)
BY_NICK = Relation(
    kind=RelationKind.MODEL_KEY,
    name="fk",
    table="marks",
    columns=("group", "Nick"),
    referenced_table="users",
    referenced_columns=("group", "Nick"),
    key=("id",),
)


@pytest.fixture
def engine(database_url: str) -> Engine:
    return filled(for_url(database_url))


def filled(engine: Engine, more: str = "") -> Engine:
    with engine.connect(Purpose.STATE) as conn:
        for statement in filter(str.strip, (TABLES + ";" + more).split(";")):
            conn.exec_driver_sql(statement)
    return engine


def look(engine: Engine, relation: Relation) -> Violation | Unsupported | None:
    with engine.connect(Purpose.READ) as conn:
        return engine.orphans.look(conn, relation).found


def found(engine: Engine, relation: Relation) -> Violation:
    violation = look(engine, relation)
    assert isinstance(violation, Violation)
    return violation


def test_orphans_are_counted_and_named_by_key(engine: Engine) -> None:
    violation = found(engine, BY_USER)
    assert (violation.count, sorted(violation.keys)) == (2, ["id=11 with user_id=3", "id=13 with user_id=4"])


def test_the_query_that_is_told_finds_the_same_rows(engine: Engine) -> None:
    violation = found(engine, BY_NICK)
    with engine.connect(Purpose.READ) as conn:
        rows = conn.exec_driver_sql(violation.query).all()
    assert [row[0] for row in rows] == [11]


def test_a_composite_key_with_a_null_asks_for_no_parent(engine: Engine) -> None:
    assert found(engine, BY_NICK).keys == ("id=11 with group=7, Nick=b",)


def test_no_more_than_twenty_rows_are_named(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        for number in range(100, 130):
            conn.exec_driver_sql(f"insert into marks (id, user_id) values ({number}, 99)")
    violation = found(engine, BY_USER)
    assert (violation.count, len(violation.keys)) == (32, 20)
    assert violation.describe().endswith(" and 12 more")


def test_a_relation_that_holds_has_no_violation(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("delete from marks where id > 10")
    assert look(engine, BY_USER) is None


def test_match_full_counts_rows_that_name_their_parent_by_half(postgresql_url: str) -> None:
    engine = filled(
        for_url(postgresql_url),
        'alter table marks add foreign key ("group", "Nick") references users ("group", "Nick") match full not valid',
    )
    with engine.connect(Purpose.READ) as conn:
        [relation] = declared(engine.catalog.snapshot(conn))
    assert (relation.kind, relation.match_full) == (RelationKind.NOT_VALID, True)
    assert sorted(found(engine, relation).keys) == ["id=11 with group=7, Nick=b", "id=12 with group=None, Nick=x"]


def test_sqlite_counts_a_declared_key_as_it_checks_it_itself(sqlite_url: str) -> None:
    engine = filled(
        for_url(sqlite_url),
        "create table votes (id integer primary key, u integer references USERS, v text references users (id));"
        "insert into votes values (1, 1, '2'), (2, 5, '6'), (3, null, null)",
    )
    with engine.connect(Purpose.READ) as conn:
        of_u, of_v = sorted(declared(engine.catalog.snapshot(conn)), key=lambda r: r.columns)
    assert (of_u.referenced_table, of_u.referenced_columns) == ("users", ("id",))
    assert [found(engine, r).keys for r in (of_u, of_v)] == [("id=2 with u=5",), ("id=2 with v=6",)]


def test_a_query_that_takes_too_long_is_unknown_and_the_next_is_answered(
    postgresql_url: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = filled(for_url(postgresql_url))
    with engine.connect(Purpose.READ) as conn:
        conn.exec_driver_sql("set statement_timeout = 1")
        many = Relation(
            kind=RelationKind.MODEL_KEY,
            name="",
            table="many",
            columns=("a",),
            referenced_table="many",
            referenced_columns=("b",),
        )
        with engine.connect(Purpose.STATE) as other:
            other.exec_driver_sql("create table many as select n as a, -n as b from generate_series(1, 200000) n")
        slow = engine.orphans.look(conn, many).found
        conn.exec_driver_sql("set statement_timeout = '60s'")
        assert isinstance(engine.orphans.look(conn, BY_USER).found, Violation)
    assert isinstance(slow, Unsupported)
    assert "statement_timeout" in slow.reason

    lite = filled(for_url(sqlite_url))
    with lite.connect(Purpose.STATE) as other:
        other.exec_driver_sql(
            "create table many as with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000) "
            "select n as a, -n as b from c"
        )
    monkeypatch.setattr(sqlite_orphans, "LIMIT_S", 0.0)
    late = look(lite, many)
    assert isinstance(late, Unsupported)
    assert "took longer than" in late.reason
    monkeypatch.undo()
    assert isinstance(look(lite, BY_USER), Violation)


def test_what_somebody_locks_is_unknown(postgresql_url: str) -> None:
    engine = filled(for_url(postgresql_url))
    with engine.connect(Purpose.MIGRATE) as other, other.begin():
        other.exec_driver_sql("lock table users")
        locked = look(engine, BY_USER)
    assert isinstance(locked, Unsupported)
    assert "holds a lock" in locked.reason


def test_relations_of_the_models_are_those_the_database_has_no_key_for(engine: Engine) -> None:
    with engine.connect(Purpose.READ) as conn:
        snapshot = engine.catalog.snapshot(conn)
    gone = Relation(
        kind=RelationKind.RELATIONSHIP,
        name="",
        table="marks",
        columns=("nowhere",),
        referenced_table="users",
        referenced_columns=("id",),
    )
    again = Relation(
        kind=RelationKind.RELATIONSHIP,
        name="Mark.user",
        table="marks",
        columns=("user_id",),
        referenced_table="users",
        referenced_columns=("id",),
    )
    assert only_in_models(snapshot, [again, gone, BY_USER, BY_NICK]) == (BY_USER, BY_NICK)


@pytest.fixture
def modelled(bench: Workbench) -> Modelled:
    bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    assert bench.run("apply", "--yes").returncode == 0
    return Modelled(bench, MODELS.format(key=KEY, more=""))


def test_a_foreign_key_that_only_the_models_have_is_looked_at(modelled: Modelled) -> None:
    said = modelled.check("no-orphans")
    assert (said["verdict"], said["exit"]) == ("fail", 1)
    assert "ForeignKey of the models that the database does not have" in said["details"][0]
    [violation] = said["violations"]
    assert (violation["kind"], violation["count"], len(violation["keys"])) == ("orphans", 2, 2)
    text = modelled.bench.run("verify", "--check", "no-orphans").stdout
    assert "FAIL    no-orphans: 2 orphans in 1 relation" in text
    assert "id=11 with user_id=3" in text
    assert "query: SELECT" in text


@pytest.mark.parametrize(
    ("more", "verdict", "status"),
    [
        (LOOSE.format(options=""), "fail", 1),
        (LOOSE.format(options=", viewonly=True"), "warn", 0),
        (MATCHED, "warn", 0),
        ("", "pass", 0),
    ],
    ids=["written", "view only", "more than equal columns", "none"],
)
def test_a_relationship_without_a_foreign_key_is_looked_at(
    more: str, verdict: str, status: int, lite_bench: Workbench
) -> None:
    lite_bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    assert lite_bench.run("apply", "--yes").returncode == 0
    said = Modelled(lite_bench, MODELS.format(key="", more=more)).check("no-orphans")
    assert (said["verdict"], said["exit"]) == (verdict, status)
    assert bool(said["details"]) is bool(more)


def test_a_narrower_join_over_a_foreign_key_leaves_nothing_unread(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    assert lite_bench.run("apply", "--yes").returncode == 0
    said = Modelled(lite_bench, MODELS.format(key=KEY, more=MATCHED)).check("no-orphans")
    assert said["verdict"] == "fail"
    assert not [line for line in said["details"] if "not looked at" in line]


def test_mappers_that_cannot_be_configured_are_unknown(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    assert lite_bench.run("apply", "--yes").returncode == 0
    more = '\n    user: Mapped[User] = relationship("Nobody")\n'
    said = Modelled(lite_bench, MODELS.format(key=KEY, more=more)).check("no-orphans")
    assert (said["verdict"], said["exit"]) == ("unknown", 1)
    assert "the relations of the models cannot be read" in said["reason"]


def test_validated_keys_are_trusted_unless_all_are_asked_for(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    pg_bench.revision(
        "aaa2",
        "aaa1",
        """
        op.execute("delete from marks")
        op.create_foreign_key("fk_marks_users", "marks", "users", ["user_id"], ["id"])
        """,
    )
    assert pg_bench.run("apply", "--yes").returncode == 0
    pg_bench.execute("alter table marks disable trigger all", "insert into marks (id, user_id) values (1, 99)")
    trusting = pg_bench.run("verify", "--check", "no-orphans")
    assert (trusting.returncode, "1 validated key trusted" in trusting.stdout) == (0, True)
    asked = pg_bench.run("verify", "--check", "no-orphans", "--all-keys")
    assert asked.returncode == 1
    assert "foreign key fk_marks_users: orphans in marks (user_id): 1, as id=1 with user_id=99" in asked.stdout


def test_orphans_do_not_stop_the_revision_that_mends_them(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, "\n".join(f"op.execute('''{s.strip()}''')" for s in TABLES.split(";")))
    pg_bench.revision(
        "aaa2",
        "aaa1",
        """
        op.create_foreign_key("fk", "marks", "users", ["user_id"], ["id"], postgresql_not_valid=True)
        """,
    )
    assert pg_bench.run("apply", "--yes").returncode == 0
    pg_bench.revision("aaa3", "aaa2", 'op.execute("delete from marks where user_id > 2")')
    done = pg_bench.run("apply", "--yes", "--verify", "--verify-after")
    assert done.returncode == 0, done.stderr
    assert "FAIL    no-orphans: 2 orphans in 1 relation" in done.stderr
    assert "ok      no-orphans: 0 orphans in 1 relation" in done.stderr


def test_one_look_leaves_nothing_beside_the_file(lite_bench: Workbench) -> None:
    before = filled(for_url(lite_bench.url))
    file = Path(before.url.database or "")
    look(before, BY_USER)
    assert [p.name for p in file.parent.iterdir() if p.name.startswith(file.name)] == [file.name]
