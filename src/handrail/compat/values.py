"""Values to write: the nth one that a column of a contract takes, the furthest ones, and those for planted rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from handrail.model.contract import ContractColumn, ContractType, Family
from handrail.model.schema import SchemaObject

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Characters of the longest text that is written; beyond what MySQL's TEXT takes, and still short when compressed in an
#: index of PostgreSQL, whose rows take 2704 bytes (https://www.postgresql.org/docs/current/btree.html).
_LONGEST = 100_000
#: What a text is written with that nothing is known to limit: a trigger may.
_LONG = 1_000
_DAY = date(2026, 1, 1)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
#: What follows the base type in a domain's definition.
_DOMAIN_ENDS = re.compile(r" not null| default | \S+ check ", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w'])")
#: After how many numbers short texts and numbers, and times of day, begin anew.
_PERIODS = (36, 100, 120, 36**2, 10_000, 36**3)
_Nth = Callable[[int], str]
#: What types of servers take that no class of SQLAlchemy's core stands for, by a part of their name; first one wins.
_WRITTEN: tuple[tuple[str, _Nth], ...] = (
    ("inet", lambda n: f"10.{n // 65536 % 256}.{n // 256 % 256}.{n % 256}"),
    ("cidr", lambda n: f"10.{n // 256 % 256}.{n % 256}.0/24"),
    ("macaddr8", lambda n: f"00:00:00:00:00:{n // 65536 % 256:02x}:{n // 256 % 256:02x}:{n % 256:02x}"),
    ("macaddr", lambda n: f"00:00:00:{n // 65536 % 256:02x}:{n // 256 % 256:02x}:{n % 256:02x}"),
    ("tsvector", lambda n: f"a{n}"),
    ("tsquery", lambda n: f"a{n}"),
    ("ltree", lambda n: f"a{n}"),
    ("hstore", lambda n: f"a=>{n}"),
    ("point", lambda n: f"({n},0)"),
    ("int4range", lambda n: f"[{n},{n}]"),
    ("int8range", lambda n: f"[{n},{n}]"),
    ("numrange", lambda n: f"[{n},{n}]"),
    ("daterange", lambda n: f"[{_DAY + timedelta(days=n)},{_DAY + timedelta(days=n)}]"),
    ("multirange", lambda _: "{}"),
    ("tstzrange", lambda n: f"[{_DAY + timedelta(days=n)} 00:00+00,{_DAY + timedelta(days=n)} 12:00+00]"),
    ("tsrange", lambda n: f"[{_DAY + timedelta(days=n)} 00:00,{_DAY + timedelta(days=n)} 12:00]"),
    ("range", lambda _: "empty"),
    ("money", str),
    ("xml", lambda n: f"<a>{n}</a>"),
    ("vector", lambda n: f"[{n}]"),
    ("interval", lambda n: f"{n} minutes"),
    ("bool", lambda _: "true"),
    ("uuid", lambda n: f"00000000-0000-0000-0000-{n:012d}"),
    ("json", lambda n: f'{{"n": {n}}}'),
    ("bytea", lambda n: f"h{n}"),
    ("time without", lambda n: f"12:{n // 60 % 60:02d}:{n % 60:02d}"),
    ("time with", lambda n: f"12:{n // 60 % 60:02d}:{n % 60:02d}+00"),
)


def value(column: ContractColumn, number: int) -> object:
    """Return the nth value of that column; of an enum and a boolean always the same, their others are tried by name."""
    return column.constant if column.constant is not None else of_type(column.type, number)


def of_type(kind: ContractType, number: int) -> object:  # noqa: C901, PLR0911, PLR0912 - one line for each family
    """Return the nth value of that type."""
    match kind.family:
        case Family.INTEGER:
            return number
        case Family.NUMERIC:
            room = (kind.precision - (kind.scale or 0)) if kind.precision is not None else 9
            return Decimal(number % 10**room) if room > 0 else Decimal(number).scaleb(-(kind.scale or 0))
        case Family.FLOAT:
            return number + 0.5
        case Family.BOOLEAN:
            return False
        case Family.DATE:
            return _DAY + timedelta(days=number)
        case Family.DATETIME:
            return datetime(2026, 1, 1, tzinfo=UTC if kind.timezone else None) + timedelta(minutes=number)
        case Family.TIME:
            return time(number % 24, number % 60, tzinfo=UTC if kind.timezone else None)
        case Family.INTERVAL:
            return timedelta(minutes=number)
        case Family.BINARY:
            return b"h%d" % number
        case Family.UUID:
            return UUID(int=number)
        case Family.JSON:
            return {"n": number}
        case Family.ENUM:
            return kind.values[0] if kind.values else None
        case Family.ARRAY:
            return [of_type(kind.item, number)] if kind.item else []
        case Family.STRING:
            return short_text(number, kind.size)
        case Family.OTHER:
            return written(kind.ddl, number)


def tells_apart(nth: Callable[[int], object]) -> bool:
    """Return whether each number gives a value of its own, for some ten thousand numbers at least."""
    return nth(0) not in [nth(period) for period in (1, *_PERIODS)]


def short_text(number: int, size: int | None) -> str:
    """Return a short text of its own for each number, as far as `size` characters allow."""
    digits = ""
    while number or not digits:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return f"h{digits}" if size is None or size > len(digits) else digits[-size:]


def furthest(kind: ContractType, *, unlimited: bool = False) -> object | None:
    """Return the longest or largest value that the type allows, None where that is nothing a server would refuse.

    For a column that is `unlimited` a long text does.
    """
    match kind.family:
        case Family.INTEGER:
            return (1 << ((kind.size or 32) - 1)) - 1
        case Family.STRING:
            longest = _LONG if unlimited else _LONGEST
            return "x" * min(kind.size or longest, longest)
        case Family.NUMERIC if kind.precision is not None:
            return Decimal(1).scaleb(kind.precision - (kind.scale or 0)) - 1
        case _:
            return None


def written(type_text: str, number: int, objects: Mapping[str, SchemaObject] | None = None) -> str:
    """Return the text of the nth value of a type that the server names so; enums and domains are among `objects`."""
    text = type_text.lower()
    named = type_text.replace('"', "")
    known = (objects or {}).get(named) or (objects or {}).get(named.rpartition(".")[2])
    if known is not None and known.kind == "enum":
        found = _QUOTED.findall(known.definition) or known.definition.replace(",", " ").split()
        return found[0] if found else ""
    if known is not None:
        return written(_DOMAIN_ENDS.split(known.definition)[0], number, objects)
    if text.endswith("[]"):
        return "{}"
    size = re.search(r"\((\d+)", text)
    if text.startswith("bit"):
        return "1" * (int(size[1]) if size and "varying" not in text else 1)
    if not text.startswith("timestamp"):
        for name, nth in _WRITTEN:
            if name in text:
                return nth(number)
    if re.search(r"int|serial|numeric|decimal|real|double|float", text):
        return str(number)
    if "date" in text or "timestamp" in text:
        moment = datetime(2026, 1, 1) + timedelta(minutes=number)  # noqa: DTZ001 - a text for a column of any zone
        return (_DAY + timedelta(days=number)).isoformat() if text == "date" else moment.isoformat(" ")
    return short_text(number, int(size[1]) if size else None)


def candidates(check: str) -> tuple[Any, ...]:
    """Return values that a check's text names, or that are near a number in it."""
    texts = [text.replace("''", "'") for text in _QUOTED.findall(check)]
    numbers = [Decimal(n) for n in _NUMBER.findall(_QUOTED.sub("", check))]
    near = [n + step for n in numbers for step in (0, 1, -1)]
    return (*dict.fromkeys(texts), *dict.fromkeys(int(n) if n == int(n) else float(n) for n in near))
