"""Turns the type of a contract back into the type that the version's own statements bind values by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from handrail.model.contract import ContractType, Family

_BITS = {16: sa.SmallInteger, 32: sa.Integer, 64: sa.BigInteger}


class Verbatim(UserDefinedType[Any]):
    """Sends a value as it is, so that the server decides by the column what it becomes."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        """Never used in DDL."""
        return "text"


@cache  # SQLAlchemy works out what a type does on a dialect once for each object
def bound_type(of: ContractType) -> TypeEngine[Any]:
    """Return the SQLAlchemy type of a contract's type; one that sends values as they are where it is no common one."""
    make = _MADE.get(of.family)
    return Verbatim() if make is None else make(of)


def _enum(of: ContractType) -> TypeEngine[Any]:
    if of.native and of.type_name:
        return sa.Enum(*of.values, name=of.type_name, schema=of.type_schema)
    return sa.String(of.size)


def _array(of: ContractType) -> TypeEngine[Any]:
    return Verbatim() if of.item is None else sa.ARRAY(bound_type(of.item))


def _json(of: ContractType) -> type[sa.JSON]:
    return postgresql.JSONB if of.name == "JSONB" else sa.JSON


_MADE: dict[Family, Callable[[ContractType], TypeEngine[Any]]] = {
    Family.INTEGER: lambda of: _BITS[of.size or 32](),
    Family.NUMERIC: lambda of: sa.Numeric(of.precision, of.scale),
    Family.STRING: lambda of: sa.Text() if of.name == "Text" else sa.String(of.size),
    Family.DATETIME: lambda of: sa.DateTime(timezone=of.timezone),
    Family.TIME: lambda of: sa.Time(timezone=of.timezone),
    Family.JSON: lambda of: _json(of)(none_as_null=not of.null_is_value),
    Family.ENUM: _enum,
    Family.ARRAY: _array,
    Family.FLOAT: lambda _of: sa.Float(),
    Family.BOOLEAN: lambda _of: sa.Boolean(),
    Family.DATE: lambda _of: sa.Date(),
    Family.INTERVAL: lambda _of: sa.Interval(),
    Family.BINARY: lambda _of: sa.LargeBinary(),
    Family.UUID: lambda _of: sa.Uuid(),
}
