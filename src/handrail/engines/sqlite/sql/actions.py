"""What a statement does to schema and rows, read from its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from handrail.engines.plain_view import handed_on
from handrail.engines.sqlite.sql.definition import read_table
from handrail.engines.sqlite.sql.syntax import Shape, Verb, canonical, items, name, shape
from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.schema import Constraint, ConstraintKind
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec

#: What ends the type of a column: https://www.sqlite.org/syntax/column-constraint.html.
_AFTER_TYPE = frozenset(
    {
        "AS",
        "CHECK",
        "COLLATE",
        "CONSTRAINT",
        "DEFAULT",
        "GENERATED",
        "NOT",
        "NULL",
        "PRIMARY",
        "REFERENCES",
        "UNIQUE",
    }
)  # fmt: skip - a list of words
_TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
_ON_DELETE = re.compile(r"ON DELETE (CASCADE|SET NULL|SET DEFAULT|RESTRICT)")
_VOLATILE = frozenset({"RANDOM", "RANDOMBLOB"})


@lru_cache(maxsize=4096)  # asked again in the other direction
def actions(sql: str) -> tuple[Action, ...]:
    """Return the action of the statement; Opaque where it could not be read."""
    read = shape(sql)
    if read is None:
        return (act.Opaque(reason="it was not understood as SQLite's SQL"),)
    found = _action(read)
    return () if found is None else (found,)


def _action(read: Shape) -> Action | None:
    found: Action | None = None
    match read.verb:
        case Verb.CREATE:
            found = _create(read)
        case Verb.DROP:
            found = _drop(read)
        case Verb.ADD_COLUMN:
            found = _add_column(read)
        case Verb.DROP_COLUMN:
            found = act.DropColumn(table=read.name, column=read.column)
        case Verb.RENAME_TABLE:
            found = act.RenameTable(table=read.name, new_name=read.new_name)
        case Verb.RENAME_COLUMN:
            found = act.RenameColumn(table=read.name, column=read.column, new_name=read.new_name)
        case Verb.INSERT | Verb.UPDATE | Verb.DELETE:
            found = _write(read)
        case Verb.PRAGMA:
            found = _pragma(read)
        case Verb.SESSION:
            found = act.TransactionControl(word=read.words[0].upper())
        case Verb.VACUUM | Verb.MAINTAIN:
            found = act.Other(what=read.words[0].upper(), table=read.name)
        case Verb.SELECT:
            found = None
    return found


def _create(read: Shape) -> Action:
    lenient = "IF" in _upper(read)[2:4]
    match read.kind:
        case "TABLE" if read.from_query:
            return act.CreateTable(table=read.name, from_query=True, temporary=read.temporary)
        case "TABLE":
            return _create_table(read, lenient=lenient)
        case "INDEX":
            return act.CreateIndex(table=read.table, index=_index(read), if_not_exists=lenient)
        case "VIEW":
            return act.CreateObject(
                kind="view",
                name=read.name,
                reads=_tables_read(read.words),
                definition=" ".join(read.words),
                handed_on=handed_on(read.body[1:], name),
            )
        case _:
            return act.CreateObject(kind="trigger", name=read.name, table=read.table)


def _upper(read: Shape) -> list[str]:
    return [word.upper() for word in read.words]


def _create_table(read: Shape, *, lenient: bool) -> Action:
    parts, _rest = items(read.words)
    columns = [_column(part) for part in parts if part and part[0].upper() not in _TABLE_CONSTRAINTS]
    constraints = tuple(_constraint(c) for c in read_table(" ".join(read.words)).constraints)
    return act.CreateTable(
        table=read.name,
        columns=tuple(columns),
        constraints=constraints,
        if_not_exists=lenient,
        temporary=read.temporary,
    )


def _column(words: Sequence[str]) -> ColumnSpec:
    """Return one column definition: name, type, constraints."""
    upper = [word.upper() for word in words]
    end = next((at for at, word in enumerate(upper[1:], start=1) if word in _AFTER_TYPE), len(words))
    rest = upper[end:]
    not_null = any(rest[at : at + 2] == ["NOT", "NULL"] for at in range(len(rest)))
    default = _default(words[end:])
    generated = "AS" in rest
    return ColumnSpec(
        name=name(words[0]),
        type=canonical(words[1:end]).lower().replace(", ", ","),
        nullable=not not_null and "PRIMARY" not in rest,
        default=default,
        generated=canonical(items(words[end + rest.index("AS") :])[0][0]) if generated else "",
        stored=not generated or "STORED" in rest,
        identity="serial" if "AUTOINCREMENT" in rest else "",
        collation=name(*words[end + rest.index("COLLATE") + 1 :][:1] or [""]) if "COLLATE" in rest else "",
        volatile_default=default is not None and any(word in default.upper() for word in _VOLATILE),
    )


def _default(words: Sequence[str]) -> str | None:
    upper = [word.upper() for word in words]
    if "DEFAULT" not in upper:
        return None
    at = upper.index("DEFAULT") + 1
    first = "".join(words[at : at + 1])
    if first == "(":
        return f"({canonical(items(words[at:])[0][0])})"
    return canonical(words[at : at + (2 if first in {"+", "-"} else 1)])


def _constraint(found: Constraint) -> ConstraintSpec:
    on_delete = _ON_DELETE.search(found.definition)
    check, foreign = found.kind is ConstraintKind.CHECK, found.kind is ConstraintKind.FOREIGN_KEY
    return ConstraintSpec(
        name=found.name,
        kind=found.kind,
        columns=found.columns,
        expression=found.definition.removeprefix("CHECK").strip(" ()") if check else "",
        referenced_table=found.referenced_table,
        referenced_columns=found.referenced_columns,
        on_delete=on_delete[1] if on_delete else "",
        deferrable=" ".join(
            word for word in ("DEFERRABLE", "INITIALLY DEFERRED") if foreign and word in found.definition
        ),
    )


def _index(read: Shape) -> IndexSpec:
    upper = _upper(read)
    at = upper.index("ON")
    parts, rest = items(read.words[at:])
    words = [word.upper() for word in rest]
    where = canonical(rest[words.index("WHERE") + 1 :]) if "WHERE" in words else ""
    columns = tuple(name(part[0]) if len(part) <= 2 else canonical(part) for part in parts if part)  # noqa: PLR2004 - a name and its order
    return IndexSpec(name=read.name, columns=columns, unique=upper[1] == "UNIQUE", where=where)


def _drop(read: Shape) -> Action:
    lenient = "EXISTS" in _upper(read)[2:4]
    match read.kind:
        case "TABLE":
            return act.DropTable(table=read.name, if_exists=lenient)
        case "INDEX":
            return act.DropIndex(name=read.name, if_exists=lenient)
        case _:
            return act.DropObject(kind=read.kind.lower(), name=read.name, if_exists=lenient)


def _add_column(read: Shape) -> Action:
    upper = _upper(read)
    at = upper.index("ADD") + 1
    words = read.words[at + (upper[at] == "COLUMN") :]
    found = read_table(f"CREATE TABLE t ({' '.join(words)})")
    return act.AddColumn(
        table=read.name, column=_column(words), constraints=tuple(_constraint(c) for c in found.constraints)
    )


def _write(read: Shape) -> Action:
    upper = _upper(read)
    verb = {Verb.UPDATE: act.Verb.UPDATE, Verb.DELETE: act.Verb.DELETE}.get(read.verb, act.Verb.INSERT)
    where = canonical(read.words[upper.index("WHERE") + 1 :]) if "WHERE" in upper else ""
    return act.WriteRows(
        verb=verb,
        table=read.name,
        where="" if verb is act.Verb.INSERT else where,
        columns=_written(read, verb),
        reads=tuple(table for table in _tables_read(read.words) if table != read.name),
    )


def _written(read: Shape, verb: act.Verb) -> tuple[str, ...]:
    """Return the columns that an INSERT names or an UPDATE sets."""
    upper = _upper(read)
    if verb is act.Verb.UPDATE and "SET" in upper:
        begin = upper.index("SET")
        starts = [begin, *(at for at, word in enumerate(upper) if word == "," and at > begin)]
        return tuple(name(read.words[at + 1]) for at in starts if read.words[at + 2 : at + 3] == ("=",))
    if verb is act.Verb.INSERT and "(" in upper and upper[upper.index("(") - 1] not in {"VALUES", "SELECT"}:
        return tuple(name(part[0]) for part in items(read.words)[0] if len(part) == 1)
    return ()


def _tables_read(words: Sequence[str]) -> tuple[str, ...]:
    """Return the names after FROM and JOIN."""
    upper = [word.upper() for word in words]
    starts = [at + 1 for at, word in enumerate(upper[:-1]) if word in {"FROM", "JOIN"} and upper[at + 1] != "("]
    return tuple(dict.fromkeys(name(words[at]) for at in starts))


def _pragma(read: Shape) -> Action | None:
    if "=" not in read.words:
        return None
    return act.SetSetting(name=read.name, value=canonical(read.words[read.words.index("=") + 1 :]))
