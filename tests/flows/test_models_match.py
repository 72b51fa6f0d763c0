"""The check `models-match`: the models' schema, made in a sandbox, beside the live one."""

from __future__ import annotations

import pytest
from modelled import Modelled, metadata
from sqlalchemy import make_url
from workbench import Workbench

from handrail.checks.models_match import CHECK
from handrail.engines.base import Purpose, for_url
from handrail.model.check import CheckFacts, ModelsFacts
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict

COMMON = """
import sqlalchemy as sa

metadata = sa.MetaData()
users = sa.Table(
    "users", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50), nullable=False, unique=True),
    sa.Column("name", sa.String(20), index=True),
    sa.Column("balance", sa.Numeric(10, 2), server_default="0", nullable=False),
    sa.Column("active", sa.Boolean, server_default=sa.text("true"), nullable=False),
    sa.Column("seen", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP")),
    sa.Column("ratio", sa.Float),
    sa.Column("facts", sa.JSON),
    sa.Column("twice", sa.Integer, sa.Computed("id * 2", persisted=True)),
    sa.CheckConstraint("balance >= 0", name="ck_users_balance"),
)
marks = sa.Table(
    "marks", metadata,
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("note", sa.Text),
    sa.Column("kind", sa.String(5), server_default="draft", nullable=False),
    sa.UniqueConstraint("day", "note"),
)
sa.Index("ix_marks_open", marks.c.note, postgresql_where=marks.c.kind == "draft")
"""
EXPRESSION = COMMON + 'sa.Index("ix_users_lower", sa.func.lower(users.c.email))'
POSTGRESQL = """
import enum
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    metadata = sa.MetaData(naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s"})

class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"

class Player(Base):
    __tablename__ = "players"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    mood: Mapped[Mood]
    tags: Mapped[list[str]] = mapped_column(postgresql.ARRAY(sa.String(10)), server_default="{}")
    data: Mapped[dict] = mapped_column(postgresql.JSONB, server_default=sa.text("'{}'::jsonb"))
    key: Mapped[str] = mapped_column(sa.Uuid, server_default=sa.func.gen_random_uuid())
    number: Mapped[int] = mapped_column(sa.Sequence("player_numbers", start=10), unique=True)
    size: Mapped[float] = mapped_column(sa.Float(24))
    price: Mapped[float] = mapped_column(sa.Double)
    at: Mapped[str] = mapped_column(postgresql.TIMESTAMP(precision=3))
    __table_args__ = (sa.Index(None, "tags", postgresql_using="gin"),)

metadata = Base.metadata
"""
ENGINES = pytest.mark.parametrize("bench", ["pg_bench", "lite_bench"], indirect=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Workbench:
    found: Workbench = request.getfixturevalue(getattr(request, "param", "pg_bench"))
    return found


@pytest.fixture
def project(bench: Workbench) -> Modelled:
    modelled = Modelled(bench, COMMON)
    modelled.migrate(COMMON)
    return modelled


def judged(url: str, code: str, change: str) -> Judgement:
    """What the check says when a database of those models was changed by hand."""
    engine = for_url(url)
    with engine.connect(Purpose.MIGRATE) as conn:
        with conn.begin():
            metadata(code).create_all(conn)
        of_models = engine.catalog.snapshot(conn)
        conn.rollback()
        with conn.begin():
            for statement in change.split(";"):
                conn.exec_driver_sql(statement)
        live = engine.catalog.snapshot(conn)
    facts = ModelsFacts(of_models=of_models, live=live)
    return CHECK.judge(CheckFacts(heads=(), expected_heads=(), snapshot=live, models=facts))


@ENGINES
def test_models_and_migrations_that_agree_by_alembic_have_no_difference_and_no_note(project: Modelled) -> None:
    found = project.check("models-match")
    assert project.agrees(COMMON)
    assert (found["verdict"], found["details"], found["exit"]) == ("pass", [], 0)


def test_what_only_postgresql_has_agrees_too(pg_bench: Workbench) -> None:
    project = Modelled(pg_bench, POSTGRESQL)
    pg_bench.revision("aaa0", None, "op.execute('create sequence player_numbers start 10')")
    project.migrate(POSTGRESQL, parent="aaa0")
    found = project.check("models-match")
    assert (found["verdict"], found["details"]) == ("pass", [])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("alter table marks drop constraint marks_pkey", "primary key marks (user_id, day) of the models is missing"),
        (
            "alter table users drop constraint users_email_key",
            "unique constraint users (email) of the models is missing",
        ),
        (
            "alter table marks drop constraint marks_user_id_fkey",
            "foreign key marks (user_id) of the models is missing",
        ),
        (
            "alter table users alter email type varchar(40)",
            "users.email: type is character varying(40), the models say",
        ),
        ("alter table users alter balance type numeric(10,3)", "type is numeric(10,3), the models say numeric(10,2)"),
        ("alter table users alter email drop not null", "users.email: NULL is allowed, the models say NOT NULL"),
        ("alter table users alter balance drop default", "users.balance: the default '0' of the models is missing"),
        ("alter table users alter balance set default 7", "users.balance: default is '7', the models say '0'"),
        ("alter table users alter id drop default", "users.id: the default a sequence of the models is missing"),
        (
            "alter table users drop column twice",
            "column users.twice of the models is missing in the database (integer)",
        ),
        ("alter table users alter twice drop expression", "users.twice: computed as not computed, the models say"),
        ("alter table users add more integer", "column users.more is only in the database (integer)"),
        ("drop index ix_users_name", "index users (name) of the models is missing"),
        ("drop index ix_users_lower", "index users.ix_users_lower of the models is missing"),
        ("drop table marks", "table marks of the models is missing in the database"),
        (
            "alter table marks drop constraint marks_user_id_fkey, add foreign key (user_id) references users",
            "foreign key marks (user_id): is FOREIGN KEY (user_id) REFERENCES public.users(id), the models say",
        ),
        ("drop index ix_users_name; create unique index ix_users_name on users (name)", "is UNIQUE public.users"),
    ],
)
def test_what_the_application_counts_on_and_the_database_lacks_fails(
    damage: str, named: str, postgresql_url: str
) -> None:
    found = judged(postgresql_url, EXPRESSION, damage)
    assert found.verdict is Verdict.FAIL
    [line] = [line for line in found.details if not line.startswith("note: ")]
    assert named in line


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("create table theirs (id integer primary key)", "table theirs is only in the database"),
        ("create index extra on users (ratio)", "index users.extra is only in the database"),
        ("alter table marks alter note set default 'x'", "marks.note: the default 'x' is only in the database"),
        (
            "alter table users alter seen set default clock_timestamp()",
            "default is clock_timestamp(), the models say CURRENT_TIMESTAMP",
        ),
        ("alter index ix_users_name rename to other_name", "its name is other_name, the models say ix_users_name"),
        ("alter table users drop constraint ck_users_balance", "check constraint users: CHECK"),
        (
            (
                "alter table marks drop constraint marks_user_id_fkey;"
                "alter table marks add foreign key (user_id) references users on delete cascade not valid"
            ),
            "foreign key marks (user_id): it is not validated yet",
        ),
    ],
)
def test_what_harms_no_application_is_only_noted(change: str, named: str, postgresql_url: str) -> None:
    found = judged(postgresql_url, EXPRESSION, change)
    assert found.verdict is Verdict.WARN
    assert named in found.details[0]


