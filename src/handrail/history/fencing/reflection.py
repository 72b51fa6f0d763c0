"""Answers what SQLAlchemy's inspector asks, from the schema that the revisions before have made.

`inspect(op.get_bind())`, `Table(..., autoload_with=...)`, `create_all()` and a batch that makes a table anew all come
down to these methods of the dialect. Source: https://docs.sqlalchemy.org/en/21/core/internals.html,
`sqlalchemy.engine.interfaces.Dialect`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import ARRAY, Enum
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import TypeEngine, UserDefinedType

from handrail.model.replayed import Replayed, bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.schema import ConstraintKind

if TYPE_CHECKING:
    from handrail.history.fencing.nulldb import Tape
    from handrail.model.spec import ColumnSpec, ConstraintSpec

#: What PostgreSQL calls a constraint that nobody named.
#: Source: https://github.com/postgres/postgres/blob/REL_18_0/src/backend/commands/indexcmds.c, ChooseIndexName
_MADE_UP = {
    ConstraintKind.PRIMARY_KEY: "{table}_pkey",
    ConstraintKind.FOREIGN_KEY: "{table}_{columns}_fkey",
    ConstraintKind.UNIQUE: "{table}_{columns}_key",
    ConstraintKind.CHECK: "{table}_{columns}_check",
}
_TYPE = re.compile(r"(?P<name>[^(\[]+?)\s*(?:\((?P<arguments>[^)]*)\))?(?P<rest>[^\[]*)(?P<array>(?:\[\d*\])*)")


class WrittenType(UserDefinedType[Any]):
    """A type in the server's own words, for which SQLAlchemy has no class."""

    cache_ok = True

    def __init__(self, words: str = "text") -> None:
        self.words = words

    def get_col_spec(self, **_options: object) -> str:
        """Return the words."""
        return self.words


class Reflecting:
    """The methods of a dialect that look at the schema; mixed in before a real one.

    Each answers from the tape's schema, and where that has none, as the real one does on an empty database.
    """

    if TYPE_CHECKING:
        name: str
        tape: ClassVar[Tape]
        ischema_names: dict[str, Any]

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **options: Any) -> bool:
        """Whether there is a table or view of that name."""
        state = self.tape.look(table_name)
        if state is None:
            return bool(_real(self, "has_table")(connection, table_name, schema=schema, **options))
        name = _full(table_name, schema)
        return state.table(name) is not None or any(n == name for kind, n in state.objects if "view" in kind)

    def has_type(self, connection: Any, type_name: str, schema: str | None = None, **options: Any) -> bool:
        """Whether there is a type of that name (PostgreSQL)."""
        state = self.tape.look("")
        if state is None or not state.certain:
            return bool(_real(self, "has_type")(connection, type_name, schema=schema, **options))
        return _full(type_name, schema) in state.enums

    def get_table_names(self, connection: Any, schema: str | None = None, **options: Any) -> list[str]:
        """Return the tables of one schema."""
        state = self.tape.look("all tables")
        if state is None:
            return list(_real(self, "get_table_names")(connection, schema=schema, **options))
        return sorted(_inside(state.tables, schema))

    def get_view_names(self, connection: Any, schema: str | None = None, **options: Any) -> list[str]:
        """Return the views of one schema."""
        state = self.tape.look("all views")
        if state is None:
            return list(_real(self, "get_view_names")(connection, schema=schema, **options))
        return sorted(_inside((name for kind, name in state.objects if kind == "view"), schema))


def _columns(dialect: Reflecting, state: Replayed, table: ReplayedTable) -> list[dict[str, Any]]:
    return [_column(dialect, column, table, state) for column in table.columns]


def _primary_key(dialect: Reflecting, _state: Replayed, table: ReplayedTable) -> dict[str, Any]:
    for key, name in _constraints(dialect, table, ConstraintKind.PRIMARY_KEY):
        return {"constrained_columns": list(key.columns), "name": name}
    return {"constrained_columns": [], "name": None}


def _foreign_keys(dialect: Reflecting, state: Replayed, table: ReplayedTable) -> list[dict[str, Any]]:
    keys = []
    for key, name in _constraints(dialect, table, ConstraintKind.FOREIGN_KEY):
        schema, _, referred = bare(key.referenced_table).rpartition(".")
        other = state.table(key.referenced_table)
        keys.append(
            {
                "name": name,
                "constrained_columns": list(key.columns),
                "referred_schema": schema or None,
                "referred_table": referred,
                "referred_columns": list(key.referenced_columns or (other.primary_key if other else ())),
                "options": {"ondelete": key.on_delete} if key.on_delete else {},
            }
        )
    return keys


def _unique_constraints(dialect: Reflecting, _state: Replayed, table: ReplayedTable) -> list[dict[str, Any]]:
    unique = _constraints(dialect, table, ConstraintKind.UNIQUE)
    return [{"name": name, "column_names": list(one.columns)} for one, name in unique]


def _check_constraints(dialect: Reflecting, _state: Replayed, table: ReplayedTable) -> list[dict[str, Any]]:
    checks = _constraints(dialect, table, ConstraintKind.CHECK)
    return [{"name": name, "sqltext": one.expression} for one, name in checks]


