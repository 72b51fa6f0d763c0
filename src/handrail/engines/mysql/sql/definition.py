"""Reads what stands between the parentheses of CREATE TABLE, and after ADD, MODIFY and CHANGE.

The grammar: https://dev.mysql.com/doc/refman/8.0/en/create-table.html and
https://mariadb.com/kb/en/create-table/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from handrail.engines.mysql.sql.syntax import Words, canonical, columns, name, parts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec

#: The one name a primary key has: https://dev.mysql.com/doc/refman/8.0/en/create-table.html#create-table-indexes-keys.
PRIMARY = "PRIMARY"
_KEYS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "INDEX", "KEY", "FULLTEXT", "SPATIAL"})
#: Further words of a type: https://dev.mysql.com/doc/refman/8.0/en/data-types.html.
_OF_TYPES = frozenset({"UNSIGNED", "SIGNED", "ZEROFILL", "PRECISION", "VARYING", "BINARY", "ASCII", "UNICODE"})
_SYNONYMS = {
    "integer": "int",
    "dec": "decimal",
    "numeric": "decimal",
    "fixed": "decimal",
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
    "character": "char",
    "character varying": "varchar",
    "double precision": "double",
    "real": "double",
}
_VOLATILE = ("RAND", "UUID", "SYS_GUID", "UUID_SHORT", "RANDOM_BYTES", "LAST_INSERT_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """What one definition brings: a column with its own constraints, a constraint, or an index."""

    column: ColumnSpec | None = None
    constraints: tuple[ConstraintSpec, ...] = ()
    indexes: tuple[IndexSpec, ...] = ()


def definitions(group: Sequence[str]) -> list[Defined]:
    """Return what the parts of a CREATE TABLE define, in order; NOT NULL where the primary key makes it so."""
    found = [definition(part) for part in parts(group) if part]
    keys = (c for one in found for c in one.constraints if c.kind is ConstraintKind.PRIMARY_KEY)
    in_key = {column for key in keys for column in key.columns}
    return [
        replace(one, column=replace(one.column, nullable=False)) if one.column and one.column.name in in_key else one
        for one in found
    ]


def definition(part: Sequence[str]) -> Defined:
    """Return what one part defines."""
    words = Words(part)
    if words.peek() in _KEYS:
        return key(words)
    column, constraints = column_definition(words)
    return Defined(column=column, constraints=constraints)


def key(words: Words) -> Defined:
    """Return the constraint or index that comes next."""
    given = ""
    if words.take("CONSTRAINT") and words.peek() not in _KEYS:
        given = words.name()
    words.phrase("IF NOT EXISTS")
    match words.take(*_KEYS):
        case "PRIMARY":
            words.take("KEY")
            _index_name(words)
            constraint = ConstraintSpec(name=PRIMARY, kind=ConstraintKind.PRIMARY_KEY, columns=columns(words.group()))
        case "UNIQUE":
            words.take("INDEX", "KEY")
            own = _index_name(words)
            constraint = ConstraintSpec(name=own or given, kind=ConstraintKind.UNIQUE, columns=columns(words.group()))
        case "FOREIGN":
            words.take("KEY")
            own = _index_name(words)
            constraint = _references(given or own, columns(words.group()), words)
        case "CHECK":
            constraint = ConstraintSpec(name=given, kind=ConstraintKind.CHECK, expression=canonical(words.group()))
        case "FULLTEXT" | "SPATIAL" as method:
            words.take("INDEX", "KEY")
            return Defined(indexes=(_index(words, method=method.lower()),))
        case _:
            return Defined(indexes=(_index(words, method=""),))
    return Defined(constraints=(constraint,))


def _index(words: Words, *, method: str) -> IndexSpec:
    own = _index_name(words)
    return IndexSpec(name=own, columns=columns(words.group()), method=method)


def _index_name(words: Words) -> str:
    """Return the index's name, '' where none is given; USING BTREE may stand before or after it."""
    words.phrase("IF NOT EXISTS")
    found = "" if words.peek() in {"(", "USING"} else words.name()
    if words.take("USING"):
        words.word()
    return found


def _references(given: str, here: tuple[str, ...], words: Words) -> ConstraintSpec:
    words.take("REFERENCES")
    table = words.name()
    there = columns(words.group())
    on_delete = ""
    while words.peek() in {"ON", "MATCH"}:
        if words.phrase("ON DELETE"):
            on_delete = _reaction(words)
        elif words.phrase("ON UPDATE"):
            _reaction(words)
        else:
            words.word()
            words.word()
    return ConstraintSpec(
        name=given,
        kind=ConstraintKind.FOREIGN_KEY,
        columns=here,
        referenced_table=table,
        referenced_columns=there,
        # RESTRICT and NO ACTION are the same: https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html
        on_delete="" if on_delete in {"RESTRICT", "NO ACTION"} else on_delete,
    )


