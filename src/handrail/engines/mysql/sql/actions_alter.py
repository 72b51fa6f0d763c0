"""What the parts of an ALTER TABLE do.

The grammar: https://dev.mysql.com/doc/refman/8.0/en/alter-table.html and https://mariadb.com/kb/en/alter-table/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from handrail.engines.mysql.sql.definition import PRIMARY, Defined, column_definition, definition, key
from handrail.engines.mysql.sql.syntax import Words, canonical, parts
from handrail.model import action as act
from handrail.model.action import Action

_KEYS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "INDEX", "KEY", "FULLTEXT", "SPATIAL")
#: What is told as one word: the table's options and what is done to its partitions or files.
_PHRASES = (
    "CONVERT TO CHARACTER SET",
    "CONVERT PARTITION",
    "CONVERT TABLE",
    "PARTITION BY",
    "REMOVE PARTITIONING",
    "REORGANIZE PARTITION",
    "COALESCE PARTITION",
    "REBUILD PARTITION",
    "TRUNCATE PARTITION",
    "EXCHANGE PARTITION",
    "ANALYZE PARTITION",
    "CHECK PARTITION",
    "OPTIMIZE PARTITION",
    "REPAIR PARTITION",
    "DISCARD TABLESPACE",
    "IMPORT TABLESPACE",
    "DISABLE KEYS",
    "ENABLE KEYS",
    "ORDER BY",
    "DEFAULT CHARACTER SET",
    "DEFAULT CHARSET",
    "DEFAULT COLLATE",
    "CHARACTER SET",
)
#: Options that hold a value that matters to whom the statement makes wait.
_ASKING = frozenset({"ALGORITHM", "LOCK"})


def altered(words: Words) -> tuple[Action, ...]:
    """Return the actions of an ALTER TABLE, whose first words were read already."""
    words.phrase("IF EXISTS")
    table = words.name()
    if words.take("WAIT"):
        words.word()
    words.take("NOWAIT")
    found = [action for part in parts(words.rest()) for action in _part(table, Words(part))]
    # A rename is the last thing to happen: the other parts are about the table under its old name.
    return tuple(sorted(found, key=lambda action: isinstance(action, act.RenameTable)))


def _part(table: str, words: Words) -> Iterator[Action]:
    phrase = next((p for p in _PHRASES if words.phrase(p)), "")
    if phrase:
        yield act.Other(what=phrase, table=table)
        return
    reader = _READERS.get(words.peek())
    if reader is not None:
        words.word()
        yield from reader(table, words)
        return
    yield from _options(table, words)


def _options(table: str, words: Words) -> Iterator[Action]:
    """Yield the table's options; several may stand beside one another without a comma."""
    while words:
        option = words.word().upper()
        if option == "PARTITION" and words.take("BY"):
            yield act.Other(what="PARTITION BY", table=table)
            return
        if option == "DEFAULT":
            continue
        if option == "CHARACTER":
            words.take("SET")
            option = "CHARACTER SET"
        words.take("=")
        value = words.word().upper() if words and option != "FORCE" else ""
        yield act.Other(what=f"{option}={value}" if option in _ASKING else option, table=table)


def asking(table: str, words: Words) -> Iterator[Action]:
    """Yield what the rest of a CREATE or DROP INDEX asks the server for: ALGORITHM and LOCK."""
    while words:
        option = words.word().upper()
        if option in _ASKING:
            words.take("=")
            yield act.Other(what=f"{option}={words.word().upper()}", table=table)


def _add(table: str, words: Words) -> Iterator[Action]:
    if words.take("PARTITION"):
        yield act.Other(what="ADD PARTITION", table=table)
        return
    if words.phrase("SYSTEM VERSIONING") or words.take("PERIOD"):
        yield act.Other(what="ADD SYSTEM VERSIONING", table=table)
        return
    if words.peek() in _KEYS:
        yield from _added(table, key(words), lenient=False)
        return
    words.take("COLUMN")
    lenient = words.phrase("IF NOT EXISTS")
    if words.peek() == "(":
        for part in parts(words.group()):
            yield from _added(table, definition(part), lenient=lenient)
        return
    column, constraints = column_definition(words)
    yield act.AddColumn(table=table, column=column, constraints=constraints, if_not_exists=lenient)


