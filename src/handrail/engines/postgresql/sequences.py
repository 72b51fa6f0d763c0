"""Where each sequence stands beside the column that it gives keys to."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnClause, Connection, column, func, select, table, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.anti_join import Name
from handrail.engines.postgresql.orphans import unanswered
from handrail.engines.postgresql.rights import readable
from handrail.engines.postgresql.sql.syntax import qualified, quote
from handrail.model.sequence import Position, ServingSequence
from handrail.model.verdict import Unsupported

# No lock; system catalogues. A sequence serves the column that owns it (serial 'a', identity 'i'), and each one whose
# default calls it ('n', from the default to the sequence).
_SERVING = text("""
with named as (
  select c.oid, n.nspname, c.relname, c.relkind,
         case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('information_schema', 'handrail') and n.nspname !~ '^pg_'
), used as (
  select d.objid as sequence, d.refobjid as relation, d.refobjsubid as number from pg_catalog.pg_depend d
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    and d.refobjsubid > 0
  union
  select d.refobjid, f.adrelid, f.adnum from pg_catalog.pg_depend d
  join pg_catalog.pg_attrdef f on f.oid = d.objid
  where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
)
select s.name as sequence, t.name as table_name, a.attname, q.seqincrement > 0
from used u join named s on s.oid = u.sequence and s.relkind = 'S' join pg_catalog.pg_sequence q on q.seqrelid = s.oid
join named t on t.oid = u.relation and t.relkind in ('r', 'p')
join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = u.number
join pg_catalog.pg_type y on y.oid = a.atttypid and y.typcategory = 'N'
order by 2, 3
""")
# ACCESS SHARE on the sequence; one row.
_INCREMENT = text("select seqincrement from pg_catalog.pg_sequence where seqrelid = cast(:sequence as regclass)")


def serving(conn: Connection) -> Iterator[ServingSequence]:
    """Yield each sequence that serves a column, with the value it gives next and the furthest one that is taken.

    ACCESS SHARE; the furthest value comes from an index where there is one, else from a scan of the column.
    """
    for name, owner, attribute, ascending in conn.execute(_SERVING).all():
        try:
            position, mend = _serving(conn, name, owner, attribute, ascending=ascending)
        except DBAPIError as exc:
            position, mend = unanswered(exc), ""
        yield ServingSequence(name=name, table=owner, column=attribute, position=position, mend=mend)


def _serving(
    conn: Connection, name: str, owner: str, attribute: str, *, ascending: bool
) -> tuple[Position | Unsupported, str]:
    sequence = readable(conn, name)
    if isinstance(sequence, Unsupported):
        return sequence, ""
    place = readable(conn, owner, (attribute,))
    if isinstance(place, Unsupported):
        return place, ""
    position = _position(conn, sequence, place, attribute, ascending=ascending)
    return position, _mend(sequence, place, attribute, ascending=ascending)


def _position(conn: Connection, sequence: Name, place: Name, attribute: str, *, ascending: bool) -> Position:
    state = table(sequence.table, column("last_value"), column("is_called"), schema=sequence.schema)
    # The column before the sequence: what is inserted in between moves both, and only this order cannot alarm falsely.
    held: ColumnClause[int] = column(attribute)
    rows = table(place.table, held, schema=place.schema)
    furthest = conn.execute(select(func.max(held) if ascending else func.min(held)).select_from(rows)).scalar()
    last, called = conn.execute(select(state.c.last_value, state.c.is_called)).one()
    step = conn.execute(_INCREMENT, {"sequence": qualified(sequence.schema or "", sequence.table)}).scalar_one()
    return Position(
        next_value=last + step if called else last,
        furthest=None if furthest is None else int(furthest),
        ascending=ascending,
    )


def _mend(sequence: Name, place: Name, attribute: str, *, ascending: bool) -> str:
    name = qualified(sequence.schema or "", sequence.table).replace("'", "''")
    end = "max" if ascending else "min"
    rows = qualified(place.schema or "", place.table)
    return f"SELECT setval('{name}', (SELECT {end}({quote(attribute)}) FROM {rows}))"  # noqa: S608 - shown, never sent
