"""What a database needs and the sandbox's server does not have, each with the ways out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from handrail.engines.base import Refusal
from handrail.engines.postgresql.servers.binaries import wheel_with_openssl
from handrail.engines.postgresql.servers.likeness import creation, drop_database, is_superuser, marked_roles, probe_name
from handrail.engines.postgresql.servers.server import Server
from handrail.model.needs import Collation, Extension, Locale, Needs, Role

Session = psycopg.Connection[tuple[Any, ...]]

# No lock. What CREATE EXTENSION would make here without being told a version, and what it could.
_EXTENSIONS: LiteralString = """
select a.name, a.default_version, array(select v.version from pg_catalog.pg_available_extension_versions v
                                        where v.name = a.name order by 1)
from pg_catalog.pg_available_extensions a where a.name = any (%s)
"""
# No lock. Collations that came with the server, under the providers' one-letter codes.
_COLLATIONS: LiteralString = """
select c.collname from pg_catalog.pg_collation c where c.collnamespace = 'pg_catalog'::regnamespace
"""
_TABLESPACES: LiteralString = "select spcname from pg_catalog.pg_tablespace"
_ROLES: LiteralString = """
select rolname, array_remove(array[case when rolsuper then 'SUPERUSER' end, case when rolbypassrls then 'BYPASSRLS' end,
                                   case when rolcreaterole then 'CREATEROLE' end,
                                   case when rolcreatedb then 'CREATEDB' end], null)
       || array(select 'member of ' || pg_get_userbyid(m.roleid) from pg_catalog.pg_auth_members m
                where m.member = r.oid)
