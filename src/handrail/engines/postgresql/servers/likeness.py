"""A database in the sandbox that is like another: locale, owner, roles, rights and settings are made anew.

Passwords are never copied, and no role is made a superuser: where the original is one, the server's own superuser
stands in for it. Roles that exist already are left as they are. The ones we make carry a comment, so that every process
knows them for ours; they are dropped when no database is left that was made like another. Who works on such a database
holds a shared advisory lock, and who gets it alone is the last.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL

from handrail.engines.postgresql.servers.server import Server
from handrail.errors import SandboxUnavailable
from handrail.host.secrets import mask
from handrail.model.needs import Locale, Membership, Needs, Privilege, Role

Session = psycopg.Connection[tuple[Any, ...]]

_MARK = "made by Handrail for its sandbox"
#: Two advisory locks in the maintenance database: shared while a database stands, alone while roles are made.
_STANDING, _MAKING = 0x48520001, 0x48520002

# Locks that only Handrail's own sessions take.
_JOIN: LiteralString = "select pg_advisory_lock_shared(%s)"
_LEAVE: LiteralString = "select pg_advisory_unlock_shared(%s)"
_ALONE: LiteralString = "select pg_try_advisory_lock(%s)"
_END_ALONE: LiteralString = "select pg_advisory_unlock(%s)"
# The session that holds them waits as long as the database stands.
_STAY: LiteralString = "set idle_session_timeout = 0"
_MAKE: LiteralString = "select pg_advisory_xact_lock(%s)"
# No lock on anybody; shared catalogues of a few rows.
_MARKED: LiteralString = """
select r.rolname, shobj_description(r.oid, 'pg_authid') from pg_catalog.pg_roles r
where starts_with(shobj_description(r.oid, 'pg_authid'), %s) order by 1
"""
_ROLES: LiteralString = "select rolname from pg_catalog.pg_roles"
_SUPERUSER: LiteralString = "select rolsuper from pg_catalog.pg_roles where rolname = session_user"
_SETTING: LiteralString = "select current_setting(%s, true)"
_SET: LiteralString = "select set_config(%s, %s, false)"
# Extensions that only a superuser may create: a role that is none finds them made, as it does in the original.
_UNTRUSTED: LiteralString = """
select distinct v.name from pg_catalog.pg_available_extension_versions v
where v.name = any (%s) and v.superuser and not v.trusted
"""
_SCHEMAS: LiteralString = "select nspname from pg_catalog.pg_namespace"

_CREATE = sql.SQL("CREATE DATABASE {name} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype}")
_PROVIDER = {
    "libc": sql.SQL(" LOCALE_PROVIDER libc"),
    "icu": sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {locale}"),
    "builtin": sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale}"),
}
_ICU_RULES = sql.SQL(" ICU_RULES {rules}")
_DROP = sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
#: Before this major there is only libc, and the words for the others are not known.
_PROVIDERS_SINCE = 15
#: Since this major a membership says itself whether it is inherited and may be SET.
_MEMBERSHIP_OPTIONS_SINCE = 16
_OPTIONS = {
    word: sql.SQL(word) for word in ("NOINHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS")
}
_PRIVILEGES = {word: sql.SQL(word) for word in ("CREATE", "CONNECT", "TEMPORARY", "USAGE")}


def marked_roles(conn: Session) -> dict[str, str]:
    """Return the roles that we made on this server, each with its mark."""
    return dict(conn.execute(_MARKED, (_MARK,)).fetchall())


def is_superuser(conn: Session) -> bool:
    """Return whether the sandbox's user may make what a database needs."""
    return conn.execute(_SUPERUSER).fetchone() == (True,)


def probe_name() -> str:
    """Return a name that no database has."""
    return f"handrail_{secrets.token_hex(6)}"


def creation(name: str, locale: Locale | None, major: int) -> sql.Composed:
    """Return the statement that creates an empty database with that locale on a server of that major."""
    if locale is None:
        return sql.SQL("CREATE DATABASE {name} TEMPLATE template0").format(name=sql.Identifier(name))
    statement = _CREATE.format(
        name=sql.Identifier(name),
        encoding=sql.Literal(locale.encoding),
        collate=sql.Literal(locale.collate),
        ctype=sql.Literal(locale.ctype),
    )
    if major >= _PROVIDERS_SINCE:
        statement += _PROVIDER[locale.provider].format(locale=sql.Literal(locale.name))
    if locale.rules:
        statement += _ICU_RULES.format(rules=sql.Literal(locale.rules))
    return statement


def drop_database(conn: Session, name: str) -> None:
    """Drop a database and end its sessions; none of that name is fine."""
    conn.execute(_DROP.format(name=sql.Identifier(name)))


