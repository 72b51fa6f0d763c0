"""A transaction to try things in: every constraint speaks at once, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

# No lock. A deferred constraint would speak at COMMIT, which never comes.
_AT_ONCE = "SET CONSTRAINTS ALL IMMEDIATE"
# No lock; one row.
_ORDINARY = text("select exists (select from pg_catalog.pg_roles where rolname = :role and not rolsuper)")
# No lock; one row for each relation of users. What roles are members of is the same for all of them.
_RIGHTS = text("""
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname,
       concat_ws(' ', c.relowner::regrole::text, c.relacl::text, n.nspacl::text,
                 (select string_agg(a.attname || a.attacl::text, ' ' order by a.attnum)
                  from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null),
                 (select string_agg(m.roleid::regrole || '<' || m.member::regrole, ' ' order by m.roleid, m.member)
                  from pg_catalog.pg_auth_members m),
                 (select string_agg(p.polname || p.polroles::regrole[]::text, ' ' order by p.polname)
                  from pg_catalog.pg_policy p where p.polrelid = c.oid))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
""")


@contextmanager
def trying(conn: Connection) -> Iterator[None]:
    """Begin a transaction for what is inside, and roll it back at the end."""
    conn.rollback()
    with conn.begin() as transaction:
        conn.exec_driver_sql(_AT_ONCE)
        yield
        transaction.rollback()


@contextmanager
def within(conn: Connection) -> Iterator[bool]:
    """Do the same in a savepoint; False in autocommit, or while the transaction owes a deferred constraint."""
    if conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        yield False
        return
    scope = conn.begin_nested()
    try:
        conn.exec_driver_sql(_AT_ONCE)
    except DBAPIError:
        scope.rollback()
        yield False
        return
    try:
        yield True
    finally:
        scope.rollback()


def ordinary(conn: Connection, role: str) -> bool:
    """Return whether there is such a role, and it is no superuser."""
    found: bool = conn.execute(_ORDINARY, {"role": role}).scalar_one()
    return found


def rights(conn: Connection, role: str) -> Mapping[str, str]:
    """Return owner, privileges and policies' roles of each relation. Leaves no transaction open that it began."""
    return dict(conn.execute(_RIGHTS).tuples().all()) if role else {}


@contextmanager
def acting(conn: Connection, role: str) -> Iterator[None]:
    """Take on the role until the end; where something fails, until the savepoint around it is rolled back."""
    if not role:
        yield
        return
    conn.exec_driver_sql(f"SET LOCAL ROLE {conn.dialect.identifier_preparer.quote(role)}")
    yield
    conn.exec_driver_sql("SET LOCAL ROLE NONE")
