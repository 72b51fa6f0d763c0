"""The database that an archive is restored into: made where there is none, refused where it holds something.

While it is filled, its comment says so. Of a restore that was killed the comment stays, and the next one can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.servers import likeness
from handrail.engines.postgresql.session import Sessions, for_libpq
from handrail.engines.postgresql.sql.syntax import quote
from handrail.errors import TargetRefused, Unreachable
from handrail.host.secrets import mask
from handrail.model.needs import Needs
from handrail.model.target import Target

_MARK = "handrail: not whole yet, "

# No lock; one row.
_EXISTS = "select from pg_catalog.pg_database where datname = %s"
# No lock; stops at the first thing that is somebody's: a schema, or what an extension or initdb has not put there.
_NOT_EMPTY = text("""
select exists (
  select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  union all
  select from pg_catalog.pg_namespace n
  where n.nspname not in ('pg_catalog', 'information_schema', 'public') and n.nspname !~ '^pg_(toast|temp)'
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
  union all
  select from (select oid, 'pg_catalog.pg_proc'::regclass as class from pg_catalog.pg_proc
               union all select oid, 'pg_catalog.pg_type'::regclass from pg_catalog.pg_type
               where typtype in ('d', 'e', 'r')) o
  where o.oid >= 16384 and not exists (select from pg_catalog.pg_depend d
                                       where d.classid = o.class and d.objid = o.oid and d.deptype = 'e')
  union all
  select from pg_catalog.pg_largeobject_metadata)
""")
# No lock; one row: the comment, whether a restore of ours or pg_restore itself is at work there, and whether new
# databases are made of it.
_STANDING = text("""
select coalesce(shobj_description(d.oid, 'pg_database'), ''),
       exists (select from pg_catalog.pg_stat_activity a where a.datid = d.oid and a.pid <> pg_backend_pid()
               and (a.application_name = 'pg_restore' or a.application_name like 'handrail%')),
       d.datistemplate
from pg_catalog.pg_database d where d.datname = current_database()
""")
_COMMENT = SQL("COMMENT ON DATABASE {database} IS {comment}")


def create(into: Engine, like: Needs, source: Target) -> None:
    """Make the database where there is none. Raises TargetRefused, Unreachable.

    `source` is what the archive was made of: as it was then, for its server may be no more.
    """
    if not _exists(into.url, source):
        _create(into.url, like)
        return
    with into.connect(Purpose.READ) as conn:
        there = into.target(conn)
        not_empty = conn.execute(_NOT_EMPTY).scalar_one()
        comment, at_work, is_template = conn.execute(_STANDING).one()
    _refuse_older(there.server_major, source, into.url)
    name = there.database
    # A server has many names; its own id is not for everybody to read.
    told = (source.system_id, there.system_id) if source.system_id and there.system_id else (source.host, there.host)
    if source.database_oid == there.database_oid and told[0] == told[1]:
        raise TargetRefused(
            what=f"a backup is never restored over the database it was made of; {name} was not touched",
            why=f"{name} is the database of which it was made",
            fix="name a new database: --into NAME",
        )
    if is_template:
        raise TargetRefused(
            what=f"the database {name} is a template; nothing was touched",
            why="the server makes every new database of it, which would hold the rows of this backup",
            fix="name a new database: --into NAME",
        )
    if not_empty and comment.startswith(_MARK):
        raise _half_filled(into.url, comment.removeprefix(_MARK), at_work=at_work)
    if not_empty:
        raise TargetRefused(
            what=f"the database {name} is not empty; nothing was touched",
            why="a backup is restored into a new or empty database only",
            fix="name one that does not exist yet: --into NAME",
        )


def way_back(url: URL) -> str:
    """Return the statement that drops the database of that URL."""
    return f"DROP DATABASE {quote(url.database or '')}"


@contextmanager
def filling(into: Engine, what: str) -> Iterator[None]:
    """Say on the database that it is not whole, and with what it is filled, until the block has ended without an error.

    A comment that somebody has written is left alone, and a database that somebody else owns gets none.
    """
    with into.connect(Purpose.STATE) as conn:
        comment, *_ = conn.execute(_STANDING).one()
        somebodys = comment and not comment.startswith(_MARK)
        marked = not somebodys and _comment(conn, into.url, f"{_MARK}{what}")
    yield
    if marked:
        with into.connect(Purpose.STATE) as conn:
            _comment(conn, into.url, None)


def _comment(conn: Connection, url: URL, comment: str | None) -> bool:
    """Return whether it was taken: only an owner's is."""
    statement = _COMMENT.format(database=Identifier(url.database or ""), comment=Literal(comment))
    try:
        conn.exec_driver_sql(statement.as_string().replace("%", "%%"))
    except DBAPIError as exc:
        if classify(exc) is not Cause.DENIED:
            raise
        return False
    return True


def _half_filled(url: URL, of: str, *, at_work: bool) -> TargetRefused:
    if at_work:
        return TargetRefused(
            what=f"another restore is filling the database {url.database}; nothing was touched",
            why=f"it holds a part of {of}, and the sessions of that restore are there",
            fix="wait for it, or name another database: --into NAME",
        )
    return TargetRefused(
        what=f"the database {url.database} is not whole, and not to be used; nothing was touched",
        why=f"it holds a part of {of}: that restore did not come to a good end",
        fix=f"{way_back(url)}, then give the command again; or name another database: --into NAME",
    )


def _refuse_older(server_major: int, source: Target, url: URL) -> None:
    if server_major < source.server_major:
        raise TargetRefused(
            what=f"the server of {url.database} cannot hold this backup; nothing was touched",
            why=f"it is PostgreSQL {server_major}, the backup is of {source.server_major}, and archives go to the same "
            "major version or a newer one",
            fix=f"name a database on a server of PostgreSQL {source.server_major}",
        )


def _exists(url: URL, source: Target) -> bool:
    try:
        with _maintenance(url) as conn:
            version = conn.dialect.server_version_info
            _refuse_older(int(version[0]) if version else source.server_major, source, url)
            return conn.exec_driver_sql(_EXISTS, (url.database,)).first() is not None
    except Unreachable:  # no other database of the server lets us in: then only this one can tell
        return True


def _create(url: URL, like: Needs) -> None:
    statement = likeness.creation(url.database or "", like.locale, like.server_major)
    with _maintenance(url) as conn:
        try:
            conn.exec_driver_sql(statement.as_string().replace("%", "%%"))
        except DBAPIError as exc:
            denied = classify(exc) is Cause.DENIED
            grant = f", or: ALTER ROLE {quote(for_libpq(url).username or 'the user')} CREATEDB" if denied else ""
            raise TargetRefused(
                what=f"the database {url.database} cannot be created; nothing was touched",
                why=mask(" ".join(str(exc.orig).split())),
                fix=f"create it empty yourself{grant}",
            ) from exc


@contextmanager
def _maintenance(url: URL) -> Iterator[Connection]:
    """Open another database of the same server. Raises Unreachable where none lets us in."""
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(Sessions(url.set(database="postgres")).open(Purpose.STATE, ""))
        except Unreachable:
            conn = stack.enter_context(Sessions(url.set(database="template1")).open(Purpose.STATE, ""))
        yield conn
