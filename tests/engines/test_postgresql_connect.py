from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url, is_opening
from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server, start
from handrail.errors import HandrailError, Unreachable

CANARY = "k4n%ri@e:n/vo gel"


@pytest.fixture(scope="module")
def engine(handrail_postgresql: Server) -> Iterator[Engine]:
    with fresh_database(handrail_postgresql) as url:
        yield for_url(url)


@pytest.fixture(scope="module")
def guarded() -> Iterator[URL]:
    """The URL of a server that listens on a port and asks for the password CANARY; its owner is `guest`."""
    with start(find_any(), listen=True) as server:
        admin = for_url(server.url())
        with admin.connect(Purpose.STATE) as conn:
            conn.exec_driver_sql("create role guest login password 'k4n%%ri@e:n/vo gel'")
            conn.exec_driver_sql("create database closed")
            conn.exec_driver_sql("revoke connect on database closed from public")
            conn.exec_driver_sql("create database narrow connection limit 0")
        yield admin.url.set(username="guest", password=CANARY)


def _failure(url: URL, purpose: Purpose = Purpose.READ) -> HandrailError:
    with pytest.raises(HandrailError) as caught, for_url(url).connect(purpose):
        pass
    error = caught.value
    told = f"{error} {error.what} {error.why} {error.fix} {error.__cause__}"
    for secret in (CANARY, quote(CANARY, safe=""), "k4n"):
        assert secret not in told
    return error


def test_read_sessions_cannot_write_and_migrating_ones_can(engine: Engine) -> None:
    with engine.connect(Purpose.READ, run="7") as conn:
        assert conn.exec_driver_sql("show application_name").scalar_one() == "handrail:7"
        with pytest.raises(DBAPIError) as caught:
            conn.exec_driver_sql("create table t (id integer)")
        assert engine.classify(caught.value) is Cause.READ_ONLY
    with engine.connect(Purpose.MIGRATE) as conn, conn.begin():
        conn.exec_driver_sql("create table kept (id integer)")
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("insert into kept values (1)")
        assert conn.exec_driver_sql("show application_name").scalar_one() == "handrail"
    with engine.connect(Purpose.READ) as conn:
        assert conn.exec_driver_sql("select count(*) from kept").scalar_one() == 1


@pytest.mark.parametrize(
    ("drivername", "migrates_on"),
    [
        ("postgresql", "psycopg"),
        ("postgresql+psycopg", "psycopg"),
        ("postgresql+psycopg2", "psycopg2"),
        ("postgresql+asyncpg", "psycopg"),
        ("postgresql+psycopg_async", "psycopg"),
    ],
)
def test_each_purpose_has_its_driver(drivername: str, migrates_on: str, engine: Engine) -> None:
    project = for_url(engine.url.set(drivername=drivername))
    for purpose, driver in ((Purpose.READ, "psycopg"), (Purpose.STATE, "psycopg"), (Purpose.MIGRATE, migrates_on)):
        with project.connect(purpose) as conn:
            assert conn.dialect.driver == driver
            assert conn.exec_driver_sql("select 1").scalar_one() == 1


@pytest.mark.parametrize("drivername", ["postgresql+asyncpg", "postgresql+psycopg2"])
def test_a_percent_sign_means_what_it_means_on_the_projects_driver(drivername: str, engine: Engine) -> None:
    with for_url(engine.url.set(drivername=drivername)).connect(Purpose.MIGRATE) as conn:
        shown = "select format('%I.%I', 'a', 'b')" if drivername.endswith("asyncpg") else "select 'a.b'"
        assert conn.exec_driver_sql(shown).scalar_one() == "a.b"
        assert conn.execute(text("select '100%' || :unit"), {"unit": "!"}).scalar_one() == "100%!"
        plain = {"no_parameters": True}
        assert conn.exec_driver_sql("select '7%'", execution_options=plain).scalar_one() == "7%"


