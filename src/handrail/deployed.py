"""For applications: lets every connection say which version of the application it is of.

    from handrail.deployed import name_connections

    engine = create_engine(url)
    name_connections(engine, "htstatus", "v1.4")

`handrail versions observed` reads it from the server. This module imports SQLAlchemy and nothing else of Handrail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

#: PostgreSQL cuts application_name there: https://www.postgresql.org/docs/current/runtime-config-logging.html
_LONGEST_BYTES = 63


def name_connections(engine: Engine | AsyncEngine, application: str, version: str) -> None:
    """Make every connection that the engine opens from now on call itself `application@version`.

    On PostgreSQL it is the session's `application_name`, whatever the URL says, with psycopg, psycopg2, asyncpg and
    pg8000; on MySQL and MariaDB the connection attribute `program_name`, with PyMySQL, aiomysql, asyncmy and
    mysqlconnector. Elsewhere, and where the engine has a `creator` of its own, nothing happens. Call it once, right
    after create_engine(). Raises ValueError for a name that the server would change.
    """
    name = f"{application}@{version}"
    plain = name.isascii() and name.isprintable() and len(name) <= _LONGEST_BYTES
    if not application or not version or "@" in application + version or not plain:
        raise ValueError(f"{name!r} is not application@version in at most {_LONGEST_BYTES} printable ASCII characters")
    sync = getattr(engine, "sync_engine", engine)
    say = _SAY.get(sync.dialect.driver)
    if say is None:
        return

    @event.listens_for(sync, "do_connect")
    def add(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        say(parameters, name)


def _application_name(parameters: dict[str, Any], name: str) -> None:
    parameters["application_name"] = name


def _server_settings(parameters: dict[str, Any], name: str) -> None:
    parameters["server_settings"] = {**(parameters.get("server_settings") or {}), "application_name": name}


def _program_name(parameters: dict[str, Any], name: str) -> None:
    parameters["program_name"] = name


def _attributes(parameters: dict[str, Any], name: str) -> None:
    parameters["conn_attrs"] = {**(parameters.get("conn_attrs") or {}), "program_name": name}


_SAY: dict[str, Callable[[dict[str, Any], str], None]] = {
    "psycopg": _application_name,
    "psycopg_async": _application_name,
    "psycopg2": _application_name,
    "pg8000": _application_name,
    "asyncpg": _server_settings,
    "pymysql": _program_name,
    "aiomysql": _program_name,
    "asyncmy": _program_name,
    "mysqlconnector": _attributes,
}
