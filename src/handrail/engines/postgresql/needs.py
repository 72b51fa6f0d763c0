"""Reads from the catalogues what a database needs of its server. Only looks, takes no lock, needs no right.

Source: https://www.postgresql.org/docs/current/catalogs.html. What these catalogues show is open to every user.
"""

from __future__ import annotations

import os

from sqlalchemy import URL, Connection, text

from handrail.engines.postgresql.session import for_libpq
from handrail.model.needs import Collation, Extension, Locale, Membership, Needs, Privilege, Role

#: The settings of a server that change what a statement or the text of a value means, or who fires on it.
MEANINGFUL = (
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "check_function_bodies",
    "createrole_self_grant",
    "default_table_access_method",
    "default_tablespace",
    "default_text_search_config",
    "default_toast_compression",
    "default_transaction_isolation",
    "extra_float_digits",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lo_compat_privileges",
    "quote_all_identifiers",
    "row_security",
    "search_path",
    "session_replication_role",
    "standard_conforming_strings",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
)
#: Where a session's value came from that others of the same database do not share: pg_settings.source.
_OF_ONE_SESSION = ("client", "user", "database user", "session", "override")

_DEMANDS_TLS = frozenset({"require", "verify-ca", "verify-full", "true", "1", "yes", "on"})
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}

# One row. Columns that only some majors have are asked for by name in the row as JSON.
_DATABASE = text("""
select current_setting('server_version_num')::int / 10000 as major, pg_get_userbyid(d.datdba) as owner,
       session_user as user, to_jsonb(d) as columns,
       pg_encoding_to_char(d.encoding) as encoding, d.datcollate as collate, d.datctype as ctype,
       coalesce((select pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n where n.nspname = 'public'), '')
         as public_owner
from pg_catalog.pg_database d where d.datname = current_database()
""")

_EXTENSIONS = text("""
select e.extname, e.extversion, n.nspname
from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace order by 1
""")

# Those made in the database, and those of the server that a column, an index, a domain or an expression uses.
_COLLATIONS = text("""
with used(oid) as (
  select refobjid from pg_catalog.pg_depend where refclassid = 'pg_catalog.pg_collation'::regclass and deptype <> 'e'
  union select a.attcollation from pg_catalog.pg_attribute a where a.attrelid >= 16384
  union select t.typcollation from pg_catalog.pg_type t where t.oid >= 16384
)
select case n.nspname when 'pg_catalog' then '' else n.nspname end, c.collname, c.collprovider, to_jsonb(c) as columns,
       c.collisdeterministic
from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace
where c.collprovider <> 'd' and n.nspname <> 'information_schema'
  and (n.nspname <> 'pg_catalog' or c.oid in (select oid from used))
  and not exists (select from pg_catalog.pg_depend e where e.objid = c.oid and e.deptype = 'e'
                  and e.classid = 'pg_catalog.pg_collation'::regclass)
order by 1, 2
""")

# What pg_shdepend records of this database is who owns, may do or is named by something; the first superuser is not
# recorded there, so its tables speak for it. Members' groups are found upwards; the server's own (pg_*) are not roles
# that a database needs, but memberships in them are.
_ROLES = text("""
with recursive here as (
  select d.oid, d.datdba from pg_catalog.pg_database d where d.datname = current_database()
), named(oid) as (
  select s.refobjid from pg_catalog.pg_shdepend s, here
  where s.refclassid = 'pg_catalog.pg_authid'::regclass
    and (s.dbid = here.oid or s.dbid = 0 and s.classid = 'pg_catalog.pg_database'::regclass and s.objid = here.oid)
  union select here.datdba from here
  union select r.oid from pg_catalog.pg_roles r where r.rolname = session_user
  union select 10::oid
  union select s.setrole from pg_catalog.pg_db_role_setting s, here where s.setdatabase = here.oid and s.setrole <> 0
), wanted(oid) as (
  select oid from named
  union select m.roleid from pg_catalog.pg_auth_members m join wanted w on w.oid = m.member
)
select r.rolname,
       array_remove(array[case when r.rolsuper then 'SUPERUSER' end, case when not r.rolinherit then 'NOINHERIT' end,
                          case when r.rolcreaterole then 'CREATEROLE' end, case when r.rolcreatedb then 'CREATEDB' end,
                          case when r.rolcanlogin then 'LOGIN' end, case when r.rolreplication then 'REPLICATION' end,
                          case when r.rolbypassrls then 'BYPASSRLS' end], null) as options
from pg_catalog.pg_roles r join wanted w on w.oid = r.oid
where r.rolname !~ '^pg_' order by 1
""")

# A membership may be granted several times since 16, by several grantors: what one of them gives is given.
_MEMBERSHIPS = text("""
select pg_get_userbyid(m.member), pg_get_userbyid(m.roleid), bool_or(m.admin_option),
       bool_or((to_jsonb(m) ->> 'inherit_option')::bool), bool_or((to_jsonb(m) ->> 'set_option')::bool)
from pg_catalog.pg_auth_members m where pg_get_userbyid(m.member) = any (:roles)
group by 1, 2 order by 1, 2
""")

