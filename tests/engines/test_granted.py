"""What is granted to others than the owner, and what a copy has lost of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from handrail.engines.base import Purpose, for_url
from handrail.model.grants import PUBLIC, Grant, lost


@pytest.fixture
def admin(postgresql_url: str) -> Iterator[Connection]:
    with for_url(postgresql_url).connect(Purpose.STATE) as conn:
        yield conn


@pytest.fixture
def role(admin: Connection) -> Iterator[str]:
    name = f"granted_{secrets.token_hex(4)}"
    admin.exec_driver_sql(f"create role {name}")
    yield name
    admin.exec_driver_sql(f"drop owned by {name}; drop role {name}")


def granted(conn: Connection) -> dict[tuple[str, str], tuple[str, ...]]:
    engine = for_url(conn.engine.url.render_as_string(hide_password=False))
    return {(g.on, g.role): g.privileges for g in engine.rights.granted(conn, version_table="alembic_version")}


def test_every_kind_of_thing_tells_who_may_do_what(admin: Connection, role: str) -> None:
    for sql in (
        "create schema app; create table app.t (id int, secret int)",
        "create sequence s; create view v as select 1 as one",
        "create function f(a int, b text) returns int language sql as 'select 1'",
        "create type mood as enum ('well')",
        f"grant usage on schema app to {role}",
        f"grant select, insert on app.t to {role}; grant update on app.t to {role} with grant option",
        f"grant select (secret) on app.t to {role}; grant usage on s to {role}; grant select on v to public",
        f"revoke all on function f(int, text) from public; grant execute on function f(int, text) to {role}",
        f"alter default privileges in schema app grant select on tables to {role}",
    ):
        admin.exec_driver_sql(sql)
    found = granted(admin)
    creator = admin.exec_driver_sql("select current_user").scalar_one()
    assert found == {
        ("schema app", role): ("USAGE",),
        ("table app.t", role): ("INSERT", "SELECT", "UPDATE with grant option"),
        ("column app.t.secret", role): ("SELECT",),
        ("sequence s", role): ("USAGE",),
        ("view v", PUBLIC): ("SELECT",),
        ("function f(a integer, b text)", role): ("EXECUTE",),
        ("type mood", PUBLIC): ("USAGE",),
        ("language plpgsql", PUBLIC): ("USAGE",),
        (f"what {creator} creates in app (r)", role): ("SELECT",),
        ("schema public", PUBLIC): found["schema public", PUBLIC],
    }


def test_what_everybody_may_do_until_it_is_revoked_is_told(admin: Connection, role: str) -> None:
    admin.exec_driver_sql("create function f() returns int language sql as 'select 1'")
    assert granted(admin)["function f()", PUBLIC] == ("EXECUTE",)
    admin.exec_driver_sql(f"grant execute on function f() to {role}; revoke execute on function f() from public")
    assert ("function f()", PUBLIC) not in granted(admin)


def grant(role: str, *privileges: str) -> Grant:
    return Grant(on="table t", role=role, privileges=privileges)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((grant("app", "SELECT", "UPDATE"),), (grant("app", "SELECT", "UPDATE"),), []),
        ((grant("app", "SELECT", "UPDATE"),), (grant("app", "SELECT"),), ["app has lost UPDATE on table t"]),
        ((grant("app", "SELECT"),), (), ["app has lost SELECT on table t"]),
        ((), (grant(PUBLIC, "SELECT"),), ["everybody has gained SELECT on table t"]),
        ((), (grant("owner of the original", "SELECT"),), []),
    ],
)
def test_what_a_copy_has_lost_is_told(before: tuple[Grant, ...], after: tuple[Grant, ...], told: list[str]) -> None:
    assert list(lost(before, after)) == told


def test_without_roles_nothing_is_granted(sqlite_url: str) -> None:
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.READ) as conn:
        assert engine.rights.granted(conn, version_table="alembic_version") == ()