def _indexes(_dialect: Reflecting, _state: Replayed, table: ReplayedTable) -> list[dict[str, Any]]:
    names = {column.name for column in table.columns}
    return [
        {
            "name": index.name,
            "column_names": [name if name in names else None for name in index.columns],
            "unique": index.unique,
            **({} if names.issuperset(index.columns) else {"expressions": list(index.columns)}),
        }
        for index in table.indexes
    ]


def _no_comment(_dialect: Reflecting, _state: Replayed, _table: ReplayedTable) -> dict[str, Any]:
    return {"text": None}


def _no_options(_dialect: Reflecting, _state: Replayed, _table: ReplayedTable) -> dict[str, Any]:
    return {}


_Answer = Callable[[Reflecting, Replayed, ReplayedTable], Any]
_OF_A_TABLE: dict[str, _Answer] = {
    "get_columns": _columns,
    "get_pk_constraint": _primary_key,
    "get_foreign_keys": _foreign_keys,
    "get_unique_constraints": _unique_constraints,
    "get_check_constraints": _check_constraints,
    "get_indexes": _indexes,
    "get_table_comment": _no_comment,
    "get_table_options": _no_options,
}
#: With a schema at hand, what asks for many tables asks for one after the other.
_OF_MANY = (
    "has_multi_table",
    "get_multi_columns",
    "get_multi_pk_constraint",
    "get_multi_foreign_keys",
    "get_multi_indexes",
    "get_multi_unique_constraints",
    "get_multi_check_constraints",
    "get_multi_table_comment",
    "get_multi_table_options",
)


def _real(dialect: Reflecting, name: str) -> Any:
    return getattr(super(Reflecting, dialect), name)


def _of_a_table(name: str, answer: _Answer) -> Callable[..., Any]:
    def method(self: Reflecting, connection: Any, table_name: str, schema: str | None = None, **options: Any) -> Any:
        state = self.tape.look(table_name)
        if state is None:
            return _real(self, name)(connection, table_name, schema=schema, **options)
        table = state.table(_full(table_name, schema))
        if table is None:
            raise NoSuchTableError(table_name)
        return answer(self, state, table)

    return method


def _of_many(name: str) -> Callable[..., Any]:
    def method(self: Reflecting, connection: Any, *arguments: Any, **options: Any) -> Any:
        if self.tape.look("") is None:
            return _real(self, name)(connection, *arguments, **options)
        return getattr(DefaultDialect, name)(self, connection, *arguments, **options)

    return method


for _name, _answer in _OF_A_TABLE.items():
    setattr(Reflecting, _name, _of_a_table(_name, _answer))
for _name in _OF_MANY:
    if hasattr(DefaultDialect, _name):  # has_multi_table came with SQLAlchemy 2.1
        setattr(Reflecting, _name, _of_many(_name))


def _constraints(
    dialect: Reflecting, table: ReplayedTable, kind: ConstraintKind
) -> Iterator[tuple[ConstraintSpec, str | None]]:
    for one in table.constraints:
        if one.kind is kind:
            made_up = _MADE_UP[kind].format(table=table.name.rpartition(".")[2], columns="_".join(one.columns))
            yield one, one.name or (made_up if dialect.name == "postgresql" else None)


def _column(dialect: Reflecting, column: ColumnSpec, table: ReplayedTable, state: Replayed) -> dict[str, Any]:
    key = table.primary_key
    told: dict[str, Any] = {
        "name": column.name,
        "type": _type(dialect, column.type, state) if isinstance(column.type, str) else WrittenType(),
        "nullable": column.nullable is not False,
        "default": column.default if isinstance(column.default, str) else None,
        "autoincrement": bool(column.identity),
        "comment": column.comment or None,
        "primary_key": key.index(column.name) + 1 if column.name in key else 0,
    }
    if column.generated:
        told["computed"] = {"sqltext": column.generated, "persisted": column.stored}
    return told


def _type(dialect: Reflecting, words: str, state: Replayed) -> TypeEngine[Any]:
    if bare(words) in state.enums:
        return Enum(*state.enums[bare(words)], name=bare(words))
    match = _TYPE.fullmatch(words.strip())
    if match is None:
        return WrittenType(words)
    name = match["name"] + match["rest"]
    known = dialect.ischema_names
    kind = next((known[n] for n in (name, name.lower(), name.upper()) if n in known), None)
    if kind is None:
        return WrittenType(words)
    numbers = [int(part) for part in (match["arguments"] or "").split(",") if part.strip().isdigit()]
    found = _made(kind, numbers, zoned="with time zone" in name)
    return ARRAY(found) if match["array"] else found


def _made(kind: Any, numbers: list[int], *, zoned: bool) -> TypeEngine[Any]:
    for attempt in (
        (lambda: kind(timezone=True)) if zoned else (lambda: kind(*numbers)),
        kind,
    ):
        try:
            made: TypeEngine[Any] = attempt()
        except TypeError:
            continue
        return made
    return WrittenType(kind.__name__)


def _full(name: str, schema: str | None) -> str:
    return bare(f"{schema}.{name}" if schema else name)


def _inside(names: Iterable[str], schema: str | None) -> Iterator[str]:
    wanted = "" if schema in {None, "public", "main"} else schema
    for full in names:
        inside, _, name = full.rpartition(".")
        if inside == wanted:
            yield name