# Only what is placed somewhere else than the database as a whole.
_TABLESPACES = text("""
select distinct t.spcname from pg_catalog.pg_class c join pg_catalog.pg_tablespace t on t.oid = c.reltablespace
where c.oid >= 16384 and t.spcname !~ '^pg_' order by 1
""")

# From the weakest to the strongest; those of one name follow each other in the order in which they override.
_SETTINGS = text("""
select 0 as strength, '' as role, s.name, current_setting(s.name) as value
from pg_catalog.pg_settings s where s.name = any (:meaningful) and s.source <> all (:of_one_session)
union all
select case when s.setrole = 0 then 0 else 2 end + case when s.setdatabase = 0 then 1 else 2 end,
       case when s.setrole = 0 then '' else pg_get_userbyid(s.setrole) end,
       split_part(c.entry, '=', 1), substr(c.entry, strpos(c.entry, '=') + 1)
from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c(entry)
where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
  and (s.setrole = 0 or pg_get_userbyid(s.setrole) = any (:roles))
  and (lower(split_part(c.entry, '=', 1)) in (select lower(n) from unnest((:meaningful)::text[]) n)
       or split_part(c.entry, '=', 1) = 'role' or strpos(split_part(c.entry, '=', 1), '.') > 0)
union all
select 9, session_user, s.name, current_setting(s.name)
from pg_catalog.pg_settings s where s.name = any (:meaningful) and s.source = any (:of_one_session)
order by 1
""")

_PRIVILEGES = text("""
select case when a.grantee = 0 then '' else pg_get_userbyid(a.grantee) end, a.privilege_type, a.is_grantable
from pg_catalog.pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
where d.datname = current_database() order by 1, 2
""")
_PUBLIC_PRIVILEGES = text("""
select case when a.grantee = 0 then '' else pg_get_userbyid(a.grantee) end, a.privilege_type, a.is_grantable
from pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
where n.nspname = 'public' order by 1, 2
""")


def read_needs(conn: Connection, url: URL) -> Needs:
    """Return what the database behind `conn` needs, in eight small statements; `url` says whether it wants TLS."""
    major, owner, user, columns, encoding, collate, ctype, public_owner = conn.execute(_DATABASE).one()
    roles = _roles(conn)
    privileges = tuple(Privilege(role=r, name=p, grantable=g) for r, p, g in conn.execute(_PRIVILEGES))
    on_public = tuple(Privilege(role=r, name=p, grantable=g) for r, p, g in conn.execute(_PUBLIC_PRIVILEGES))
    return Needs(
        server_major=major,
        extensions=tuple(Extension(name=n, version=v, schema=s) for n, v, s in conn.execute(_EXTENSIONS)),
        locale=Locale(
            provider=_PROVIDERS[columns.get("datlocprovider", "c")],
            collate=collate,
            ctype=ctype,
            encoding=encoding,
            name=columns.get("datlocale") or columns.get("daticulocale") or "",
            rules=columns.get("daticurules") or "",
        ),
        collations=_collations(conn),
        roles=roles,
        tablespaces=tuple(conn.execute(_TABLESPACES).scalars()),
        settings=_settings(conn, [role.name for role in roles]),
        owner=owner,
        user=user,
        privileges=privileges,
        public_owner=public_owner,
        public_privileges=on_public if public_owner else None,
        tls=demands_tls(url),
    )


def demands_tls(url: URL) -> bool:
    """Return whether a connection to that URL must be encrypted: by its `sslmode` or `ssl`, else by PGSSLMODE."""
    wanted = url.query.get("ssl") or for_libpq(url).query.get("sslmode") or os.environ.get("PGSSLMODE", "")
    return isinstance(wanted, str) and wanted.lower() in _DEMANDS_TLS


def _collations(conn: Connection) -> tuple[Collation, ...]:
    return tuple(
        Collation(
            schema=schema,
            name=name,
            provider=_PROVIDERS[provider],
            locale=columns.get("colllocale") or columns.get("colliculocale") or columns.get("collcollate") or "",
            deterministic=deterministic,
        )
        for schema, name, provider, columns, deterministic in conn.execute(_COLLATIONS)
    )


def _roles(conn: Connection) -> tuple[Role, ...]:
    found = conn.execute(_ROLES).all()
    member_of: dict[str, list[Membership]] = {name: [] for name, _ in found}
    for member, group, admin, inherits, sets in conn.execute(_MEMBERSHIPS, {"roles": list(member_of)}):
        member_of[member].append(Membership(role=group, admin=admin, inherits=inherits, sets=sets))
    return tuple(Role(name=name, options=tuple(words), member_of=tuple(member_of[name])) for name, words in found)


def _settings(conn: Connection, roles: list[str]) -> tuple[tuple[str, str, str], ...]:
    values = {"meaningful": list(MEANINGFUL), "of_one_session": list(_OF_ONE_SESSION), "roles": roles}
    strongest: dict[tuple[str, str], tuple[str, str, str]] = {}
    for _, role, name, value in conn.execute(_SETTINGS, values):
        strongest[role, name.lower()] = (role, name, value)
    return tuple(strongest[key] for key in sorted(strongest))