def _reaction(words: Words) -> str:
    first = words.word().upper()
    return f"{first} {words.word().upper()}" if first in {"SET", "NO"} else first


def column_definition(words: Words) -> tuple[ColumnSpec, tuple[ConstraintSpec, ...]]:
    """Return the column that comes next, name first, and the constraints that stand at it."""
    found = _Column(name(words.word()), _type(words))
    while words:
        found.attribute(words)
    return found.spec(), tuple(found.constraints)


def _type(words: Words) -> str:
    """Return the type that comes next in one spelling, in lower case but for the values of ENUM and SET."""
    base = [words.word().lower()]
    while words.peek() in _OF_TYPES:
        base.append(words.word().lower())
    listed = words.group()
    while words.peek() in _OF_TYPES:
        base.append(words.word().lower())
    signs = [word for word in base if word in {"unsigned", "zerofill"}]
    plain = " ".join(word for word in base if word not in {"unsigned", "signed", "zerofill"})
    plain = _SYNONYMS.get(plain, plain)
    size = "(" + ",".join(canonical(part) for part in parts(listed)) + ")" if listed else ""
    if plain in {"int", "bigint", "smallint", "mediumint", "tinyint"} and size != "(1)":
        size = ""  # a display width: https://dev.mysql.com/doc/refman/8.0/en/numeric-type-attributes.html
    return " ".join((plain + size, *signs))


class _Column:
    """One column while its attributes are read."""

    def __init__(self, name: str, type_: str) -> None:
        # What AUTO_INCREMENT, PRIMARY KEY and NOT NULL say comes as attributes.
        serial = type_ == "serial"
        self.column = ColumnSpec(
            name=name,
            type="bigint unsigned" if serial else type_,
            nullable=not serial,
            default=None,
            identity="serial" if serial else "",
        )
        self.constraints: list[ConstraintSpec] = []
        self.pending = ""

    def spec(self) -> ColumnSpec:
        """Return the column as it was read."""
        return self.column

    def attribute(self, words: Words) -> None:
        """Read one attribute and step over it."""
        if words.phrase("NOT NULL"):
            self.column = replace(self.column, nullable=False)
        elif words.take("NULL"):
            self.column = replace(self.column, nullable=True)
        elif words.take("DEFAULT"):
            self._default(words)
        elif words.take("AUTO_INCREMENT"):
            self.column = replace(self.column, identity="serial", nullable=False)
        elif words.take("COMMENT"):
            self.column = replace(self.column, comment=name(words.word()))
        elif words.take("COLLATE"):
            self.column = replace(self.column, collation=words.name())
        elif words.phrase("CHARACTER SET") or words.take("CHARSET"):
            self.column = replace(self.column, collation=self.column.collation or words.name())
        elif words.phrase("ON UPDATE"):
            self._on_update(words)
        else:
            self._constraint(words)

    def _default(self, words: Words) -> None:
        if words.peek() == "(":
            text = f"({canonical(words.group())})"
        else:
            text = words.word()
            if text in {"+", "-"}:
                text += words.word()
            if words.peek() == "(":
                text += f"({canonical(words.group())})"
        if text.upper() == "NULL":
            self.column = replace(self.column, default=None)
            return
        upper = text.upper()
        self.column = replace(
            self.column, default=text, volatile_default=any(f"{word}(" in upper for word in _VOLATILE)
        )

    def _on_update(self, words: Words) -> None:
        text = words.word()
        if words.peek() == "(":
            text += f"({canonical(words.group())})"
        default = self.column.default
        told = f"ON UPDATE {text}"
        self.column = replace(self.column, default=f"{default} {told}" if isinstance(default, str) else told)

    def _constraint(self, words: Words) -> None:
        own = self.column.name
        if words.take("CONSTRAINT"):
            self.pending = "" if words.peek() in _KEYS else words.name()
        elif words.take("UNIQUE"):
            words.take("KEY")
            self._add(ConstraintSpec(name=self.pending, kind=ConstraintKind.UNIQUE, columns=(own,)))
        elif words.take("PRIMARY", "KEY"):
            words.take("KEY")
            self.column = replace(self.column, nullable=False)
            self._add(ConstraintSpec(name=PRIMARY, kind=ConstraintKind.PRIMARY_KEY, columns=(own,)))
        elif words.peek() == "REFERENCES":
            self._add(_references(self.pending, (own,), words))
        elif words.take("CHECK"):
            self._add(ConstraintSpec(name=self.pending, kind=ConstraintKind.CHECK, expression=canonical(words.group())))
        elif words.phrase("GENERATED ALWAYS AS") or words.take("AS"):
            expression = canonical(words.group())
            stored = words.take("STORED", "PERSISTENT", "VIRTUAL") in {"STORED", "PERSISTENT"}
            self.column = replace(self.column, generated=expression, stored=stored)
        else:
            words.word()

    def _add(self, constraint: ConstraintSpec) -> None:
        self.constraints.append(constraint)
        self.pending = ""