from pg_catalog.pg_roles r
"""
_SET: LiteralString = "select set_config(%s, %s, true)"
#: Locks nothing that others see, and is rolled back: the server itself says whether it has that locale.
_TRY_COLLATION = {
    "libc": sql.SQL("CREATE COLLATION pg_temp.probe (PROVIDER = libc, LOCALE = {locale}, DETERMINISTIC = {exact})"),
    "icu": sql.SQL("CREATE COLLATION pg_temp.probe (PROVIDER = icu, LOCALE = {locale}, DETERMINISTIC = {exact})"),
    "builtin": sql.SQL("CREATE COLLATION pg_temp.probe (PROVIDER = builtin, LOCALE = {locale})"),
}
_SAME_LOCALE: LiteralString = """
select exists (select from pg_catalog.pg_database d
               where d.datname = 'template0' and d.datcollate = %s and d.datctype = %s
                 and pg_encoding_to_char(d.encoding) = %s and coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = %s
                 and coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') = %s)
"""
#: As pg_database.datlocprovider writes them.
_CODES = {"libc": "c", "icu": "i", "builtin": "b"}
#: The rights that make a statement see or do more: with other ones a run here proves nothing about the target.
_POWERS = frozenset({"SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB"})


def lacks(server: Server, needs: Needs) -> tuple[Refusal, ...]:
    """Return what a database with those needs would miss on that server; () where nothing.

    Looks at the catalogues, and asks the server itself what it only knows when asked (locales, values of settings), in
    transactions that are rolled back. Nothing is left behind.
    """
    if server.major != needs.server_major:
        return (_major(server, needs),)
    with server.session() as conn:
        if not is_superuser(conn):
            return (_ordinary_user(needs),)
        return (
            *_extensions(conn, needs),
            *_locale(conn, server, needs),
            *_collations(conn, needs),
            *_tablespaces(conn, needs),
            *_roles(conn, needs),
            *_settings(conn, needs),
        )


def _way_out(major: int, what: str) -> str:
    return f"set HANDRAIL_SANDBOX_URL to a PostgreSQL {major} server nobody else uses that {what}"


def _major(server: Server, needs: Needs) -> Refusal:
    return Refusal(
        what=f"the sandbox is PostgreSQL {server.major}, the database is on {needs.server_major}",
        why="catalogues, archives and what statements do are not the same across major versions",
        fix=f"install PostgreSQL {needs.server_major} (Debian: apt install postgresql-{needs.server_major}), or "
        + _way_out(needs.server_major, "Handrail may create databases on"),
    )


def _ordinary_user(needs: Needs) -> Refusal:
    return Refusal(
        what="the user of the sandbox's server is not a superuser",
        why="it cannot make roles, and so cannot let revisions run with the rights they have in the database",
        fix=_way_out(needs.server_major, "its url's user is a superuser of"),
    )


def _extensions(conn: Session, needs: Needs) -> Iterator[Refusal]:
    rows = conn.execute(_EXTENSIONS, ([extension.name for extension in needs.extensions],)).fetchall()
    here = {name: (default, versions) for name, default, versions in rows}
    for wanted in needs.extensions:
        if wanted.name not in here:
            yield Refusal(
                what=f"the sandbox has no extension {wanted.name}",
                why=f"the database has {wanted.name} {wanted.version}, and the sandbox's server was built without it",
                fix=_install(wanted.name, needs.server_major),
            )
        elif here[wanted.name][0] != wanted.version:
            yield _other_version(wanted, *here[wanted.name], needs.server_major)


def _install(name: str, major: int) -> str:
    wheel = wheel_with_openssl(major) if name == "pgcrypto" else ""
    return (
        f"install PostgreSQL {major} with it (Debian: apt install postgresql-{major} brings pgcrypto and the others of "
        f"contrib, most others are packages named postgresql-{major}-NAME){wheel}, or " + _way_out(major, f"has {name}")
    )


def _other_version(wanted: Extension, default: str, versions: list[str], major: int) -> Refusal:
    return Refusal(
        what=f"the sandbox makes the extension {wanted.name} in version {default}, not {wanted.version}",
        why=f"CREATE EXTENSION takes the default version of its server's packages; there are {', '.join(versions)}",
        fix=f"ALTER EXTENSION {wanted.name} UPDATE in the database where its server has {default} too, or "
        + _way_out(major, f"makes {wanted.name} {wanted.version}"),
    )


def _locale(conn: Session, server: Server, needs: Needs) -> Iterator[Refusal]:
    wanted = needs.locale
    if wanted is None or _same_locale(conn, wanted):
        return
    name = probe_name()
    try:
        conn.execute(creation(name, wanted, server.major))
    except psycopg.Error as exc:
        yield Refusal(
            what=f"the sandbox cannot sort and classify text as the database does ({_described(wanted)})",
            why=_said(exc),
            fix=_other_locale(wanted.provider, wanted.collate, server.major),
        )
    finally:
        drop_database(conn, name)


def _same_locale(conn: Session, wanted: Locale) -> bool:
    values = (wanted.collate, wanted.ctype, wanted.encoding, _CODES[wanted.provider], wanted.name)
    row = conn.execute(_SAME_LOCALE, values).fetchone()
    return row == (True,) and not wanted.rules


def _described(locale: Locale) -> str:
    own = f"{locale.provider} {locale.name}, " if locale.name else ""
    return f"{own}collate {locale.collate}, ctype {locale.ctype}, {locale.encoding}"


def _other_locale(provider: str, name: str, major: int) -> str:
    match provider:
        case "icu":
            here = f"install PostgreSQL {major} with ICU (Debian: apt install postgresql-{major}; the wheel has none)"
            return f"{here}, or " + _way_out(major, "was built with ICU")
        case "libc":
            here = f"install the operating system's locale {name} (Debian: /etc/locale.gen and locale-gen), or "
            return here + _way_out(major, "has it")
        case _:
            return _way_out(major, "has it")


def _collations(conn: Session, needs: Needs) -> Iterator[Refusal]:
    here = {name for (name,) in conn.execute(_COLLATIONS)}
    for wanted in needs.collations:
        said = None
        if not wanted.schema and wanted.name not in here:
            said = f"the database uses it, and the sandbox's server was made without it ({wanted.provider})"
        elif wanted.provider in _TRY_COLLATION:
            said = _refused_collation(conn, wanted)
        if said:
            yield Refusal(
                what=f"the sandbox has no collation {wanted.name}",
                why=said,
                fix=_other_locale(wanted.provider, wanted.locale, needs.server_major),
            )


def _refused_collation(conn: Session, wanted: Collation) -> str | None:
    if wanted.locale in {"C", "POSIX"}:
        return None
    statement = _TRY_COLLATION[wanted.provider].format(
        locale=sql.Literal(wanted.locale), exact=sql.Literal(wanted.deterministic)
    )
    with _rolled_back(conn):
        try:
            conn.execute(statement)
        except psycopg.Error as exc:
            return _said(exc)
    return None


def _tablespaces(conn: Session, needs: Needs) -> Iterator[Refusal]:
    here = {name for (name,) in conn.execute(_TABLESPACES)}
    for name in needs.tablespaces:
        if name not in here:
            yield Refusal(
                what=f"the sandbox has no tablespace {name}",
                why="the database keeps tables or indexes there",
                fix=_way_out(
                    needs.server_major, f"has one of that name (CREATE TABLESPACE {name} LOCATION '/a/folder')"
                ),
            )


def _roles(conn: Session, needs: Needs) -> Iterator[Refusal]:
    """Find roles that are here already, not made by us, and may do other things than those of the database."""
    here: dict[str, list[str]] = dict(conn.execute(_ROLES).fetchall())
    ours = marked_roles(conn)
    for wanted in needs.roles:
        if wanted.name in here and wanted.name not in ours and wanted.name not in needs.self_made:
            yield from _other_powers(wanted, here[wanted.name], needs)
    for group in sorted({membership.role for role in needs.roles for membership in role.member_of}):
        if group not in here and needs.role(group) is None:
            yield Refusal(
                what=f"the sandbox has no role {group}",
                why="roles of the database are members of it, and it is one of those that come with a server",
                fix=_way_out(needs.server_major, "has it"),
            )


def _other_powers(wanted: Role, here: list[str], needs: Needs) -> Iterator[Refusal]:
    may = {*_POWERS.intersection(wanted.options), *(f"member of {group.role}" for group in wanted.member_of)}
    more = sorted(may.symmetric_difference(here))
    if "SUPERUSER" in wanted.options:
        more = []  # a superuser's other options mean nothing, and any superuser stands in for another
    if more:
        yield Refusal(
            what=f"the role {wanted.name} exists in the sandbox with other rights",
            why=f"they differ in {', '.join(more)}, and Handrail does not change roles that it has not made",
            fix=_way_out(needs.server_major, f"has no role {wanted.name}, or the same"),
        )


def _settings(conn: Session, needs: Needs) -> Iterator[Refusal]:
    for role, name, value in needs.settings:
        if name == "role":
            continue
        with _rolled_back(conn):
            try:
                conn.execute(_SET, (name, value))
            except psycopg.Error as exc:
                yield Refusal(
                    what=f"the sandbox cannot be set to the database's {name}{f' of role {role}' if role else ''}",
                    why=_said(exc),
                    fix=_way_out(needs.server_major, "accepts that setting"),
                )


@contextmanager
def _rolled_back(conn: Session) -> Iterator[None]:
    with conn.transaction(force_rollback=True):
        yield


def _said(exc: psycopg.Error) -> str:
    return exc.diag.message_primary or str(exc)
