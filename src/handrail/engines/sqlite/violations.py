"""Finds rows that break what a pending statement demands."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, false, literal_column

from handrail.engines import breach
from handrail.engines.anti_join import Name
from handrail.engines.breach import Breach
from handrail.engines.sqlite import orphans
from handrail.engines.sqlite.bounded import answered
from handrail.model.demand import Demand
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation, ViolationKind

#: What a table made anew does to a text that its column's new type takes for a number. CAST never fails: what is no
#: number becomes 0, and what follows a number is dropped. Source: https://www.sqlite.org/lang_expr.html#castexpr.
_NO_NUMBER = "typeof({0}) = 'text' and (trim({0}) glob '*[^0-9.eE+-]*' or trim({0}) not glob '*[0-9]*')"
_NO_INTEGER = (
    "typeof({0}) = 'real' and cast({0} as integer) <> {0}"
    " or typeof({0}) = 'text' and (trim({0}) glob '*[^0-9+-]*' or trim({0}) not glob '*[0-9]*')"
)
#: Words of a type's name that give a column a numeric affinity: https://www.sqlite.org/datatype3.html, 3.1.
_TEXTS = ("char", "clob", "text")
_REALS = ("real", "floa", "doub")


def look(conn: Connection, wanted: Demand, *, limit_s: float) -> Violation | Unsupported | None:
    """Return the rows that break it. SHARED lock, one scan or two; given up after `limit_s`."""
    return answered(conn, lambda: _found(conn, wanted), limit_s=limit_s)


def _found(conn: Connection, wanted: Demand) -> Violation | None:
    name = Name(schema=None, table=wanted.table)
    match wanted.kind:
        case ViolationKind.ORPHANS:
            return orphans.orphans(conn, breach.relation(wanted))
        case ViolationKind.DUPLICATES:
            return breach.duplicates(conn, wanted, name)
        case ViolationKind.CAST:
            return Breach(name=name, condition=_unfit(conn, wanted)).counted(conn, wanted)
        case _:
            return Breach(name=name, condition=breach.condition(wanted)).counted(conn, wanted)


def _unfit(conn: Connection, wanted: Demand) -> ColumnElement[bool]:
    """Return what is true of a value that the new type does not keep; lengths are not enforced, so all of them fit."""
    new = wanted.new_type.lower()
    quoted = conn.dialect.identifier_preparer.quote(wanted.columns[0])
    if "int" in new:
        return literal_column(f"({_NO_INTEGER.format(quoted)})")
    if any(word in new for word in _TEXTS) or "blob" in new or not new:
        return false()
    if any(word in new for word in _REALS) or new.startswith(("numeric", "decimal")):
        return literal_column(f"({_NO_NUMBER.format(quoted)})")
    return false()
