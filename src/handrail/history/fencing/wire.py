"""SQL as the server receives it: the driver's placeholders and escapes taken out, values written as literals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

_DRIVER_MARK = re.compile(r"%(?:(?P<percent>%)|\((?P<name>[^)]+)\)s|s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One statement handed to a driver.

    `parameters` holds one set of values for each execution. `escaped` says that the driver reads `%` as its own sign,
    which it does not where a statement is sent without any parameters. `raw` marks what went past SQLAlchemy, straight
    to the driver's cursor.
    """

    statement: str
    paramstyle: str
    parameters: Sequence[object] = ()
    autocommit: bool = False
    escaped: bool = True
    raw: bool = False

    @property
    def sql(self) -> str:
        """The text with the server's placeholders: $1 for the drivers that write %s, the driver's own elsewhere.

        The white space around it is left out. Source: https://www.psycopg.org/psycopg3/docs/basic/from_pg2.html#server-side-binding
        """
        return self._read()[0].strip()

    @property
    def literals(self) -> tuple[tuple[str, ...], ...]:
        """The values of each execution, in the order of the placeholders, as SQL literals; () where there are none."""
        order = self._read()[1]
        rows = (_ordered(values, order) for values in self.parameters)
        return tuple(tuple(literal(value) for value in row) for row in rows if row)

    def _read(self) -> tuple[str, list[str]]:
        order: list[str] = []
        if not self.escaped or self.paramstyle not in {"pyformat", "format"}:
            return self.statement, order
        count = 0

        def numbered(mark: re.Match[str]) -> str:
            nonlocal count
            if mark["percent"]:
                return "%"
            name = mark["name"]
            if name is None:
                count += 1
                return f"${count}"
            if name not in order:  # the driver sends a value used twice once
                order.append(name)
            return f"${order.index(name) + 1}"

        return _DRIVER_MARK.sub(numbered, self.statement), order


def literal(value: object) -> str:
    """Return a value as a SQL literal, for reading and for digests; it is never sent."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return f"'\\x{bytes(value).hex()}'"
        case date() | datetime() | time():
            return f"'{value.isoformat()}'"
        case timedelta() | UUID():
            return f"'{value}'"
        case list() | tuple():
            return f"ARRAY[{', '.join(literal(item) for item in value)}]"
        case _:
            # psycopg wraps JSON values; what they hold is what the server sees.
            text = str(getattr(value, "obj", value)).replace("'", "''")
            return f"'{text}'"


def _ordered(values: object, order: list[str]) -> Sequence[object]:
    if isinstance(values, Mapping):
        return [values[name] for name in order if name in values] if order else list(values.values())
    return values if isinstance(values, Sequence) and not isinstance(values, str) else ()


_BEGIN = re.compile(r"\s*(?:begin|start\s+transaction)\b[^;]*;?\s*", re.IGNORECASE)
_END = re.compile(
    r"\s*(?:commit|end|rollback|abort)\b(?!\s+(?:work\s+|transaction\s+)?to\b|\s+prepared\b)", re.IGNORECASE
)


def is_begin(sql: str) -> bool:
    """Return whether a statement only opens a transaction, which drivers do in ways of their own."""
    return _BEGIN.fullmatch(sql) is not None


def ends_transaction(sql: str) -> bool:
    """Return whether a statement ends the transaction by itself, as op.execute("COMMIT") does."""
    return _END.match(sql) is not None
