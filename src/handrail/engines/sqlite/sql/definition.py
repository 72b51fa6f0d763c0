"""Reads the CREATE TABLE text SQLite keeps, for what no pragma tells: names of constraints, CHECKs, collations.

The grammar: https://www.sqlite.org/lang_createtable.html. SQLite writes added columns into the same text, so that it is
always complete: https://www.sqlite.org/lang_altertable.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from handrail.engines.sqlite.sql.syntax import canonical, items, name, tokens
from handrail.model.schema import Constraint, ConstraintKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """What the text of one table says; columns are keyed by their name in lower case."""

    constraints: tuple[Constraint, ...]
    collations: dict[str, str]
    generated: dict[str, str]
    options: tuple[tuple[str, str], ...]


def read_table(sql: str) -> TableDefinition:
    """Return what a CREATE TABLE statement says, in one order for all texts that mean the same."""
    parts, rest = items(tokens(sql))
    reader = _TableReader()
    for part in parts:
        if not _TELLING.isdisjoint(map(str.upper, part)):  # most columns say no more than the pragma does
            reader.read(_atoms(part))
    tail = {word.upper() for word in rest}
    flags = tuple((flag, "yes") for flag, word in (("strict", "STRICT"), ("without rowid", "WITHOUT")) if word in tail)
    return TableDefinition(
        constraints=tuple(sorted(reader.constraints, key=lambda c: (c.kind.value, c.name, c.definition))),
        collations=reader.collations,
        generated=reader.generated,
        options=(*flags, *reader.options),
    )


def _atoms(words: Sequence[str]) -> list[str | list[str]]:
    """Return the words, those between parentheses as one atom each."""
    atoms: list[str | list[str]] = []
    group: list[str] = []
    depth = 0
    for word in words:
        depth -= word == ")"
        if depth:
            group.append(word)
        elif word == ")":
            atoms.append(group)
            group = []
        elif word != "(":
            atoms.append(word)
        depth += word == "("
    return atoms


class _TableReader:
    """Walks over the column definitions and table constraints of one table."""

    def __init__(self) -> None:
        self.atoms: list[str | list[str]] = []
        self.at = 0
        self.column_word = ""
        self.pending_name = ""
        self.constraints: list[Constraint] = []
        self.collations: dict[str, str] = {}
        self.generated: dict[str, str] = {}
        self.options: list[tuple[str, str]] = []

    def read(self, atoms: list[str | list[str]]) -> None:
        """Read one column with its constraints, or table constraints."""
        self.atoms, self.at = atoms, 0
        self.column_word = "" if self._peek() in _TABLE_CONSTRAINTS else self._word()
        while self.at < len(atoms):
            word = self._peek()
            self.at += 1
            clause = _CLAUSES.get(word)
            if clause:
                clause(self)
                self.pending_name = self.pending_name if word == "CONSTRAINT" else ""

    def constraint(self) -> None:
        self.pending_name = name(self._word())

    def primary_key(self) -> None:
        self._take("KEY")
        self._key(ConstraintKind.PRIMARY_KEY, "PRIMARY KEY")

    def unique(self) -> None:
        self._key(ConstraintKind.UNIQUE, "UNIQUE")

    def check(self) -> None:
        self._add(ConstraintKind.CHECK, canonical(["CHECK", "(", *self._group(), ")", *self._conflict()]))

    def foreign_key(self) -> None:
        self._take("KEY")
        columns = self._group()
        self._take("REFERENCES")
        self._references(columns)

    def references(self) -> None:
        self._references([self.column_word])

    def not_null(self) -> None:
        self._take("NULL")
        conflict = self._conflict()
        if conflict:
            self.options.append((f"{self._column()} not null", canonical(conflict)))

    def default(self) -> None:
        if self._peek() in {"+", "-"}:
            self.at += 1
        self.at += 1

    def collate(self) -> None:
        self.collations[self._column()] = name(self._word())

    def generated_as(self) -> None:
        self._take("ALWAYS")
        self._take("AS")
        self.generated[self._column()] = canonical(self._group())

    def _column(self) -> str:
        return name(self.column_word).lower()

    def _key(self, kind: ConstraintKind, words: str) -> None:
        columns = self._group() or [self.column_word]
        order = self._take("ASC") or self._take("DESC")
        key = canonical([words, "(", *columns, *(["DESC"] if order == "DESC" else []), ")"])
        tail = [*self._conflict(), self._take("AUTOINCREMENT")]
        self._add(kind, " ".join(word for word in (key, *tail) if word), columns=_names(columns))

    def _references(self, columns: list[str]) -> None:
        table = self._word()
        referenced = self._group()
        target = ["(", *referenced, ")"] if referenced else []
        text = canonical(["FOREIGN", "KEY", "(", *columns, ")", "REFERENCES", table, *target])
        self._add(
            ConstraintKind.FOREIGN_KEY,
            " ".join([text, *sorted(self._actions())]),
            columns=_names(columns),
            referenced_table=name(table),
            referenced_columns=_names(referenced),
        )

    def _actions(self) -> Iterator[str]:
        """Yield what follows a reference, without what would hold anyway (NO ACTION, NOT DEFERRABLE)."""
        while word := self._take("ON", "MATCH", "DEFERRABLE", "INITIALLY") or self._not_deferrable():
            match word:
                case "ON":
                    event, action = self._word().upper(), self._word().upper()
                    action += f" {self._word().upper()}" if action in {"SET", "NO"} else ""
                    if action != "NO ACTION":
                        yield f"ON {event} {action}"
                case "MATCH" | "INITIALLY":
                    yield f"{word} {self._word().upper()}"
                case "DEFERRABLE":
                    yield word

    def _not_deferrable(self) -> str:
        following = self.atoms[self.at + 1 : self.at + 2]
        if self._peek() != "NOT" or following == [] or str(following[0]).upper() != "DEFERRABLE":
            return ""
        self.at += 2
        return "NOT DEFERRABLE"

    def _conflict(self) -> list[str]:
        following = self.atoms[self.at + 1 : self.at + 2]
        if self._peek() != "ON" or following == [] or str(following[0]).upper() != "CONFLICT":
            return []
        self.at += 2
        return ["ON CONFLICT", self._word().upper()]

    def _add(
        self,
        kind: ConstraintKind,
        definition: str,
        *,
        columns: tuple[str, ...] = (),
        referenced_table: str = "",
        referenced_columns: tuple[str, ...] = (),
    ) -> None:
        self.constraints.append(
            Constraint(
                name=self.pending_name,
                kind=kind,
                definition=definition,
                columns=columns,
                referenced_table=referenced_table,
                referenced_columns=referenced_columns,
            )
        )

    def _peek(self) -> str:
        """Return the next word in upper case, '' at the end and before a parenthesis."""
        atom = self.atoms[self.at] if self.at < len(self.atoms) else ""
        return atom.upper() if isinstance(atom, str) else ""

    def _take(self, *options: str) -> str:
        word = self._peek()
        if word not in options:
            return ""
        self.at += 1
        return word

    def _word(self) -> str:
        atom = self.atoms[self.at] if self.at < len(self.atoms) else ""
        self.at += 1
        return atom if isinstance(atom, str) else ""

    def _group(self) -> list[str]:
        atom = self.atoms[self.at] if self.at < len(self.atoms) else ""
        if isinstance(atom, str):
            return []
        self.at += 1
        return atom


def _names(words: Sequence[str]) -> tuple[str, ...]:
    """Return the first word of each part of a list of columns."""
    starts = [0, *(at + 1 for at, word in enumerate(words) if word == ",")]
    return tuple(name(words[at]) for at in starts if at < len(words))


_TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
_TELLING = frozenset({*_TABLE_CONSTRAINTS, "REFERENCES", "COLLATE", "AS", "CONFLICT"})
_CLAUSES: dict[str, Callable[[_TableReader], None]] = {
    "CONSTRAINT": _TableReader.constraint,
    "PRIMARY": _TableReader.primary_key,
    "UNIQUE": _TableReader.unique,
    "CHECK": _TableReader.check,
    "FOREIGN": _TableReader.foreign_key,
    "REFERENCES": _TableReader.references,
    "NOT": _TableReader.not_null,
    "DEFAULT": _TableReader.default,
    "COLLATE": _TableReader.collate,
    "GENERATED": _TableReader.generated_as,
    "AS": _TableReader.generated_as,
}
