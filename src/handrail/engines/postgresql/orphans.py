"""Finds rows without their parent."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines import anti_join
from handrail.engines.base import Cause
from handrail.engines.postgresql.causes import classify, sqlstate
from handrail.engines.postgresql.rights import readable
from handrail.model.relation import Looked, Relation
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation

#: The class of SQLSTATEs about values; their messages hold the value.
DATA_EXCEPTION = "22"


def vouched() -> bool:
    """Return True: the server checks every row unless triggers are disabled or session_replication_role is replica."""
    return True


def look(conn: Connection, relation: Relation) -> Looked:
    """Return the orphans of the relation. ACCESS SHARE on both tables; the session's statement_timeout ends it."""
    try:
        return Looked(relation=relation, found=_found(conn, relation))
    except DBAPIError as exc:
        return Looked(relation=relation, found=unanswered(exc))


def unanswered(exc: DBAPIError) -> Unsupported:
    """Return why a question about rows has no answer; raises what is about the connection, which nothing outlasts."""
    match classify(exc):
        case Cause.CANCELED:
            return Unsupported(reason="the query took longer than the session's statement_timeout, and was ended")
        case Cause.LOCK_TIMEOUT:
            return Unsupported(reason="somebody holds a lock that keeps readers out")
        case Cause.CONNECTION_LOST | Cause.UNREACHABLE:
            raise exc
        case _ if exc.orig is not None and sqlstate(exc.orig).startswith(DATA_EXCEPTION):
            return Unsupported(reason=f"the server cannot work it out for some row (SQLSTATE {sqlstate(exc.orig)})")
        case _:
            return Unsupported(reason=str(exc.orig).partition("\n")[0])


def _found(conn: Connection, relation: Relation) -> Violation | Unsupported | None:
    child = readable(conn, relation.table, (*relation.columns, *relation.key))
    if isinstance(child, Unsupported):
        return child
    parent = readable(conn, relation.referenced_table, relation.referenced_columns)
    if isinstance(parent, Unsupported):
        return parent
    total = conn.execute(anti_join.count(relation, child, parent)).scalar_one()
    return anti_join.orphans(conn, relation, child, parent, total=total)
