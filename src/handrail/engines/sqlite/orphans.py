"""Finds rows without their parent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines import anti_join
from handrail.engines.anti_join import Name
from handrail.engines.base import Cause
from handrail.engines.sqlite.causes import classify
from handrail.engines.sqlite.session import driver_of
from handrail.model.relation import Looked, Relation, RelationKind
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation, ViolationKind

#: How long one query may take, in seconds, as long as a reading session of a server has.
LIMIT_S = 60.0
_STEPS_BETWEEN_LOOKS = 10_000

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
    try:
        with _bounded(conn):
            return Looked(relation=relation, found=_orphans(conn, relation))
    except DBAPIError as exc:
        match classify(exc):
            case Cause.CANCELED:
                reason = f"the query took longer than {LIMIT_S:.0f} s, and was ended"
            case Cause.LOCK_TIMEOUT:
                reason = "somebody holds a lock that keeps readers out"
            case _:
                reason = " ".join(str(exc.orig).split())
        return Looked(relation=relation, found=Unsupported(reason=reason))


def _orphans(conn: Connection, relation: Relation) -> Violation | None:
    child, parent = Name(schema=None, table=relation.table), Name(schema=None, table=relation.referenced_table)
    declared = relation.kind in {RelationKind.VALIDATED, RelationKind.NOT_VALID}
    key = _key(conn, relation) if declared else None
    if key is not None:
        total = conn.execute(_CHECK, {"table": relation.table, "id": key}).scalar_one()
    else:
        total = conn.execute(anti_join.count(relation, child, parent)).scalar_one()
    if not total:
        return None
    sample = anti_join.sample(relation, child, parent)
    rows = conn.execute(sample).all()
    return Violation(
        kind=ViolationKind.ORPHANS,
        table=relation.table,
        columns=relation.columns,
        count=total,
        keys=anti_join.keys(relation, rows),
        query=anti_join.written(conn, sample),
    )


def _key(conn: Connection, relation: Relation) -> int | None:
    """Return SQLite's number of a declared key."""
    found: dict[int, list[str]] = {}
    for number, _, own, _ in conn.execute(_KEYS, {"table": relation.table, "parent": relation.referenced_table}):
        found.setdefault(number, []).append(own.lower())
    wanted = [name.lower() for name in relation.columns]
    return next((number for number, columns in found.items() if columns == wanted), None)


@contextmanager
def _bounded(conn: Connection) -> Iterator[None]:
    """End a query that takes longer than LIMIT_S."""
    driver, until = driver_of(conn), time.monotonic() + LIMIT_S
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