def _added(table: str, one: Defined, *, lenient: bool) -> Iterator[Action]:
    if one.column is not None:
        yield act.AddColumn(table=table, column=one.column, constraints=one.constraints, if_not_exists=lenient)
        return
    for constraint in one.constraints:
        yield act.AddConstraint(table=table, constraint=constraint)
    for index in one.indexes:
        yield act.CreateIndex(table=table, index=index)


def _drop(table: str, words: Words) -> Iterator[Action]:
    kind = words.take("PRIMARY", "FOREIGN", "INDEX", "KEY", "CONSTRAINT", "CHECK", "PARTITION", "SYSTEM", "COLUMN")
    if kind in {"PRIMARY", "FOREIGN"}:
        words.take("KEY")
    lenient = words.phrase("IF EXISTS")
    match kind:
        case "PRIMARY":
            yield act.DropConstraint(table=table, name=PRIMARY)
        case "FOREIGN" | "CONSTRAINT" | "CHECK":
            yield act.DropConstraint(table=table, name=words.name(), if_exists=lenient)
        case "INDEX" | "KEY":
            yield act.DropIndex(name=words.name(), table=table, if_exists=lenient)
        case "PARTITION" | "SYSTEM":
            yield act.Other(what="DROP PARTITION" if kind == "PARTITION" else "DROP SYSTEM VERSIONING", table=table)
        case _:
            # RESTRICT and CASCADE after it do nothing.
            yield act.DropColumn(table=table, column=words.name(), if_exists=lenient)


def _rename(table: str, words: Words) -> Iterator[Action]:
    kind = words.take("COLUMN", "INDEX", "KEY")
    if not kind:
        words.take("TO", "AS", "=")
        yield act.RenameTable(table=table, new_name=words.name())
        return
    old = words.name()
    words.take("TO")
    if kind == "COLUMN":
        yield act.RenameColumn(table=table, column=old, new_name=words.name())
    else:
        yield act.RenameIndex(name=old, new_name=words.name(), table=table)


def _modify(table: str, words: Words) -> Iterator[Action]:
    words.take("COLUMN")
    words.phrase("IF EXISTS")
    column, constraints = column_definition(words)
    yield act.RedefineColumn(table=table, column=column.name, new=column)
    for constraint in constraints:
        yield act.AddConstraint(table=table, constraint=constraint)


def _change(table: str, words: Words) -> Iterator[Action]:
    words.take("COLUMN")
    words.phrase("IF EXISTS")
    old = words.name()
    column, constraints = column_definition(words)
    yield act.RedefineColumn(table=table, column=old, new=column)
    for constraint in constraints:
        yield act.AddConstraint(table=table, constraint=constraint)


def _alter(table: str, words: Words) -> Iterator[Action]:
    kind = words.take("INDEX", "KEY", "CHECK", "CONSTRAINT", "COLUMN")
    words.phrase("IF EXISTS")
    altered_name = words.name()
    if kind in {"INDEX", "KEY", "CHECK", "CONSTRAINT"}:
        yield act.Other(what=f"ALTER {kind}", table=table)
    elif words.phrase("DROP DEFAULT"):
        yield act.AlterDefault(table=table, column=altered_name, default=None)
    elif words.phrase("SET DEFAULT"):
        text = canonical(words.rest())
        yield act.AlterDefault(table=table, column=altered_name, default=None if text.upper() == "NULL" else text)
    else:
        yield act.Other(what="ALTER COLUMN", table=table)


_READERS: dict[str, Callable[[str, Words], Iterator[Action]]] = {
    "ADD": _add,
    "ALTER": _alter,
    "CHANGE": _change,
    "DROP": _drop,
    "MODIFY": _modify,
    "RENAME": _rename,
}
