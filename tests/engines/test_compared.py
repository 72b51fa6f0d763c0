"""What an archive keeps and no row shows: a copy that lost any of it is not taken for the original."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from every_kind import EVERY_KIND
from sqlalchemy import Connection

from handrail.engines.base import Purpose, for_url

CHANGES = (
    "comment on schema public is 'ours'",
    "comment on trigger tr on t is 'why'",
    "comment on extension citext is 'ours'",
    "comment on statistics st is 'why'",
    "alter view v alter a set default 5",
    "alter index i alter column 1 set statistics 7",
    "alter statistics st set statistics 7",
    "alter table t set (toast.autovacuum_enabled = off)",
    "alter operator ===(int, int) owner to {role}",
    "alter operator class oc using btree owner to {role}",
    "alter operator family oc using btree owner to {role}",
    "alter collation c owner to {role}",
    "alter conversion cv owner to {role}",
    "alter statistics st owner to {role}",
    "alter text search dictionary td owner to {role}",
    "alter text search configuration tc owner to {role}",
    "alter large object 4711 owner to {role}",
    "alter server s owner to {role}",
    "grant usage on foreign server s to {role}",
    "grant usage on foreign data wrapper w to {role}",
    "grant usage on language plpgsql to {role}",
    "revoke usage on language plpgsql from public",
    "grant execute on function citext_eq(citext, citext) to {role}",
)


@pytest.fixture
def admin(postgresql_url: str) -> Iterator[Connection]:
    with for_url(postgresql_url).connect(Purpose.STATE) as conn:
        for statement in EVERY_KIND:
            conn.exec_driver_sql(statement)
        yield conn


@pytest.fixture
def role(admin: Connection) -> Iterator[str]:
    name = f"compared_{secrets.token_hex(4)}"
    admin.exec_driver_sql(f"create role {name}")
    admin.exec_driver_sql(f"grant create on schema public to {name}")
    yield name
    admin.exec_driver_sql("rollback")
    admin.exec_driver_sql(f"drop owned by {name}")
    admin.exec_driver_sql(f"drop role {name}")


def compared(conn: Connection) -> tuple[object, ...]:
    engine = for_url(conn.engine.url.render_as_string(hide_password=False))
    return (
        engine.catalog.fingerprint(conn, version_table="alembic_version"),
        engine.rights.granted(conn, version_table="alembic_version"),
        engine.backups.owners(conn),
        engine.backups.particulars(conn),
    )


def test_every_change_of_what_an_archive_keeps_is_seen(admin: Connection, role: str) -> None:
    before = compared(admin)
    overlooked = []
    for change in CHANGES:
        admin.exec_driver_sql("begin")
        admin.exec_driver_sql(change.format(role=role))
        if compared(admin) == before:
            overlooked.append(change)
        admin.exec_driver_sql("rollback")
    assert not overlooked
