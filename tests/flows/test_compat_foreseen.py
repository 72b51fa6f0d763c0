"""Prediction beside execution: it may not know, but it never calls safe what fails."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from compat_cases import HEAD, ITEMS, USERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from workbench import Workbench

from handrail.compat.board import Learnt, Moment
from handrail.engines.base import Purpose, for_url
from handrail.history.env.contracts import contract
from handrail.model.contract import AppVersion
from handrail.model.matrix import worst

_TABLES = ("users", "marks", "items", "logs")
_COLUMNS = (
    "id",
    "email",
    "nick",
    "flag",
    "amount",
    "at",
    "status",
    "user_id",
    "other_id",
    "kind",
    "doc",
    "ok",
    "extra",
)
_TYPES = (
    "text",
    "varchar(20)",
    "varchar(200)",
    "int",
    "bigint",
    "smallint",
    "boolean",
    "numeric(4,1)",
    "numeric(12,2)",
)
_TEMPLATES = (
    "alter table {table} drop column {column} cascade",
    "alter table {table} rename column {column} to {column}_r",
    "alter table {table} add column extra {type}",
    "alter table {table} add column extra {type} not null",
    "alter table {table} add column extra {type} not null default '1'",
    "alter table {table} add column extra int references {other}",
    "alter table {table} add column extra int not null default 1 references {other}",
    "alter table {table} alter column {column} set not null",
    "alter table {table} alter column {column} drop not null",
    "alter table {table} alter column {column} drop default",
    "alter table {table} alter column {column} type {type} using null",
    "alter table {table} add check ({column} is not null)",
    "alter table {table} add check ({column}::text in ('a', 'b', 'active'))",
    "alter table {table} add check ({column} > 0)",
    "alter table {table} add check ({column} between 1 and 3)",
    "alter table {table} add check ({column} is null or {second} is not null)",
    "alter table {table} add column extra varchar(9) not null default 'a' check (extra in ('a', 'b'))",
    "alter table {table} add column extra varchar(9) not null default 'c' check (extra in ('a', 'b'))",
    "alter table {table} add column extra int check (extra >= 3)",
    "alter table users drop constraint status, add constraint status check (status in ('new', 'old', 'gone'))",
    "alter table users drop constraint status, add constraint status check (status in ('new'))",
    "alter table users drop constraint status, add constraint status check (status in ('gone'))",
    "create table logs (id serial primary key, extra int references {other}, kind text not null check (kind in ('a')))",
    "create table logs (id serial primary key, extra int references {other}, ok int not null check (ok % 7 = 6))",
    "alter table {table} add foreign key ({column}) references {other}",
    "alter table {table} add exclude using btree ({column} with =)",
    "alter table {table} drop constraint {table}_pkey cascade",
    "alter table {table} enable row level security",
    "create unique index on {table} ({column})",
    "create unique index on {table} ({column}, {second})",
    "create unique index on {table} ({column}) where {second} is not null",
    "create unique index on {table} (coalesce({column}::text, 'x'))",
    "create unique index on {table} ({column}) include ({second})",
    "create table logs (id serial primary key, extra int references {other} on delete cascade)",
    "create table logs (id serial primary key, extra int not null references {other} on delete set null)",
    "create table logs (id serial primary key, extra int references {other})",
    "create table logs (id int primary key references {other} on delete cascade, kind kind not null, ok bool unique)",
    "alter table {table} rename to {table}_r",
    "alter table {table} rename to {table}_r; create view {table} as select * from {table}_r",
    "create rule quiet as on insert to {table} do instead nothing",
    "alter type kind rename value 'b' to 'bee'",
    "alter type kind add value 'd'",
)
#: What the version is used to.
_CHECKED = (
    "alter table users add constraint status check (status in ('new', 'old'))",
    "alter table marks add check (other_id > 0)",
    "alter table items add check (ver >= 0 and ver < 1000000)",
    "alter table items add check (ok is not null or d is null)",
)
_CHANGES = st.lists(
    st.builds(
        str.format,
        st.sampled_from(_TEMPLATES),
        table=st.sampled_from(_TABLES),
        other=st.sampled_from(_TABLES),
        column=st.sampled_from(_COLUMNS),
        second=st.sampled_from(_COLUMNS),
        type=st.sampled_from(_TYPES),
    ),
    min_size=1,
    max_size=6,
)


def _version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppVersion:
    (folder / "foreseen_models.py").write_text("\n".join((HEAD, USERS[0], ITEMS[0])).format(p="", P=""))
    monkeypatch.syspath_prepend(folder)
    base = import_module("foreseen_models").Base
    found = contract((base.metadata,), sa.make_url("postgresql+psycopg://").get_dialect()())
    return AppVersion(name="v1", contract=found, revisions=(), digest="", registered_at="")


@pytest.mark.slow
def test_what_is_predicted_to_work_works(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version, engine = _version(tmp_path, monkeypatch), for_url(postgresql_url)
    told = {"all": 0, "decided": 0}
    with engine.connect(Purpose.MIGRATE) as conn:
        for sql in (USERS[1], ITEMS[1], *_CHECKED):
            conn.exec_driver_sql(sql.format(p=""), execution_options={"no_parameters": True})
        conn.commit()

        def found(learnt: Learnt, *, home: bool) -> tuple[Any, ...]:
            with conn.begin_nested() as scope:
                conn.exec_driver_sql("set constraints all immediate")
                moment = Moment(engine=engine, conn=conn, version_table="", role="", learnt=learnt, begin=lambda: None)
                tables = tuple(moment.found(version, home=home))
                scope.rollback()
            return tables

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(changes=_CHANGES)
        def check(changes: list[str]) -> None:
            learnt = Learnt()
            with conn.begin() as transaction:
                found(learnt, home=True)
                for sql in changes:
                    try:
                        with conn.begin_nested():
                            conn.exec_driver_sql(sql, execution_options={"no_parameters": True})
                    except DBAPIError:
                        continue  # not possible here
                for each in found(learnt, home=False):
                    told["all"] += 1
                    if not each.foreseen:
                        assert not each.trials, (changes, each.trials)
                    if each.foreseen and worst(t.result for t in each.foreseen).broken:
                        assert each.trials, (changes, each.foreseen)
                    told["decided"] += not each.foreseen or worst(t.result for t in each.foreseen).broken
                transaction.rollback()

        check()
    assert told["decided"] >= 0.7 * told["all"], told


@pytest.mark.slow
def test_without_a_server_the_matrix_is_predicted_and_says_so(pg_bench: Workbench) -> None:
    bench = pg_bench
    bench.revision("r0", None, "\n".join(f"op.execute({sql.format(p='')!r})" for sql in (USERS[1], ITEMS[1])))
    bench.revision("r1", "r0", 'op.drop_column("users", "nick")')
    (bench.root / "app.py").write_text("\n".join((HEAD, USERS[0], ITEMS[0])).format(p="", P=""))
    assert bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r0").returncode == 0
    asked = bench.run("compat", "--static", "--format", "json")
    found = json.loads(asked.stdout)["matrix"]
    assert [row["cells"][0]["result"] for row in found["rows"]] == ["works", "read fails"]
    assert found["executed"] is False
    assert found["rows"][1]["cells"][0]["troubles"][0]["operation"].startswith("drop_column users.nick")
    nowhere = {"HANDRAIL_SANDBOX_URL": "postgresql://nobody@127.0.0.1:1/none"}
    fallen = bench.run("compat", env=nowhere)
    assert "predicted, nothing was executed: no sandbox" in fallen.stdout
    assert fallen.returncode == 1


@pytest.mark.slow
def test_where_branches_meet_neither_undoes_what_the_other_has_made_of_a_table(pg_bench: Workbench) -> None:
    bench = pg_bench
    bench.revision("r0", None, "\n".join(f"op.execute({sql.format(p='')!r})" for sql in (USERS[1], ITEMS[1])))
    bench.revision("r1", "r0", 'op.drop_column("users", "nick")')
    bench.revision("r2", "r0", 'op.drop_table("items")\nop.add_column("users", sa.Column("age", sa.Integer))')
    merge = bench.revision("r3", "r1", "pass")
    merge.write_text(merge.read_text().replace("down_revision = 'r1'", "down_revision = ('r1', 'r2')"))
    (bench.root / "app.py").write_text("\n".join((HEAD, USERS[0], ITEMS[0])).format(p="", P=""))
    assert bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r0").returncode == 0
    found = json.loads(bench.run("compat", "--static", "--format", "json").stdout)["matrix"]
    missing = [{t["trial"]["table"] for t in row["cells"][0]["troubles"]} for row in found["rows"]]
    assert missing[0] == set()
    assert missing[1] in ({"users"}, {"items"})
    assert missing[2:] == [{"users", "items"}] * 2
