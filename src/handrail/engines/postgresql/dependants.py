"""What depends on an object, by the server's own catalogue.

Source: https://www.postgresql.org/docs/current/catalog-pg-depend.html and findDependentObjects in
src/backend/catalog/dependency.c: a normal dependency is followed only under CASCADE, an automatic or internal one
always; to drop a part of something (the rule of a view) is to drop the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.sql.syntax import quote
from handrail.model import action as act
from handrail.model.verdict import Unsupported

if TYPE_CHECKING:
    from handrail.model.action import Action

#: How many are told by name.
NAMED = 50

# No lock; an index lookup for each object that is found. Text inside: which object it begins with.
_TAKEN = """
with recursive first(classid, objid, objsubid) as ({first}),
gone(classid, objid, objsubid, cascaded) as (
  select classid, objid, objsubid, false from first
  union
  select step.classid, step.objid, step.objsubid, gone.cascaded or step.cascaded
  from gone cross join lateral (
    select d.classid, d.objid, d.objsubid, d.deptype = 'n' as cascaded
    from pg_catalog.pg_depend d
    where d.refclassid = gone.classid and d.refobjid = gone.objid
      and (gone.objsubid = 0 or d.refobjsubid = gone.objsubid) and d.deptype in ('n', 'a', 'i', 'P', 'S')
    union all
    select d.refclassid, d.refobjid, d.refobjsubid, false
    from pg_catalog.pg_depend d
    where d.classid = gone.classid and d.objid = gone.objid and d.deptype = 'i'
      and gone.classid = 'pg_catalog.pg_rewrite'::regclass
  ) step
)
select distinct i.type, i.identity
from gone cross join lateral pg_identify_object(gone.classid, gone.objid, gone.objsubid) i
where gone.cascaded and i.identity is not null
  and not exists (select from first f where f.classid = gone.classid and f.objid = gone.objid)
  and i.type not in ('rule', 'type', 'toast table', 'trigger', 'index', 'composite type', 'view column',
                     'materialized view column', 'default value')
order by 1, 2
"""
# No lock; one row.
_THERE = "select count(*) from ({first}) as first(classid, objid, objsubid) where objid is not null"
_OF_RELATION = "select 'pg_catalog.pg_class'::regclass::oid, to_regclass(:name)::oid, 0"
_OF_COLUMN = """select 'pg_catalog.pg_class'::regclass::oid, a.attrelid, a.attnum::int from pg_catalog.pg_attribute a
where a.attrelid = to_regclass(:name) and a.attname = :part and not a.attisdropped"""
_OF_CONSTRAINT = """select 'pg_catalog.pg_constraint'::regclass::oid, k.oid, 0 from pg_catalog.pg_constraint k
where k.conrelid = to_regclass(:name) and k.conname = :part"""
_OF_TYPE = "select 'pg_catalog.pg_type'::regclass::oid, to_regtype(:name)::oid, 0"
_OF_SCHEMA = "select 'pg_catalog.pg_namespace'::regclass::oid, to_regnamespace(:name)::oid, 0"
_OF_EXTENSION = """select 'pg_catalog.pg_extension'::regclass::oid, e.oid, 0 from pg_catalog.pg_extension e
where e.extname = :part"""
_BY_KIND = {
    "type": _OF_TYPE,
    "domain": _OF_TYPE,
    "schema": _OF_SCHEMA,
    "extension": _OF_EXTENSION,
    "view": _OF_RELATION,
    "materialized view": _OF_RELATION,
    "sequence": _OF_RELATION,
    "foreign table": _OF_RELATION,
}


def taken(conn: Connection, action: Action) -> tuple[str, ...] | Unsupported:
    """Return what a DROP ... CASCADE would take beside what it names, `NAMED` by name; () for what does not cascade."""
    if not getattr(action, "cascade", False):
        return ()
    begins = _begins(action)
    if begins is None:
        return Unsupported(reason="the catalogue is not asked about that kind of object")
    first, name, part = begins
    try:
        if not conn.execute(text(_THERE.format(first=first)), {"name": name, "part": part}).scalar_one():
            return Unsupported(reason="it is not in the database")
        rows = conn.execute(text(_TAKEN.format(first=first)), {"name": name, "part": part}).all()
    except DBAPIError as exc:
        if classify(exc) in {Cause.CANCELED, Cause.LOCK_TIMEOUT, Cause.MISSING}:
            return Unsupported(reason="the catalogue did not answer in time")
        raise
    told = tuple(f"{kind} {identity}" for kind, identity in rows)
    return told if len(told) <= NAMED else (*told[:NAMED], f"and {len(told) - NAMED} more")


def _begins(action: Action) -> tuple[str, str, str] | None:
    """Return the query for what is dropped, its name, and the part of it; None where the catalogue is not asked."""
    match action:
        case act.DropTable(table=table):
            return _OF_RELATION, _quoted(table), ""
        case act.DropColumn(table=table, column=column):
            return _OF_COLUMN, _quoted(table), column
        case act.DropConstraint(table=table, name=name):
            return _OF_CONSTRAINT, _quoted(table), name
        case act.DropIndex(name=name):
            return _OF_RELATION, _quoted(name), ""
        case act.DropObject(kind=kind, name=name) if kind in _BY_KIND:
            return _BY_KIND[kind], _quoted(name), name
        case _:
            return None


def _quoted(name: str) -> str:
    return ".".join(quote(part) for part in name.split("."))