@pytest.mark.parametrize(
    "change",
    [
        "alter table users rename constraint users_email_key to anything",
        "alter table marks rename constraint marks_user_id_fkey to anything",
        "alter sequence users_id_seq rename to anything",
        "comment on table users is 'people'",
        "alter table users set (fillfactor = 70)",
        "create view seen as select seen from users",
        "create function f() returns integer language sql as 'select 1'",
        "alter table marks alter kind set default 'draft'::text",
    ],
)
def test_what_the_models_leave_to_the_server_is_no_difference(change: str, postgresql_url: str) -> None:
    found = judged(postgresql_url, COMMON, change)
    assert (found.verdict, found.details) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("alter type mood add value 'SAD'", "enum mood: is 'GOOD', 'BAD', 'SAD', the models say 'GOOD', 'BAD'"),
        ("alter table players alter id drop identity", "players.id: the default always of the models is missing"),
        ("alter table players alter id set generated by default", "default is a sequence, the models say always"),
    ],
)
def test_enums_and_identities_are_compared(damage: str, named: str, postgresql_url: str) -> None:
    found = judged(postgresql_url, POSTGRESQL, damage)
    assert found.verdict is Verdict.FAIL
    assert named in found.details[0]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("drop index ix_users_name", "index users (name) of the models is missing in the database"),
        (
            "alter table marks drop column kind",
            "column marks.kind of the models is missing in the database (VARCHAR(5))",
        ),
        ("drop index ix_users_lower", "note: index users (lower(email)) of the models is missing in the database"),
    ],
)
def test_sqlite_is_compared_in_the_same_way(damage: str, named: str, sqlite_url: str) -> None:
    assert judged(sqlite_url, EXPRESSION, damage).details == (named,)


def test_an_env_py_without_models_is_not_asked(bench: Workbench) -> None:
    bench.revision("aaa1", None, 'op.create_table("b", sa.Column("id", sa.Integer))')
    assert bench.run("apply", "--yes").returncode == 0
    done = bench.run("verify", "--check", "models-match")
    assert done.returncode == 0
    assert "warn    models-match: not asked: env.py names no target_metadata" in done.stdout


def test_models_that_env_py_forgot_to_import_are_unknown(lite_bench: Workbench) -> None:
    project = Modelled(lite_bench, "import sqlalchemy as sa\nmetadata = sa.MetaData()\n")
    lite_bench.revision("aaa1", None, 'op.create_table("b", sa.Column("id", sa.Integer))')
    assert lite_bench.run("apply", "--yes").returncode == 0
    found = project.check("models-match")
    assert (found["verdict"], found["exit"]) == ("unknown", 1)
    assert "target_metadata holds no table" in found["reason"]


