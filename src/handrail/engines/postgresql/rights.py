"""Who may do what: what we may not read, told before a query fails, and what is granted to others."""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines.anti_join import Name
from handrail.engines.postgresql.catalog_sql import SCOPE
from handrail.engines.postgresql.sql.syntax import qualified, quote
from handrail.model.grants import Grant
from handrail.model.verdict import Unsupported

# No lock; one row of pg_class. A right on each column is as good as one on the table.
_RELATION = text("""
select n.nspname, c.relname, current_user,
       has_schema_privilege(n.oid, 'usage'),
       has_table_privilege(c.oid, 'select')
         or cardinality(cast(:columns as text[])) > 0
            and (select count(*) = cardinality(cast(:columns as text[]))
                 from pg_catalog.pg_attribute a
                 where a.attrelid = c.oid and a.attname = any (cast(:columns as text[]))
                   and has_column_privilege(c.oid, a.attnum, 'select')),
       row_security_active(c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname = :name
  and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
""")

# Functions, types and languages may be used by everybody until that is revoked, which no ACL says while it is empty.
# Of what an extension brings, only what was granted since is told: pg_init_privs holds what it grants itself. Names are
# qualified by an empty search_path, set for this statement's transaction. ACCESS SHARE on system tables.
# https://www.postgresql.org/docs/current/ddl-priv.html
_GRANTED = text(
    SCOPE  # noqa: S608 - joined with a constant of ours
    + r"""
select g.thing, case g.grantee when 0 then '' else pg_catalog.pg_get_userbyid(g.grantee) end,
       array_agg(g.privilege order by g.privilege)
from (
  select o.thing, a.grantee, a.privilege_type || case when a.is_grantable then ' with grant option' else '' end
  from (
    select case r.relkind when 'S' then 'sequence ' when 'v' then 'view ' when 'm' then 'materialized view '
                          else 'table ' end || r.name, r.relowner, r.relacl
    from relations r
    union all
    select 'column ' || r.name || '.' || c.attname, r.relowner, c.attacl
    from relations r join pg_attribute c on c.attrelid = r.oid where c.attacl is not null and not c.attisdropped
    union all
    select 'schema ' || s.nspname, s.nspowner, s.nspacl from schemas s
    union all
    select 'large object ' || m.oid, m.lomowner, m.lomacl from pg_largeobject_metadata m
    union all
    select 'function ' || s.prefix || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.proowner,
           coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p join schemas s on s.oid = p.pronamespace
    where not exists (select from owned e where e.objid = p.oid and e.classid = 'pg_proc'::regclass)
    union all
    select 'type ' || s.prefix || t.typname, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type t join schemas s on s.oid = t.typnamespace
    where t.typtype in ('e', 'd', 'r')
      and not exists (select from owned e where e.objid = t.oid and e.classid = 'pg_type'::regclass)
    union all
    select 'foreign server ' || v.srvname, v.srvowner, v.srvacl from pg_foreign_server v
    union all
    select 'foreign data wrapper ' || w.fdwname, w.fdwowner, w.fdwacl from pg_foreign_data_wrapper w
    union all
    select 'language ' || l.lanname, l.lanowner, coalesce(l.lanacl, acldefault('l', l.lanowner)) from pg_language l
    where l.lanispl
    union all
    select pg_describe_object(e.classid, e.objid, 0), coalesce(p.proowner, c.relowner), coalesce(p.proacl, c.relacl)
    from owned e left join pg_proc p on p.oid = e.objid and e.classid = 'pg_proc'::regclass
    left join pg_class c on c.oid = e.objid and e.classid = 'pg_class'::regclass
    left join pg_init_privs i on i.objoid = e.objid and i.classoid = e.classid and i.objsubid = 0
    where coalesce(p.proacl, c.relacl) <> coalesce(i.initprivs, '{}')
    union all
    select concat_ws(' ', 'what', pg_get_userbyid(d.defaclrole), 'creates', 'in ' || s.nspname,
                     '(' || d.defaclobjtype::text || ')'),
           d.defaclrole, d.defaclacl
    from pg_default_acl d left join schemas s on s.oid = d.defaclnamespace
  ) as o(thing, owner, acl), aclexplode(o.acl) a
  where a.grantee <> o.owner
  union all
  select 'policy ' || r.name || '.' || p.polname, role, 'what it allows'
  from relations r join pg_policy p on p.polrelid = r.oid, unnest(p.polroles) role
) as g(thing, grantee, privilege)
where (select set_config('search_path', 'pg_catalog', true)) is not null
group by 1, 2 order by 1, 2
"""
)


def granted(conn: Connection, *, version_table: str) -> tuple[Grant, ...]:
    """Return what is granted to others than the owner, in the order of things and roles."""
    rows = conn.execute(_GRANTED, {"version_table": version_table})
    return tuple(Grant(on=thing, role=role, privileges=tuple(privileges)) for thing, role, privileges in rows)


def missing(conn: Connection, name: str) -> Unsupported | None:
    """Return which right is missing to read that relation, None where none is or there is no such relation."""
    if not conn.execute(_RELATION, {"name": name, "columns": []}).one_or_none():
        return None
    found = readable(conn, name)
    return found if isinstance(found, Unsupported) else None


def readable(conn: Connection, name: str, columns: tuple[str, ...] = ()) -> Name | Unsupported:
    """Return the name that SQL knows a relation of a Snapshot by, or which right is missing to read those columns."""
    row = conn.execute(_RELATION, {"name": name, "columns": list(columns)}).one_or_none()
    if row is None:
        return Unsupported(reason=f"{name} is not there any more")
    schema, relation, user, enters, reads, secured = row
    grants = []
    if not enters:
        grants.append(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(user)}")
    if not reads:
        grants.append(f"GRANT SELECT ON {qualified(schema, relation)} TO {quote(user)}")
    if grants:
        return Unsupported(reason=f"user {user} may not read {name}; as its owner: {'; '.join(grants)}")
    if secured:
        return Unsupported(
            reason=f"row security hides rows of {name} from user {user}; as a superuser: "
            f"ALTER ROLE {quote(user)} BYPASSRLS, or name the table's owner in the environment's url"
        )
    return Name(schema=schema, table=relation)
