"""The rows that a version writes to one table: a value for every column it can write, parents planted first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from handrail.compat.attempt import FAILURES
from handrail.compat.bound_type import bound_type
from handrail.compat.planting import FIRST_OWN, CannotPlant, Planter, apart
from handrail.compat.values import furthest, tells_apart, value
from handrail.model.contract import ContractColumn, ContractTable, Family, Source
from handrail.model.schema import Constraint, ConstraintKind, Table, compared

#: PostgreSQL's types that take a text of any length.
_UNLIMITED = frozenset({"text", "character varying"})
_CONDITION = re.compile(r"\bWHERE (.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueKey:
    """Columns of which two rows cannot be equal, () for expressions alone; `text` is the server's own."""

    columns: tuple[str, ...]
    text: str

    @property
    def condition(self) -> str:
        """Under which condition it holds, '' where it always does."""
        found = _CONDITION.search(self.text)
        return found[1] if found else ""

    @property
    def conditional(self) -> bool:
        """Whether its columns alone do not say what must not be equal."""
        return bool(self.condition) or not self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What was found out about a version where it is at home, and holds at every other revision.

    `keys` are the columns known to be unique there, `partial` those under a condition, `parents` the columns that had
    to name a row of another table, `values` what passes the CHECKs there, `writable` whether a row of those did,
    `refused` the columns and values that were refused there already, `sealed` the columns whose UPDATE was refused
    there where an INSERT was not, as triggers do; rows that were `lasting` there cannot be deleted.
    """

    keys: frozenset[tuple[str, ...]] = frozenset()
    partial: frozenset[UniqueKey] = frozenset()
    parents: frozenset[tuple[str, ...]] = frozenset()
    values: tuple[tuple[str, Any], ...] = ()
    refused: frozenset[tuple[str, str]] = frozenset()
    sealed: frozenset[str] = frozenset()
    lasting: bool = False
    writable: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Makes rows of one table of a contract. `mapped` are all tables of the contract by their names in the snapshot."""

    planter: Planter
    table: ContractTable
    name: str
    mapped: Mapping[str, ContractTable] = field(default_factory=dict)
    habits: Habits = field(default_factory=Habits)

    @property
    def live(self) -> Table | None:
        """The table as it is; None for a view, or where there is none."""
        return self.planter.table(self.name)

    @property
    def target(self) -> sa.TableClause:
        """The table as the version's own statements name it."""
        columns = [sa.column(c.name, bound_type(c.type)) for c in self.table.columns]
        return sa.table(self.table.name, *columns, schema=self.table.schema)

    def row(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for every column that the version can write, its parents planted.

        Those in `chosen` are kept; a key that is NULL there needs no parent. Raises CannotPlant.
        """
        number, nth = next(self.planter.numbers), self.planter.place_of_own()
        row = {c.name: value(c, number) for c in self.table.columns if sent(c)}
        row.update({name: text for name, text in self.habits.values if name in row})
        row.update(chosen)
        alone = self._alone()
        for place, key in apart(self.foreign_keys()):
            given = [name for name in key.columns if name in row]  # the others are the server's to fill
            if not given or any(row[name] is None for name in given):
                continue
            own = nth if alone.intersection(key.columns) else 0
            found = self._parent(key, row, own=own, place=place)
            ours = found.keys() & row.keys() - chosen.keys()
            row.update({name: self._as_written(name, found[name]) for name in ours})
        return row

    def _parent(self, key: Constraint, row: Mapping[str, Any], *, own: int, place: int) -> Mapping[str, Any]:
        """Return the values of a foreign key's columns, after making the row they name; {} where they stay as they are.

        A table that came later than the version it knows nothing of: it sends values that are not there. Where the rows
        of its own table have moved elsewhere, it makes the parent by its own statement.
        """
        through = self._moved(key)
        if through is not None:
            return self._made_through(through, key)
        if key.referenced_table == self.name:
            return self._of_itself(key, row, own=own, place=place)
        if key.referenced_table in self.mapped or self.table.mapped_of(key.columns) in self.habits.parents:
            return self.planter.parent(key, {}, own=own, place=place)
        return {}

    def _moved(self, key: Constraint) -> str | None:
        """Return the table that the version believes the key to name, where it names another one by now."""
        for mine in self.table.foreign_keys:
            name = next((n for n, t in self.mapped.items() if (t.name, t.schema) == (mine.table, mine.schema)), None)
            moved = name is not None and name != key.referenced_table
            if moved and mine.columns == self.table.mapped_of(key.columns):
                return name
        return None

    def _made_through(self, name: str, key: Constraint) -> Mapping[str, Any]:
        parent = Rows(planter=self.planter, table=self.mapped[name], name=name, mapped=self.mapped)
        mine = next(k for k in self.table.foreign_keys if k.columns == self.table.mapped_of(key.columns))
        target = parent.target
        insert = target.insert().values(**parent.row({}))
        chosen = insert.returning(*(target.c[c] for c in mine.referenced))
        found = self.planter.attempts.kept(lambda: self.planter.conn.execute(chosen).one())
        if isinstance(found, FAILURES):
            raise found
        return dict(zip(mine.columns, found, strict=True))

    def _of_itself(self, key: Constraint, row: Mapping[str, Any], *, own: int, place: int) -> Mapping[str, Any]:
        """Return another row's key, or NULL where there can be none and the version knows NULL, or the row's own."""
        try:
            return self.planter.parent(key, {}, own=own, place=place)
        except CannotPlant:
            return {mine: self._own(row, mine, theirs) for mine, theirs in pairs(key)}

    def ready(self) -> None:
        """Plant the parents of a first row, outside of any attempt: once for all tables of this schema."""
        alone = self._alone()
        for place, key in apart(self.foreign_keys()):
            if key.referenced_table != self.name:
                with suppress(CannotPlant):  # whoever needs it says so
                    self.planter.parent(key, {}, place=place, own=FIRST_OWN if alone.intersection(key.columns) else 0)

    def other(self) -> dict[str, Any]:
        """Return other values for all columns but keys, those that a CHECK has fixed, and those sealed at home."""
        fixed = self._fixed()
        number = next(self.planter.numbers)
        return {
            c.name: value(c, number)
            for c in self.table.columns
            if sent(c) and c.name not in fixed and c.constant is None and c.name not in self.habits.sealed
        }

    def furthest(self) -> dict[str, Any]:
        """Return the longest or largest value of each column whose type has one, but of those refused at home."""
        fixed = self._fixed()
        return {
            c.name: most
            for c in self.table.columns
            if sent(c)
            and c.constant is None
            and c.name not in fixed
            and (most := furthest(c.type, unlimited=self._unlimited(c.name))) is not None
            and (c.name, str(most)) not in self.habits.refused
        }

    def choices(self) -> Iterator[tuple[str, Any]]:
        """Yield each value of each column that has only a few, but those refused at home."""
        for column in self.table.columns:
            if not column.writable:
                continue
            values: tuple[Any, ...] = column.identities
            if column.type.family is Family.ENUM and column.constant is None:
                values = column.type.values
            elif column.type.family is Family.BOOLEAN:
                values = (True,)
            for each in values:
                if (column.name, str(each)) not in self.habits.refused:
                    yield column.name, each

    def foreign_keys(self) -> list[Constraint]:
        """Return the table's foreign keys as they are; of a view those that the version believes in."""
        if self.live is not None:
            return [c for c in self.live.constraints if c.kind is ConstraintKind.FOREIGN_KEY]
        return [
            Constraint(
                name="",
                kind=ConstraintKind.FOREIGN_KEY,
                definition="",
                columns=key.columns,
                referenced_table=f"{key.schema}.{key.table}" if key.schema else key.table,
                referenced_columns=key.referenced,
            )
            for key in self.table.foreign_keys
        ]

    def key_columns(self) -> set[str]:
        """Return the columns of the primary key and of all foreign keys."""
        keys = (*(k.columns for k in self.foreign_keys()), self.table.primary_key)
        return {name for columns in keys for name in columns}

    def _fixed(self) -> set[str]:
        return self.key_columns() | {name for name, _ in self.habits.values}

    def _unlimited(self, name: str) -> bool:
        """Return whether nothing that is known of the live column limits the length of a text."""
        column = next((c for c in self.live.columns if c.name == name), None) if self.live else None
        if self.live is None or column is None or column.type not in _UNLIMITED:
            return False
        checks = (c for c in self.live.constraints if c.kind is ConstraintKind.CHECK)
        return not any(name in (check.columns or check.definition) for check in checks)

    def _alone(self) -> set[str]:
        """Return the columns of foreign keys of which two rows cannot have the same value.

        They can in a unique key where another of its columns, with a value of its own in each row, tells them apart.
        """
        linked = {name for key in self.foreign_keys() for name in key.columns}
        keys = [key for key in (self.table.primary_key, *unique_keys(self.live)) if linked.intersection(key)]
        return {name for key in keys if not any(map(self._tells_apart, set(key) - linked)) for name in key}

    def _tells_apart(self, name: str) -> bool:
        """Whether each row has a value of its own in that column."""
        column = self.table.column(name)
        if column is None or not sent(column) or name in dict(self.habits.values):
            return False
        return tells_apart(partial(value, column))

    def _own(self, row: Mapping[str, Any], mine: str, theirs: str) -> Any:
        column = self.table.column(mine)
        return None if column is not None and column.nullable else row.get(theirs)

    def _as_written(self, name: str, found: Any) -> Any:
        column = self.table.column(name)
        family = column.type.family if column else Family.OTHER
        if family is Family.STRING and not isinstance(found, str):
            return str(found)
        return int(found) if family is Family.INTEGER and isinstance(found, str) and found.isdigit() else found


def sent(column: ContractColumn) -> bool:
    """Return whether the version may send a value for that column: keys that the server counts it leaves alone."""
    serial = column.given_by is Source.SERVER and column.server_default is None
    return column.writable and not serial


def unique_keys(table: Table | None) -> list[tuple[str, ...]]:
    """Return the columns of every key of which two rows can never be equal."""
    return [key.columns for key in unique_sets(table) if not key.conditional]


def unique_sets(table: Table | None) -> list[UniqueKey]:
    """Return every key of which two rows cannot be equal, primary keys and exclusion constraints too."""
    if table is None:
        return []
    kinds = {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY, ConstraintKind.EXCLUDE}
    found = [(c.columns, c.definition) for c in table.constraints if c.kind in kinds]
    found += [(i.columns, i.definition) for i in table.indexes if i.unique and i.valid]
    return list(dict.fromkeys(UniqueKey(columns=compared(columns, text), text=_how(text)) for columns, text in found))


def pairs(key: Constraint) -> Iterator[tuple[str, str]]:
    """Return the columns of a foreign key, each with the one that it names."""
    return iter(zip(key.columns, key.referenced_columns, strict=True))


def _how(definition: str) -> str:
    """Return what a definition says without the names of index and table."""
    return definition.partition(" USING ")[2] or definition