@contextmanager
def database_like(server: Server, needs: Needs, role: str | None) -> Iterator[URL]:
    """Make an empty database with those needs and give the URL that logs in as that role; gone at the end.

    None, or a role that is a superuser in the original, is the server's own user. Raises SandboxUnavailable where the
    server refuses something, which `shortfall.lacks` tells beforehand.
    """
    name = probe_name()
    with server.session() as conn:
        conn.execute(_STAY)
        _drop_unneeded_roles(conn)  # of a process that was killed
        conn.execute(_JOIN, (_STANDING,))
        try:
            yield _made(server, conn, name, needs, role)
        finally:
            drop_database(conn, name)
            conn.execute(_LEAVE, (_STANDING,))
            _drop_unneeded_roles(conn)


def drop_roles(server: Server, names: Collection[str]) -> None:
    """Drop roles that revisions made in databases of ours, when no such database stands; else whoever leaves last."""
    with server.session() as conn:
        for name in _roles_here(conn).intersection(names):
            _mark(conn, name, _MARK)
        _drop_unneeded_roles(conn)


def _made(server: Server, conn: Session, name: str, needs: Needs, role: str | None) -> URL:
    try:
        _make(server, conn, name, needs, role)
        return _login(server, conn, name, needs, role)
    except psycopg.Error as exc:
        raise SandboxUnavailable(
            what="no database like the target can be made in the sandbox; nothing was touched",
            why=exc.diag.message_primary or str(exc),
            fix="set HANDRAIL_SANDBOX_URL to a server of the same major and make that nobody else uses",
        ) from exc


def _make(server: Server, conn: Session, name: str, needs: Needs, role: str | None) -> None:
    with conn.transaction():
        conn.execute(_MAKE, (_MAKING,))
        _make_roles(server, conn, needs)
    conn.execute(creation(name, needs.locale, server.major))
    here = _roles_here(conn)
    if needs.owner in here:
        conn.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(needs.owner)))
    _set(conn, name, needs, here)
    with server.session(name) as inside:
        _grant(inside, sql.SQL("DATABASE {}").format(sql.Identifier(name)), needs.privileges, here)
        if needs.public_owner in here:
            inside.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(needs.public_owner)))
        _grant(inside, sql.SQL("SCHEMA public"), needs.public_privileges, here)
        _make_schemas(inside, needs, here)
        if role and not _stood_in_for(needs, role):
            _make_extensions(inside, needs)


def _make_roles(server: Server, conn: Session, needs: Needs) -> None:
    before = _roles_here(conn)
    _refuse_other_kinds(conn, needs)
    new = [role for role in needs.roles if role.name not in before | needs.self_made]
    for role in new:
        words = [_OPTIONS[word] for word in role.options if word in _OPTIONS]
        conn.execute(sql.SQL(" ").join((sql.SQL("CREATE ROLE {}").format(sql.Identifier(role.name)), *words)))
        _mark(conn, role.name, _kind(role))
        password = _password(server, role.name)
        if password:  # sent as its hash, so that no log of the server shows it
            hashed = conn.pgconn.encrypt_password(password.encode(), role.name.encode()).decode()
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            conn.execute(statement.format(sql.Identifier(role.name), sql.Literal(hashed)))
    for role in new:
        for membership in role.member_of:
            if membership.role not in needs.self_made:
                _join(conn, role, membership, server.major)


def _kind(role: Role) -> str:
    """Return the mark of a role of ours: equal marks, equal roles."""
    return f"{_MARK}, {hashlib.sha256(repr(role).encode()).hexdigest()[:16]}"


def _refuse_other_kinds(conn: Session, needs: Needs) -> None:
    """Refuse a role that another database of ours has made, and has made otherwise."""
    there = marked_roles(conn)
    for role in needs.roles:
        if role.name not in needs.self_made and there.get(role.name, _kind(role)) != _kind(role):
            raise SandboxUnavailable(
                what="no database like the target can be made in the sandbox now; nothing was touched",
                why=f"another one that needs a role {role.name} with other rights stands on the same server",
                fix="run it again when that is done, or give each a server of its own in HANDRAIL_SANDBOX_URL",
            )


def _join(conn: Session, role: Role, membership: Membership, major: int) -> None:
    statement = sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership.role), sql.Identifier(role.name))
    wanted: dict[LiteralString, bool | None] = {"ADMIN": membership.admin}
    if major >= _MEMBERSHIP_OPTIONS_SINCE:
        wanted |= {"INHERIT": membership.inherits, "SET": membership.sets}
        words = [sql.SQL(f"{word} {'TRUE' if on else 'FALSE'}") for word, on in wanted.items() if on is not None]
        statement += sql.SQL(" WITH ") + sql.SQL(", ").join(words)
    elif membership.admin:
        statement += sql.SQL(" WITH ADMIN OPTION")
    conn.execute(statement)


