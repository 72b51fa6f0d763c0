"""Where a relation is, and whether we may read it: told before a query fails, so that the GRANT can be named."""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines.anti_join import Name
from handrail.engines.postgresql.syntax import qualified, quote
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
