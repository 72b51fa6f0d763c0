from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.deployed import name_connections

_ASK = sa.text("select current_setting('application_name')")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_connection_says_its_version_whatever_its_url_says(postgresql_url: str, driver: str) -> None:
    url = sa.make_url(postgresql_url).set(drivername=f"postgresql+{driver}")
    engine = sa.create_engine(url.update_query_dict({"application_name": "other"}))
    name_connections(engine, "htstatus", "v1.4")
    with engine.connect() as conn:
        assert conn.execute(_ASK).scalar_one() == "htstatus@v1.4"
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_asynchronous_connection_says_it_too(postgresql_url: str, driver: str) -> None:
    url = sa.make_url(postgresql_url).set(drivername=f"postgresql+{driver}")
    settings = {"server_settings": {"statement_timeout": "1min"}} if driver == "asyncpg" else {}

    async def ask() -> tuple[str, str]:
        engine = create_async_engine(url, connect_args=settings)
        name_connections(engine, "htstatus", "v1.4")
        async with engine.connect() as conn:
            timeout = (await conn.exec_driver_sql("show statement_timeout")).scalar_one()
            name = (await conn.execute(_ASK)).scalar_one()
        await engine.dispose()
        return name, timeout

    name, timeout = asyncio.run(ask())
    assert name == "htstatus@v1.4"
    assert timeout == ("1min" if driver == "asyncpg" else "0")


def test_a_database_without_sessions_is_left_alone(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url)
    name_connections(engine, "htstatus", "v1.4")
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select 1").scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("application", "version"),
    [("", "v1"), ("app", ""), ("a@b", "v1"), ("app", "v@1"), ("app", "v1" * 40), ("äpp", "v1"), ("app", "v\n1")],
)
def test_a_name_that_the_server_would_change_is_refused(sqlite_url: str, application: str, version: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        name_connections(sa.create_engine(sqlite_url), application, version)


def test_an_application_loads_nothing_else_of_handrail() -> None:
    code = "import sys, handrail.deployed; print(*sorted(m for m in sys.modules if m.startswith('handrail')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["handrail", "handrail.deployed"]