def _password(server: Server, role: str) -> str | None:
    """Return a password of ours where the server wants one: the same in each process that knows the server's own."""
    own = server.address.password
    return hmac.new(own.encode(), role.encode(), hashlib.sha256).hexdigest() if own else None


def _roles_here(conn: Session) -> frozenset[str]:
    return frozenset(name for (name,) in conn.execute(_ROLES))


def _mark(conn: Session, role: str, mark: str) -> None:
    conn.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(mark)))


def _set(conn: Session, database: str, needs: Needs, here: frozenset[str]) -> None:
    """Give database and roles their settings. The value takes the way over the session: lists keep their form so."""
    for role, name, value in needs.settings:
        if role and (role not in here or role in needs.self_made):
            continue
        if not role and conn.execute(_SETTING, (name,)).fetchone() == (value,):
            continue
        whom = sql.SQL("ALTER DATABASE {}").format(sql.Identifier(database))
        if role:
            whom = sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), sql.Identifier(database))
        if name == "role":
            conn.execute(whom + sql.SQL(" SET role TO {}").format(sql.Literal(value)))
            continue
        with conn.transaction():
            conn.execute(_SET, (name, value))
            conn.execute(whom + sql.SQL(" SET {} FROM CURRENT").format(sql.Identifier(*name.split("."))))
            conn.execute(sql.SQL("RESET {}").format(sql.Identifier(*name.split("."))))


def _grant(conn: Session, on: sql.Composable, privileges: tuple[Privilege, ...] | None, here: frozenset[str]) -> None:
    if privileges is None:
        return
    conn.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(on))
    for privilege in privileges:
        if privilege.role and privilege.role not in here:
            continue
        statement = sql.SQL("GRANT {} ON {} TO {}").format(
            _PRIVILEGES[privilege.name],
            on,
            sql.Identifier(privilege.role) if privilege.role else sql.SQL("PUBLIC"),
        )
        conn.execute(statement + sql.SQL(" WITH GRANT OPTION") if privilege.grantable else statement)


def _make_schemas(conn: Session, needs: Needs, here: frozenset[str]) -> None:
    for name in needs.schemas:
        statement = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name))
        if needs.user in here:
            statement += sql.SQL(" AUTHORIZATION {}").format(sql.Identifier(needs.user))
        conn.execute(statement)


def _stood_in_for(needs: Needs, role: str) -> bool:
    """Return whether the sandbox's own user does what that role would do."""
    wanted = needs.role(role)
    return wanted is not None and "SUPERUSER" in wanted.options


def _make_extensions(conn: Session, needs: Needs) -> None:
    untrusted = {name for (name,) in conn.execute(_UNTRUSTED, ([e.name for e in needs.extensions],))}
    schemas = {name for (name,) in conn.execute(_SCHEMAS)}
    for extension in needs.extensions:
        if extension.name in untrusted and extension.schema in schemas:
            statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}")
            conn.execute(statement.format(sql.Identifier(extension.name), sql.Identifier(extension.schema)))


def _login(server: Server, conn: Session, database: str, needs: Needs, role: str | None) -> URL:
    """Return the URL of the database for that role, tried once."""
    address = server.address.set(database=database)
    if not role or _stood_in_for(needs, role):
        return address
    password = _password(server, role) if role in marked_roles(conn) else None
    address = URL.create(
        address.drivername,
        username=role,
        password=password,
        host=address.host,
        port=address.port,
        database=database,
        query=address.query,
    )
    try:
        with Server(address=address, major=server.major, log_path=None).session() as session:
            powerful = is_superuser(session)
    except psycopg.OperationalError as exc:
        raise _no_login(role, f"its server does not let {role} log in: {mask(str(exc).strip())}") from exc
    if powerful:
        raise _no_login(role, f"{role} is a superuser there, and not in the database")
    return address


def _no_login(role: str, why: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        what=f"revisions cannot be run as {role} in the sandbox; nothing was touched",
        why=why,
        fix="let pg_hba.conf of the server of HANDRAIL_SANDBOX_URL accept roles that Handrail makes (scram-sha-256 "
        f"where its url has a password, else trust), drop {role} there if it is somebody else's, or unset "
        "HANDRAIL_SANDBOX_URL",
    )


def _drop_unneeded_roles(conn: Session) -> None:
    """Drop the roles of ours when no database stands that could need them; else the last one to leave does."""
    if conn.execute(_ALONE, (_STANDING,)).fetchone() != (True,):
        return
    try:
        left = set(marked_roles(conn))
        while dropped := {role for role in left if _drop_role(conn, role)}:  # one may have granted another
            left -= dropped
    finally:
        conn.execute(_END_ALONE, (_STANDING,))


def _drop_role(conn: Session, role: str) -> bool:
    try:
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.DependentObjectsStillExist:  # something of somebody else's has taken it up
        return False
    return True