def test_at_an_older_revision_the_models_are_not_asked(project: Modelled) -> None:
    project.bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    found = project.check("models-match", "--at", "aaa1")
    assert (found["verdict"], found["exit"]) == ("warn", 0)
    assert "the models are those of aaa2" in found["reason"]


@pytest.mark.slow
@ENGINES
def test_what_env_py_leaves_out_is_left_out(project: Modelled) -> None:
    project.bench.execute("create table theirs (id integer)", "create index extra on users (ratio)")
    project.models(
        COMMON,
        options="include_object=lambda thing, name, kind, reflected, compare_to: "
        "not (kind in ('table', 'index') and reflected and compare_to is None)",
    )
    assert project.check("models-match")["verdict"] == "pass"
    project.models(COMMON, options="include_name=lambda name, kind, parents: name not in ('theirs', 'extra')")
    assert project.check("models-match")["verdict"] == "pass"


@pytest.mark.parametrize("bench", ["lite_bench"], indirect=True)
def test_an_include_object_that_fails_is_unknown(project: Modelled) -> None:
    project.models(COMMON, options="include_object=lambda *_: 1 / 0")
    found = project.check("models-match")
    assert found["verdict"] == "unknown"
    assert "ZeroDivisionError" in found["reason"]


_SHOP = """
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN

metadata = sa.MetaData()
sa.Table("items", metadata, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("code", sa.String(9), server_default=sa.text("new_code()")), schema="shop")
"""


@pytest.mark.slow
def test_models_find_the_schemas_and_functions_that_migrations_make(pg_bench: Workbench) -> None:
    project = Modelled(pg_bench, _SHOP)
    pg_bench.revision(
        "aaa1",
        None,
        """
        op.execute("create function new_code() returns text language sql as $$ select 'x' || random() $$")
        op.execute("create schema shop")
        op.create_table("items", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("code", sa.String(9), server_default=sa.text("new_code()")), schema="shop")
        """,
    )
    assert pg_bench.run("apply", "--yes").returncode == 0
    found = project.check("models-match")
    assert (found["verdict"], found["reason"]) == ("pass", "1 table as the models say")


@pytest.mark.slow
def test_models_that_cannot_be_made_are_unknown(pg_bench: Workbench) -> None:
    project = Modelled(pg_bench, _SHOP)
    pg_bench.revision("aaa1", None, "op.execute('select 1')")
    assert pg_bench.run("apply", "--yes").returncode == 0
    found = project.check("models-match")
    assert (found["verdict"], found["exit"]) == ("unknown", 1)
    assert "the models' tables cannot be made in an empty database" in found["reason"]
    assert "new_code" in found["reason"]


@pytest.mark.slow
def test_models_that_open_a_connection_of_their_own_are_refused(pg_bench: Workbench) -> None:
    code = (
        COMMON
        + """
@sa.event.listens_for(metadata, "after_create")
def elsewhere(*_args, **_options):
    sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none").connect()
"""
    )
    project = Modelled(pg_bench, code)
    pg_bench.revision("aaa1", None, "op.execute('select 1')")
    assert pg_bench.run("apply", "--yes").returncode == 0
    done = project.bench.run("verify")
    assert done.returncode == 2
    assert "tried to open a database connection of its own" in done.stderr


_ELSEWHERE = """
op.execute("create schema app")
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("boss", sa.Integer), schema="app")
op.execute("insert into app.users values (1, 9)")
"""
_BOSSES = """
import sqlalchemy as sa

metadata = sa.MetaData()
sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("boss", sa.ForeignKey("users.id")))
"""


@pytest.mark.slow
def test_models_without_a_schema_are_found_where_the_search_path_leads(pg_bench: Workbench) -> None:
    project = Modelled(pg_bench, _BOSSES)
    pg_bench.revision("aaa1", None, _ELSEWHERE)
    assert pg_bench.run("apply", "--yes").returncode == 0
    url = make_url(pg_bench.url).update_query_dict({"options": "-c search_path=app,public"})
    pg_bench.url = url.render_as_string(hide_password=False)
    found = project.check("models-match")
    assert found["details"] == ["foreign key app.users (boss) of the models is missing in the database"]
    assert project.check("no-orphans")["violations"][0]["keys"] == ["id=1 with boss=9"]


_MOODS = """
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, ENUM

metadata = sa.MetaData()
mood = ENUM("good", "bad", name="mood", create_type=False)
sa.Table("days", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("moods", ARRAY(mood)))
"""


@pytest.mark.slow
def test_enums_that_migrations_make_for_the_models_are_compared(pg_bench: Workbench) -> None:
    project = Modelled(pg_bench, _MOODS)
    pg_bench.revision(
        "aaa1",
        None,
        """
        op.execute("create type mood as enum ('good', 'sad')")
        op.execute("create table days (id serial primary key, moods mood[])")
        """,
    )
    assert pg_bench.run("apply", "--yes").returncode == 0
    found = project.check("models-match")
    assert found["details"] == ["enum mood: is 'good', 'sad', the models say 'good', 'bad'"]