def test_what_only_an_async_driver_understands_is_left_out(engine: Engine) -> None:
    query = {**engine.url.query, "ssl": "prefer", "prepared_statement_cache_size": "0"}
    project = for_url(engine.url.set(drivername="postgresql+asyncpg", query=query))
    with project.connect(Purpose.MIGRATE) as conn:
        assert conn.exec_driver_sql("select 1").scalar_one() == 1


def test_the_urls_own_options_are_kept(engine: Engine) -> None:
    project = for_url(engine.url.update_query_dict({"options": "-c search_path=shop"}))
    for purpose in Purpose:
        with project.connect(purpose) as conn:
            assert conn.exec_driver_sql("show search_path").scalar_one() == "shop"


def test_the_environments_options_are_kept(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=tenant")
    for purpose in Purpose:
        with engine.connect(purpose) as conn:
            assert conn.exec_driver_sql("show search_path").scalar_one() == "tenant", purpose


def test_the_urls_own_options_replace_those_of_the_environment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=tenant")
    project = for_url(engine.url.update_query_dict({"options": "-c statement_timeout=7s"}))
    for purpose in Purpose:
        with project.connect(purpose) as conn:
            assert "tenant" not in conn.exec_driver_sql("show search_path").scalar_one(), purpose


def test_the_environments_options_do_not_make_a_look_writable(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=off -c lock_timeout=0")
    with engine.connect(Purpose.READ) as conn:
        assert conn.exec_driver_sql("show default_transaction_read_only").scalar_one() == "on"
        assert conn.exec_driver_sql("show lock_timeout").scalar_one() == "2s"


def test_a_migrating_session_dies_when_it_idles_in_a_transaction(engine: Engine) -> None:
    with engine.connect(Purpose.MIGRATE) as conn:
        assert conn.exec_driver_sql("show idle_in_transaction_session_timeout").scalar_one() == "5min"
        assert conn.exec_driver_sql("show statement_timeout").scalar_one() == "0"


def test_a_second_connection_sends_at_most_one_statement(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    execute: Callable[..., object] = psycopg.Cursor.execute

    def counting(cursor: object, query: object, *args: object, **kwargs: object) -> object:
        sent.append(query)
        return execute(cursor, query, *args, **kwargs)

    with engine.connect(Purpose.READ):
        pass
    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    for purpose, statements in ((Purpose.READ, 0), (Purpose.STATE, 1), (Purpose.MIGRATE, 1)):
        sent.clear()
        with engine.connect(purpose):
            assert len(sent) == statements


def test_opening_is_marked_for_the_fence_and_use_is_not(engine: Engine) -> None:
    with engine.connect(Purpose.READ):
        assert not is_opening()


def test_target_has_the_facts(engine: Engine) -> None:
    with engine.connect(Purpose.READ) as conn:
        target = engine.target(conn)
        oid = conn.exec_driver_sql("select oid from pg_database where datname = current_database()").scalar_one()
        major = conn.exec_driver_sql("select current_setting('server_version_num')::int / 10000").scalar_one()
    assert (target.engine, target.database, target.database_oid) == ("postgresql", engine.url.database, str(oid))
    assert target.server_major == major
    assert target.system_id.isdigit()
    assert not target.standby
    assert not target.read_only


def test_target_does_without_a_system_id_it_may_not_read(engine: Engine) -> None:
    with engine.connect(Purpose.MIGRATE) as conn:
        conn.exec_driver_sql("revoke execute on function pg_control_system() from public")
        conn.exec_driver_sql("create role handrail_without_rights")
        conn.exec_driver_sql("set local role handrail_without_rights")
        assert engine.target(conn).system_id == ""


def test_a_closed_port_is_not_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = _failure(URL.create("postgresql", "me", CANARY, "127.0.0.1", port, "shop"))
    assert isinstance(error, Unreachable)
    assert error.what.startswith("the server of database shop is not reachable")
    assert f"127.0.0.1:{port}" in error.why


def test_without_a_host_the_address_libpq_chose_is_named() -> None:
    error = _failure(make_url("postgresql://me@/shop?port=1"))
    assert "not reachable" in error.what
    assert ".s.PGSQL.1: " in error.why


def test_a_missing_socket_is_not_reachable() -> None:
    error = _failure(make_url("postgresql://me@/shop?host=/nowhere&port=5432"))
    assert "not reachable" in error.what
    assert "/nowhere/.s.PGSQL.5432" in error.why


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize("purpose", Purpose)
def test_a_wrong_password_is_said_and_not_shown(driver: str, purpose: Purpose, guarded: URL) -> None:
    url = guarded.set(drivername=f"postgresql+{driver}", password=CANARY + "x")
    assert _failure(url, purpose).what.startswith("the server does not accept the password of user guest")


def test_the_right_password_with_special_characters_works(guarded: URL) -> None:
    for driver in ("psycopg", "psycopg2"):
        with for_url(guarded.set(drivername=f"postgresql+{driver}")).connect(Purpose.MIGRATE) as conn:
            assert conn.exec_driver_sql("select current_user").scalar_one() == "guest"
            assert CANARY not in for_url(guarded).target(conn).url


def test_a_missing_password_is_asked_for(guarded: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    error = _failure(guarded._replace(password=None))
    assert error.what.startswith("the server wants a password for user guest")


def test_a_missing_database_is_named(guarded: URL) -> None:
    assert _failure(guarded.set(database="nowhere")).what.startswith("there is no database nowhere on the server")


def test_a_missing_right_to_connect_is_named(guarded: URL) -> None:
    error = _failure(guarded.set(database="closed"))
    assert error.what.startswith("user guest has no right to connect to database closed")


def test_too_many_connections_are_counted(guarded: URL) -> None:
    error = _failure(guarded.set(database="narrow"))
    assert error.what.startswith("database narrow has too many connections")


def test_a_driver_that_is_not_installed_is_refused() -> None:
    error = _failure(make_url("postgresql+nosuchdriver://me@127.0.0.1/shop"), Purpose.MIGRATE)
    assert "driver nosuchdriver" in error.what


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    ("sql", "cause"),
    [
        ("create table t (id integer primary key); create table t (id integer)", Cause.EXISTS),
        ("select * from nowhere", Cause.MISSING),
        ("select nothing", Cause.MISSING),
        ("create table t (id integer primary key); insert into t values (1), (1)", Cause.CONSTRAINT),
        ("set local transaction_read_only = on; create table t (id integer)", Cause.READ_ONLY),
        ("set local statement_timeout = 10; select pg_sleep(5)", Cause.CANCELED),
        ("select pg_terminate_backend(pg_backend_pid())", Cause.CONNECTION_LOST),
        ("create role r; set local role r; create schema s", Cause.DENIED),
        ("selec", Cause.OTHER),
    ],
)
def test_errors_are_classified_with_either_driver(driver: str, sql: str, cause: Cause, engine: Engine) -> None:
    project = for_url(engine.url.set(drivername=f"postgresql+{driver}"))
    with project.connect(Purpose.MIGRATE) as conn:
        with pytest.raises(DBAPIError) as caught:
            conn.exec_driver_sql(sql)
        assert project.classify(caught.value) is cause
        assert caught.value.orig is not None
        assert project.classify(caught.value.orig) is cause


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_connection_closed_from_outside_is_lost(driver: str, engine: Engine) -> None:
    project = for_url(engine.url.set(drivername=f"postgresql+{driver}"))
    with project.connect(Purpose.MIGRATE) as conn, engine.connect(Purpose.STATE) as other:
        pid = conn.exec_driver_sql("select pg_backend_pid()").scalar_one()
        other.exec_driver_sql(f"select pg_terminate_backend({pid})")
        with pytest.raises(DBAPIError) as caught:
            conn.exec_driver_sql("select pg_sleep(5)")
        assert project.classify(caught.value) is Cause.CONNECTION_LOST


def test_state_connections_may_begin_at_once(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn, conn.begin():
        assert conn.exec_driver_sql("select 1").scalar_one() == 1


def test_what_no_driver_raised_is_other(engine: Engine) -> None:
    assert engine.classify(ValueError("55P03")) is Cause.OTHER
