"""The lines that write many rows in batches, each in a transaction of its own."""

from __future__ import annotations

import re

from handrail.model.action import WriteRows
from handrail.model.hazards.column_type import parsed
from handrail.model.hazards.spelling import literal, sql_name
from handrail.model.hazards.table_change import everywhere
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedStatement

_ROWS_PER_BATCH = 1000
_SET = re.compile(r"\s*UPDATE\s+[^\s;]+\s+SET\s+(?P<sets>[^;]+?)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
#: What makes more of an UPDATE than one table and its own columns.
_MORE = re.compile(r"\b(?:FROM|SELECT|JOIN|ORDER BY|LIMIT|RETURNING)\b", re.IGNORECASE)
_PLACE = re.compile(r"\$(\d+)(?:::[\w ]+)?|\?")
#: What sqlalchemy.text() takes for a parameter.
_BOUND = re.compile(r"(?<![:\w\\]):\w+(?!:)")


def key_of(table: ReplayedTable | None) -> str:
    """Return the first column of a table's primary key as SQL, `id` where it is not known."""
    return sql_name(next(iter(table.primary_key if table else ()), "id"))


def filling(table: str, key: str, column: str, value: str, there: str = "") -> str:
    """Return the lines that fill a column where it is NULL; `there` says which rows have something to fill it with."""
    name, target = sql_name(table), sql_name(column)
    left = f"{target} IS NULL" + (f" AND {there}" if there else "")
    some = f"SELECT {key} FROM {name} WHERE {left} LIMIT {_ROWS_PER_BATCH}"
    update = f"UPDATE {name} SET {target} = {value} WHERE {key} IN ({some})"
    return (
        "with op.get_context().autocommit_block():\n"
        f"    while op.get_bind().execute(sa.text({literal(update)})).rowcount:\n"
        "        pass"
    )


def by_ranges(statement: ReviewedStatement, action: WriteRows) -> str:
    """Return the lines that send the statement's own UPDATE range by range of the table's key."""
    key = key_of(statement.before.table(action.table))
    sets = _assignments(statement, action) or f"{next(map(sql_name, action.columns), '<column>')} = ..."
    where = "" if everywhere(action.where) else f" AND ({action.where})"
    if not _counts_up(statement.before.table(action.table), key):
        keys = f"UPDATE {sql_name(action.table)} SET {sets} WHERE {key} IN (<a thousand keys>){where}"
        return f"by the keys, with a COMMIT after each batch: {keys}"
    highest = f"SELECT max({key}) FROM {sql_name(action.table)}"
    update = f"UPDATE {sql_name(action.table)} SET {sets} WHERE {key} >= :a AND {key} < :b{where}"
    return (
        f"last = op.get_bind().scalar(sa.text({literal(highest)})) or 0\n"
        f"for start in range(0, last + 1, {_ROWS_PER_BATCH}):\n"
        "    with op.get_context().autocommit_block():\n"
        f"        op.execute(sa.text({literal(update)})"
        f".bindparams(a=start, b=start + {_ROWS_PER_BATCH}))"
    )


def _counts_up(table: ReplayedTable | None, key: str) -> bool:
    """Return whether ranges of that column make sense: its type is a whole number, or not known."""
    column = table.column(key.strip('"')) if table is not None else None
    known = column.type if column is not None and isinstance(column.type, str) else "integer"
    return parsed(known).family == "integer"


def _assignments(statement: ReviewedStatement, action: WriteRows) -> str:
    """Return what stands behind SET, with its values in place, '' where the UPDATE is more than that."""
    sql = " ".join(statement.statement.sql.split())
    head, *rest = _WHERE.split(sql)
    found = _SET.fullmatch(head)
    if found is None or len(rest) > 1 or _MORE.search(sql) or (rest and _PLACE.search(rest[0]) and action.where):
        return ""
    values = list(statement.statement.parameters[0]) if len(statement.statement.parameters) == 1 else []
    told = iter(values)

    def value(place: re.Match[str]) -> str:
        number = place[1]
        return values[int(number) - 1] if number and int(number) <= len(values) else next(told, place[0])

    sets = _PLACE.sub(value, found["sets"])
    return "" if _PLACE.search(sets) or _BOUND.search(sets) else sets
