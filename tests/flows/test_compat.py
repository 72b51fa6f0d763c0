from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import make_url
from workbench import Workbench

_MODELS = """
import enum
from datetime import datetime
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(80))
    nick: Mapped[str | None] = mapped_column(String(40), deferred=True)
    role: Mapped[str] = mapped_column(Enum("player", "coach", "admin", name="role"), server_default="player")
    flag: Mapped[int] = mapped_column(default=0)

class Mark(Base):
    __tablename__ = "marks"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    other_id: Mapped[int]
"""
_FIRST = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(80), nullable=False),
    sa.Column("nick", sa.String(40)),
    sa.Column("role", sa.Enum("player", "coach", "admin", name="role"), server_default="player", nullable=False),
    sa.Column("flag", sa.Integer, nullable=False),
)
op.create_table(
    "marks",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_marks_users"), nullable=False),
    sa.Column("other_id", sa.Integer, nullable=False),
)
"""


def versioned(bench: Workbench, models: str = _MODELS, first: str = _FIRST) -> Workbench:
    """The bench with one revision, and version v1 registered there."""
    bench.revision("aaa1", None, first)
    (bench.root / "app.py").write_text(dedent(models))
    done = bench.run("versions", "register", "v1", "--models", "app:Base")
    assert done.returncode == 0, done.stderr
    return bench


def matrix(bench: Workbench, *arguments: str) -> dict[str, Any]:
    """The document, with its exit status under `exit`."""
    done = bench.run("compat", "--format", "json", *arguments)
    assert done.returncode in {0, 1}, done.stderr
    return {**json.loads(done.stdout), "exit": done.returncode}


def cells(document: dict[str, Any], version: str = "v1") -> list[str]:
    """The results of one version, revision by revision; '.' where the two never meet."""
    found = [c for row in document["matrix"]["rows"] for c in row["cells"] if c["version"] == version]
    return [c["result"] if c["judged"] else "." for c in found]


def trouble(document: dict[str, Any], revision: str = "aaa2") -> dict[str, Any]:
    """What is worst about the only version at that revision."""
    [row] = [row for row in document["matrix"]["rows"] if row["revision"] == revision]
    found: dict[str, Any] = row["cells"][0]["troubles"][0]
    return found


_BREAKING = (
    ('op.drop_column("users", "nick")', "read fails", "drop_column users.nick"),
    ('op.alter_column("users", "nick", new_column_name="nickname")', "read fails", "alter_column users.nick"),
    ('op.rename_table("marks", "remarks")', "read fails", "rename_table marks"),
    ('op.drop_table("marks")', "read fails", "drop_table marks"),
    ('op.alter_column("users", "nick", nullable=False)', "minimal insert fails", "alter_column users.nick"),
    (
        'op.add_column("users", sa.Column("born", sa.Date, nullable=False))',
        "write fails",
        "add_column users.born",
    ),
    (
        (
            'op.add_column("users", sa.Column("born", sa.Date, nullable=False, server_default="2000-01-01"))\n'
            'op.alter_column("users", "born", server_default=None)'
        ),
        "write fails",
        "alter_column users.born",
    ),
    ('op.create_index("uq_nick", "users", ["nick"], unique=True)', "write fails", "create_index users.uq_nick"),
    (
        'op.create_unique_constraint("uq_marks", "marks", ["user_id", "other_id"])',
        "write fails",
        "create_unique_constraint marks.uq_marks",
    ),
    (
        'op.create_foreign_key("fk_other", "marks", "users", ["other_id"], ["id"])',
        "delete fails",
        "create_foreign_key marks.fk_other",
    ),
    (
        'op.execute("create table logs (user_id integer references users)")',
        "delete fails",
        "create table logs",
    ),
    (
        (
            'op.execute("alter type role rename to role_old")\n'
            "op.execute(\"create type role as enum ('player', 'coach')\")\n"
            'op.execute("alter table users alter role drop default")\n'
            'op.execute("alter table users alter role type role using role::text::role")\n'
            "op.execute(\"alter table users alter role set default 'player'\")"
        ),
        "write fails",
        "alter table users",
    ),
    (
        'op.alter_column("users", "flag", type_=sa.Boolean, postgresql_using="flag <> 0")',
        "write fails",
        "alter_column users.flag",
    ),
    ('op.alter_column("users", "email", type_=sa.String(20))', "write fails", "alter_column users.email"),
    (
        'op.create_check_constraint("ck_email", "users", "email like \'%@%\'")',
        "write fails",
        "create_check_constraint users.ck_email",
    ),
)
_HARMLESS = (
    'op.add_column("users", sa.Column("born", sa.Date))',
    'op.add_column("users", sa.Column("born", sa.Date, nullable=False, server_default="2000-01-01"))',
    'op.create_index("ix_email", "users", ["email"])',
    'op.alter_column("users", "email", type_=sa.Text)',
    'op.alter_column("marks", "other_id", nullable=True)',
    'op.execute("create table logs (user_id integer references users on delete cascade)")',
    (
        'op.execute("alter table users rename to accounts")\n'
        'op.execute("create view users as select id, email, nick, role, flag from accounts")\n'
        "op.execute(\"alter view users alter role set default 'player'\")"
    ),
    "op.execute(\"alter type role add value 'guest'\")",
    'op.create_unique_constraint("uq_all", "marks", ["id", "user_id"])',
)
_NAMES = re.compile(
    r"\b(users|marks|remarks|role|role_old|accounts|logs|fk_marks_users|fk_other|uq_\w+|ck_\w+|ix_\w+)\b"
)


def _own(text: str, number: int) -> str:
    """The text about tables, types and constraints of that case alone."""
    return _NAMES.sub(lambda found: f"{found[0]}_{number}", text).replace(f"users_{number}.role_{number}", "role")


def _history(bench: Workbench, changes: Iterable[str]) -> int:
    """A history that makes tables for each change, then makes one change in each revision; how many those are."""
    models, first = [_MODELS.partition("class User(")[0]], []
    known = list(enumerate(changes, 1))
    for number, _ in known:
        tables = _MODELS[_MODELS.index("class User(") :].replace("class User", f"class User{number}")
        tables = tables.replace("class Mark", f"class Mark{number}")
        models.append(_own(tables, number).replace(f"role_{number}: Mapped", "role: Mapped"))
        first.append(_own(_FIRST, number).replace(f'sa.Column("role_{number}"', 'sa.Column("role"'))
    bench.revision("r0", None, "".join(first))
    (bench.root / "app.py").write_text("\n".join(models))
    done = bench.run("versions", "register", "v1", "--models", "app:Base")
    assert done.returncode == 0, done.stderr
    for number, change in known:
        text = _own(change, number)
        for column in (f"alter role_{number}", f"using role_{number}", f"nick, role_{number}"):
            text = text.replace(column, column.removesuffix(f"_{number}"))
        bench.revision(f"r{number}", f"r{number - 1}", text)
    return len(known)


def test_a_change_that_breaks_the_version_is_named_with_its_operation(pg_bench: Workbench) -> None:
    _history(pg_bench, [change for change, _, _ in _BREAKING])
    found = matrix(pg_bench)
    assert found["exit"] == 1
    [*_, last] = found["matrix"]["rows"]
    assert cells(found)[0] == "works"
    for number, (_, result, operation) in enumerate(_BREAKING, 1):
        begun = [t for t in last["cells"][0]["troubles"] if t["since"] == f"r{number}"]
        assert begun, number
        assert begun[0]["trial"]["result"] == result, (number, begun)
        assert _own(operation, number) in begun[0]["operation"], (number, begun)
        assert begun[0]["trial"]["message"]


def test_a_change_that_the_version_does_not_notice_works(pg_bench: Workbench) -> None:
    revisions = _history(pg_bench, _HARMLESS)
    found = matrix(pg_bench)
    assert cells(found) == ["works"] * (revisions + 1), pg_bench.run("compat").stdout
    assert found["exit"] == 0


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ("drop_column('nick')", "read fails"),
        ("alter_column('nick', nullable=False)", "minimal insert fails"),
        ("create_unique_constraint('uq_nick', ['nick'])", "write fails"),
        ("add_column(sa.Column('born', sa.Date))", "works"),
    ],
)
def test_sqlite_is_exercised_too(lite_bench: Workbench, change: str, result: str) -> None:
    bench = versioned(lite_bench)
    bench.revision("aaa2", "aaa1", f"with op.batch_alter_table('users') as batch:\n    batch.{change}")
    assert cells(matrix(bench)) == ["works", result]


def test_sqlite_deletes_meet_new_children(lite_bench: Workbench) -> None:
    bench = versioned(lite_bench)
    bench.revision("aaa2", "aaa1", 'op.execute("create table logs (user_id integer references users (id))")')
    found = matrix(bench)
    assert cells(found) == ["works", "delete fails"]
    assert "create table logs" in trouble(found)["operation"]


@pytest.mark.slow
def test_a_window_that_a_later_revision_closes_is_shown_with_both_ends(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision("aaa2", "aaa1", 'op.alter_column("users", "nick", nullable=False)')
    bench.revision("aaa3", "aaa2", 'op.create_table("notes", sa.Column("id", sa.Integer))')
    bench.revision("aaa4", "aaa3", 'op.alter_column("users", "nick", nullable=True)')
    found = matrix(bench)
    assert cells(found) == ["works", "minimal insert fails", "minimal insert fails", "works"]
    for revision in ("aaa2", "aaa3"):
        assert (trouble(found, revision)["since"], trouble(found, revision)["healed_by"]) == ("aaa2", "aaa4")
    assert "since aaa2 (alter_column users.nick at line 11) until aaa4" in bench.run("compat").stdout


@pytest.mark.slow
def test_of_a_range_nothing_else_is_exercised_but_what_fails_at_its_edges(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision("aaa2", "aaa1", 'op.alter_column("users", "nick", nullable=False)')
    bench.revision("aaa3", "aaa2", 'op.add_column("marks", sa.Column("note", sa.Text))')
    bench.revision("aaa4", "aaa3", 'op.create_table("notes", sa.Column("id", sa.Integer))')
    bench.revision("aaa5", "aaa4", 'op.alter_column("users", "nick", nullable=True)')
    bench.revision("aaa6", "aaa5", 'op.add_column("marks", sa.Column("more", sa.Text))')
    whole, part = matrix(bench), matrix(bench, "--revisions", "aaa3:aaa4")
    assert cells(part) == cells(whole)[2:4] == ["minimal insert fails"] * 2
    for revision in ("aaa3", "aaa4"):
        assert trouble(part, revision) == trouble(whole, revision)
        assert (trouble(part, revision)["since"], trouble(part, revision)["healed_by"]) == ("aaa2", "aaa5")
    assert part["matrix"]["exercised"] < whole["matrix"]["exercised"], "marks is nobody's question"
    kept = matrix(bench, "--since")
    assert [row["cells"] for row in kept["matrix"]["rows"]] == [row["cells"] for row in whole["matrix"]["rows"]]


@pytest.mark.slow
def test_each_column_that_may_be_left_empty_no_longer_is_told_with_its_own_operation(pg_bench: Workbench) -> None:
    optional = _MODELS.replace("other_id: Mapped[int]", "other_id: Mapped[int | None]\n    more_id: Mapped[int | None]")
    first = _FIRST.replace(
        'sa.Column("other_id", sa.Integer, nullable=False)',
        'sa.Column("other_id", sa.Integer), sa.Column("more_id", sa.Integer)',
    )
    bench = versioned(pg_bench, optional, first)
    tighten = 'op.alter_column("marks", "{}", nullable=False)'
    bench.revision("aaa2", "aaa1", "\n".join(map(tighten.format, ("other_id", "more_id"))))
    bench.revision("aaa3", "aaa2", 'op.alter_column("marks", "other_id", nullable=True)')
    found = matrix(bench)
    told = [row["cells"][0]["troubles"] for row in found["matrix"]["rows"]]
    assert [
        (t["trial"]["result"], t["trial"]["column"], t["operation"].partition(" at ")[0], t["since"], t["healed_by"])
        for t in told[1]
    ] == [
        ("minimal insert fails", "more_id", "alter_column marks.more_id", "aaa2", ""),
        ("minimal insert fails", "other_id", "alter_column marks.other_id", "aaa2", "aaa3"),
    ]
    assert [(t["trial"]["column"], t["since"]) for t in told[2]] == [("more_id", "aaa2")]


@pytest.mark.slow
def test_only_what_a_revision_touches_is_exercised_again(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    once = matrix(bench)["matrix"]["exercised"]
    bench.revision("aaa2", "aaa1", 'op.create_table("notes", sa.Column("id", sa.Integer))')
    assert matrix(bench)["matrix"]["exercised"] == once


@pytest.mark.slow
def test_pairs_that_never_meet_are_judged_only_with_all(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa0", None, 'op.create_table("notes", sa.Column("id", sa.Integer))')
    (pg_bench.root / "app.py").write_text(_MODELS)
    pg_bench.revision("aaa1", "aaa0", _FIRST)
    assert pg_bench.run("versions", "register", "v1", "--models", "app:Base").returncode == 0
    assert cells(matrix(pg_bench)) == ["works"]
    assert cells(matrix(pg_bench, "--all")) == ["read fails", "works"]
    assert cells(matrix(pg_bench, "--all", "--revisions", "aaa1:")) == ["works"]


@pytest.mark.slow
def test_the_table_is_readable_without_colour_and_as_markdown(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
    text = bench.run("compat").stdout
    assert "aaa2  READ" in text
    assert "v1: read fails on users.nick since aaa2 (drop_column users.nick at line 11)" in text
    assert "instead: keep what v1 reads of users.nick: add the new beside the old" in text
    assert bench.run("versions", "register", "v2", "--models", "app:Base", "--at", "aaa1").returncode == 0
    assert "instead: keep what v1 and v2 read of users.nick: " in bench.run("compat").stdout
    assert "| aaa2 | read fails | read fails | Step aaa2. |" in bench.run("compat", "--format", "markdown").stdout


@pytest.mark.slow
def test_checks_that_the_version_lives_with_are_met(pg_bench: Workbench) -> None:
    first = _FIRST + (
        "op.create_check_constraint('ck_flag', 'users', 'flag between 40 and 50')\n"
        "op.create_check_constraint('ck_nick', 'users', \"nick in ('bo', 'al')\")\n"
    )
    bench = versioned(pg_bench, _MODELS.replace("default=0", "default=41"), first)
    assert cells(matrix(bench)) == ["works"]


@pytest.mark.slow
def test_what_cannot_be_exercised_is_unknown_with_the_reason(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision(
        "aaa2",
        "aaa1",
        'op.execute("create table logs (user_id integer references users)")\n'
        "op.execute(\"alter table logs add mail text not null check (mail ~ '^[^@]+@x$')\")",
    )
    found = matrix(bench)
    assert cells(found) == ["works", "unknown"]
    assert found["exit"] == 1
    assert "no row of logs could be planted" in trouble(found)["trial"]["message"]


@pytest.mark.slow
def test_a_table_of_another_schema_is_exercised_there(pg_bench: Workbench) -> None:
    models = """
    from sqlalchemy import *
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", String(5)), schema="ops")
    """
    pg_bench.revision(
        "aaa1",
        None,
        'op.execute("create schema ops; create table ops.things (id serial primary key, name varchar(5))")',
    )
    pg_bench.revision("aaa2", "aaa1", 'op.execute("alter table ops.things drop column name")')
    (pg_bench.root / "app.py").write_text(dedent(models))
    assert pg_bench.run("versions", "register", "v1", "--models", "app:metadata", "--at", "aaa1").returncode == 0
    found = matrix(pg_bench)
    assert cells(found) == ["works", "read fails"]
    assert trouble(found)["trial"]["table"] == "ops.things"


def test_without_a_registered_version_there_is_nothing_to_compare(bench: Workbench) -> None:
    bench.revision("aaa1", None, 'op.create_table("b", sa.Column("id", sa.Integer))')
    done = bench.run("compat")
    assert done.returncode == 2
    assert "no version of the application is registered" in done.stderr
    assert "handrail versions register" in done.stderr


@pytest.mark.slow
def test_the_gate_closes_on_what_the_plan_breaks(pg_bench: Workbench) -> None:
    pg_bench.settings('requires = ["compatible"]')
    pg_bench.revision("aaa1", None, _FIRST)
    closed = pg_bench.run("apply", "--yes")
    assert closed.returncode == 3
    assert "no version of the application is registered" in closed.stderr
    (pg_bench.root / "app.py").write_text(_MODELS)
    assert pg_bench.run("versions", "register", "v1", "--models", "app:Base").returncode == 0
    done = pg_bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    pg_bench.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
    broken = pg_bench.run("apply", "--yes")
    assert broken.returncode == 3
    assert "v1: read fails on users.nick since aaa2 (drop_column users.nick" in broken.stderr
    assert pg_bench.run("versions", "retire", "v1").returncode == 0
    (pg_bench.root / "app.py").write_text(_MODELS.replace("    nick:", "    #"))
    assert pg_bench.run("versions", "register", "v2", "--models", "app:Base", "--at", "aaa1").returncode == 0
    assert pg_bench.run("apply", "--yes").returncode == 0


@pytest.mark.slow
def test_a_user_who_may_only_look_can_ask(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
    owner = make_url(bench.url)
    bench.execute("create role compat_reader login")
    bench.url = owner.set(username="compat_reader").render_as_string(hide_password=False)
    try:
        assert cells(matrix(bench)) == ["works", "read fails"]
    finally:
        bench.url = owner.render_as_string(hide_password=False)
        bench.execute("drop role compat_reader")


def test_of_several_operations_the_one_that_did_it_is_named_and_what_is_hidden_goes_on(pg_bench: Workbench) -> None:
    bench = versioned(pg_bench)
    bench.revision(
        "aaa2",
        "aaa1",
        'op.add_column("users", sa.Column("nick2", sa.String(40)))\n'
        'op.execute("update users set nick2 = nick")\n'
        "op.execute(\"do $$ begin execute 'alter table users alter nick set not null'; end $$\")\n"
        'op.create_index("ix_nick", "users", ["nick"])\n',
    )
    bench.revision("aaa3", "aaa2", 'op.drop_column("users", "email")\nop.add_column("users", sa.Column("x", sa.Date))')
    bench.revision("aaa4", "aaa3", 'op.add_column("users", sa.Column("email", sa.String(80), server_default="e"))')
    bench.revision("aaa5", "aaa4", 'op.alter_column("users", "nick", nullable=True)')
    found = matrix(bench)
    assert cells(found) == ["works", "minimal insert fails", "read fails", "minimal insert fails", "works"]
    hidden = trouble(found, "aaa4")
    assert hidden == trouble(found, "aaa2")
    assert hidden["operation"].startswith("execute do $$ begin execute 'alter table users alter nick set not null'")
    assert (hidden["since"], hidden["healed_by"]) == ("aaa2", "aaa5")
    worse = trouble(found, "aaa3")
    assert worse["operation"].startswith("drop_column users.email")
    assert (worse["trial"]["column"], worse["healed_by"]) == ("email", "aaa4")


@pytest.mark.slow
def test_since_takes_over_what_nothing_has_changed_for(pg_bench: Workbench, tmp_path: Path) -> None:
    bench = versioned(pg_bench)
    bench.revision("aaa2", "aaa1", 'op.alter_column("users", "nick", nullable=False)')
    kept = {"HANDRAIL_CACHE": str(tmp_path / "cache")}

    def asked(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(bench.run("compat", "--format", "json", *arguments, env=kept).stdout)
        return {key: value for key, value in found["matrix"].items() if key != "exercised"}

    first = asked()
    assert first["kept"] == 0
    assert asked("--since") == {**first, "kept": 2}
    bench.revision("aaa3", "aaa2", 'op.create_unique_constraint("uq_nick", "users", ["nick"])')
    longer = asked("--since")
    assert longer["kept"] == 2
    assert longer == {**asked(), "kept": 2}
    bench.revision("aaa2", "aaa1", 'op.alter_column("users", "nick", nullable=True)')
    changed = asked("--since")
    assert changed["kept"] == 1
    assert [row["cells"][0]["result"] for row in changed["rows"]] == ["works", "works", "write fails"]


@pytest.mark.slow
def test_versions_are_exercised_with_the_rights_of_the_applications_role(pg_bench: Workbench) -> None:
    owner = make_url(pg_bench.url)
    name = f"compat_app_{owner.database}"
    pg_bench.execute(f'create role "{name}" login', f'grant usage on schema public to "{name}"')
    environment = '[tool.handrail.environments.main]\nurl = "env:APP_URL"\nmigration_url = "env:HANDRAIL_TEST_URL"\n'
    (pg_bench.root / "pyproject.toml").write_text(environment)
    env = {"APP_URL": owner.set(username=name).render_as_string(hide_password=False)}
    grant = f"op.execute('grant all on all tables in schema public to \"{name}\"')\n"
    grant += f"op.execute('grant all on all sequences in schema public to \"{name}\"')\n"
    pg_bench.revision("aaa1", None, _FIRST + grant)
    pg_bench.revision("aaa2", "aaa1", f"op.execute('revoke delete on marks from \"{name}\"')")
    pg_bench.revision("aaa3", "aaa2", f"op.execute('revoke insert on users from \"{name}\"')")
    pg_bench.revision("aaa4", "aaa3", "op.execute('alter table marks enable row level security')")
    (pg_bench.root / "app.py").write_text(_MODELS)
    try:
        kept = pg_bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "aaa1", env=env)
        assert kept.returncode == 0, kept.stderr
        done = pg_bench.run("compat", "--format", "json", env=env)
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout)
        assert cells(found) == ["works", "delete fails", "write fails", "write fails"]
        assert trouble(found)["trial"]["message"] == "permission denied for table marks"
        assert "instead: grant the application's role what it needs of marks" in pg_bench.run("compat", env=env).stdout
        begun = [t for t in found["matrix"]["rows"][3]["cells"][0]["troubles"] if t["since"] == "aaa4"]
        assert begun[0]["trial"]["table"] == "marks"
    finally:
        pg_bench.execute(f'drop owned by "{name}"', f'drop role "{name}"')
