"""Finds rows without their parent."""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines import anti_join
from handrail.engines.anti_join import Name
from handrail.engines.sqlite.bounded import answered
from handrail.model.relation import Looked, Relation, RelationKind
from handrail.model.violation import Violation

#: How long one query may take, in seconds, as long as a reading session of a server has.
LIMIT_S = 60.0

# SHARED lock; reads the schema in memory. A key names its parent's primary key where `to` is null.
_KEYS = text("""
select id, seq, "from", "to" from pragma_foreign_key_list(:table)
where "table" = :parent collate nocase order by id, seq
""")
# SHARED lock; reads the table once and looks each key up in the parent, as SQLite itself compares them.
_CHECK = text("select count(*) from pragma_foreign_key_check(:table) where fkid = :id")


def vouched() -> bool:
    """Return False: foreign keys are enforced only by connections that ask for it.

    Source: https://www.sqlite.org/foreignkeys.html, 2.
    """
    return False


def look(conn: Connection, relation: Relation) -> Looked:
    """Return the orphans of the relation; SQLite's own foreign key check counts those of a declared key."""
    return Looked(relation=relation, found=answered(conn, lambda: orphans(conn, relation), limit_s=LIMIT_S))


def orphans(conn: Connection, relation: Relation) -> Violation | None:
    """Return the orphans of the relation, None where there are none; one scan of the child for each of two queries."""
    child, parent = Name(schema=None, table=relation.table), Name(schema=None, table=relation.referenced_table)
    declared = relation.kind in {RelationKind.VALIDATED, RelationKind.NOT_VALID}
    key = _key(conn, relation) if declared else None
    if key is not None:
        total = conn.execute(_CHECK, {"table": relation.table, "id": key}).scalar_one()
    else:
        total = conn.execute(anti_join.count(relation, child, parent)).scalar_one()
    return anti_join.orphans(conn, relation, child, parent, total=total)


def _key(conn: Connection, relation: Relation) -> int | None:
    """Return SQLite's number of a declared key."""
    found: dict[int, list[str]] = {}
    for number, _, own, _ in conn.execute(_KEYS, {"table": relation.table, "parent": relation.referenced_table}):
        found.setdefault(number, []).append(own.lower())
    wanted = [name.lower() for name in relation.columns]
    return next((number for number, columns in found.items() if columns == wanted), None)
