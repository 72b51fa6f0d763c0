"""Plants the rows that others need around them, from the schema as it is: parents first, recursively."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from handrail.compat.attempt import FAILURES, Attempts, Failure, message
from handrail.compat.bound_type import Verbatim
from handrail.compat.values import candidates, tells_apart, written
from handrail.model.schema import Column, Constraint, ConstraintKind, Index, Snapshot, Table

_DEEPEST = 12
_VERBATIM = Verbatim()
_ROUNDS = 12
#: Whose parent is planted before there is any attempt.
FIRST_OWN = -1
Key = tuple[str, tuple[tuple[str, str], ...], int, int]


class CannotPlant(Exception):
    """A row that others need could not be made; the message says which and why."""


class PlantCarefully(Exception):
    """A row was refused in the middle of an attempt, which has to begin again: the planter knows better then."""


class Planter:
    """Plants rows in one transaction; parents that are to be no particular ones are planted once.

    What is taken back anyway is planted without a savepoint, until a table has refused a row: PlantCarefully.
    """

    def __init__(self, conn: Connection, snapshot: Snapshot) -> None:
        self.conn = conn
        self.attempts = Attempts(conn)
        self._tables = {table.name: table for table in snapshot.tables}
        types = [thing for thing in snapshot.objects if thing.kind in {"enum", "domain"}]
        # A column's type is named with its schema, the type itself without that of the search_path.
        self._objects = {name: t for t in types for name in (t.name, t.name.rpartition(".")[2])}
        self._parents: dict[Key, Mapping[str, Any]] = {}
        self._targets: dict[str, sa.TableClause] = {}
        self._refusing: set[str] = set()
        self._depth = 0
        self._rows = 0
        self.numbers = count(1)

    def table(self, name: str) -> Table | None:
        """Return the table of that name, None where there is none."""
        return self._tables.get(name)

    def incoming(self, name: str) -> list[tuple[Table, Constraint]]:
        """Return every foreign key that refers to that table, with its table."""
        return [
            (table, key)
            for table in self._tables.values()
            for key in table.constraints
            if key.kind is ConstraintKind.FOREIGN_KEY and key.referenced_table == name
        ]

    def parent(self, key: Constraint, values: Mapping[str, Any], *, own: int = 0, place: int = 0) -> Mapping[str, Any]:
        """Return the values of the columns of `key`, after planting the row they refer to.

        Those of them in `values` are kept. Rows with the same `own` share a parent at each `place`. Raises CannotPlant.
        """
        pairs = list(zip(key.columns, key.referenced_columns, strict=True))
        given = {theirs: values[mine] for mine, theirs in pairs if values.get(mine) is not None}
        known: Key = (key.referenced_table, tuple(sorted((k, str(v)) for k, v in given.items())), own, place)
        if known not in self._parents or not set(key.referenced_columns) <= self._parents[known].keys():
            self._parents[known] = self.plant(key.referenced_table, given, key.referenced_columns)
        return {mine: self._parents[known][theirs] for mine, theirs in pairs}

    def place_of_own(self) -> int:
        """Return which row of this attempt is being made: the nth of each may have the same row for its own parent.

        Negative, as the numbers of planted rows are positive.
        """
        if not self.attempts.tentative:
            return FIRST_OWN
        self._rows -= 1
        return self._rows

    def ready(self, table: Table, *, but: str) -> None:
        """Plant the parents that rows of the table may share, so that attempts find them; none in the table `but`."""
        needed = {c.name for c in table.columns if _needed(c)}
        for place, key in apart(c for c in table.constraints if c.kind is ConstraintKind.FOREIGN_KEY):
            if key.referenced_table not in {table.name, but} and needed.intersection(key.columns):
                with suppress(CannotPlant):  # whoever needs it says so
                    self.parent(key, {}, place=place)

    @contextmanager
    def tentative(self) -> Iterator[None]:
        """Forget at the end the parents that were planted inside: a savepoint takes them back."""
        before, rows = dict(self._parents), self._rows
        try:
            yield
        finally:
            self._parents, self._rows = before, rows

    def plant(self, name: str, given: Mapping[str, Any], wanted: tuple[str, ...]) -> Mapping[str, Any]:
        """Return the wanted columns of a new row with the given values. Raises CannotPlant."""
        table = self._tables.get(name)
        if table is None or self._depth > _DEEPEST:
            raise CannotPlant(f"no row of {name} could be planted: its foreign keys lead nowhere or round in a circle")
        self._depth += 1
        try:
            values = self._values(table, given, wanted)
        finally:
            self._depth -= 1
        if name not in self._targets:
            self._targets[name] = lightweight(table)
        target = self._targets[name]
        insert = partial(self._insert, target, values, wanted)
        if self.attempts.tentative and name not in self._refusing:
            try:
                return insert()
            except FAILURES as exc:
                self._refusing.add(name)
                raise PlantCarefully from exc
        done = self.attempts.kept(insert)
        free = frozenset(values) - frozenset(given)
        if isinstance(done, Failure) and settled(self.attempts, table, values, free, insert):
            done = self.attempts.kept(insert)
        if isinstance(done, Failure):
            raise CannotPlant(f"no row of {name} could be planted: {message(done)}")
        return done

    def _insert(self, target: sa.TableClause, values: Mapping[str, Any], wanted: tuple[str, ...]) -> Mapping[str, Any]:
        row = self.conn.execute(target.insert().values(**values).returning(*(target.c[w] for w in wanted)))
        return dict(zip(wanted, row.one(), strict=True))

    def _values(self, table: Table, given: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
        values = dict(given)
        needed = {c.name for c in table.columns if _needed(c)} | {
            c.name for c in table.columns if c.name in wanted and c.default is None and not c.identity
        }
        itself: list[tuple[str, str]] = []
        keys = [c for c in table.constraints if c.kind is ConstraintKind.FOREIGN_KEY]
        checks = [c for c in table.constraints if c.kind is ConstraintKind.CHECK]
        fixed = {*given, *(name for constraint in (*keys, *checks) for name in constraint.columns)}
        alone = {
            name for i in table.indexes if i.unique and not self._told_apart(table, i, fixed) for name in i.columns
        }
        for place, key in apart(keys):
            if set(key.columns) <= values.keys():
                continue
            if key.referenced_table == table.name:
                itself += zip(key.columns, key.referenced_columns, strict=True)
            elif needed.intersection(key.columns):
                own = next(self.numbers) if alone.intersection(key.columns) else 0
                values.update(self.parent(key, values, own=own, place=place))
        number = next(self.numbers)
        for column in table.columns:
            if column.name in needed and column.name not in values and not _by_itself(table, column):
                values[column.name] = self._nth(column.type, number)
        for mine, theirs in itself:  # the first row can only name itself
            if mine in needed and mine not in given:
                types = {column.name: column.type for column in table.columns}
                values.setdefault(theirs, self._nth(types[theirs], number))
                values[mine] = values[theirs]
        return values

    def _told_apart(self, table: Table, index: Index, fixed: set[str]) -> bool:
        """Return whether another column of the index than those `fixed` has a value of its own in each planted row."""
        columns = [c for c in table.columns if c.name in index.columns and c.name not in fixed]
        nulls_differ = "NULLS NOT DISTINCT" not in index.definition.upper()
        return any(
            tells_apart(partial(self._nth, column.type))
            if _needed(column)
            else bool(column.identity) or (nulls_differ and column.default is None and not column.generated)
            for column in columns
        )

    def _nth(self, type_text: str, number: int) -> str:
        return written(type_text, number, self._objects)


def apart(keys: Iterable[Constraint]) -> Iterator[tuple[int, Constraint]]:
    """Yield each foreign key of a table with the place of its parent: of those to one table, each has a row of its own.

    Rows that name one row twice are what a CHECK forbids; keys that share a column have to name the same one.
    """
    earlier: list[Constraint] = []
    for key in keys:
        same = [other for other in earlier if other.referenced_table == key.referenced_table]
        earlier.append(key)
        yield (0 if any(set(other.columns) & set(key.columns) for other in same) else len(same)), key


def _needed(column: Column) -> bool:
    return not (column.nullable or column.default is not None or column.identity or column.generated)


def _by_itself(table: Table, column: Column) -> bool:
    """Whether SQLite numbers the column itself: the only column of a primary key, declared INTEGER."""
    keys = [c for c in table.constraints if c.kind is ConstraintKind.PRIMARY_KEY]
    return (
        column.type.upper() == "INTEGER"
        and column.type != "integer"
        and bool(keys)
        and keys[0].columns == (column.name,)
    )


def lightweight(table: Table) -> sa.TableClause:
    """Return the table for statements whose values the server is to understand by itself."""
    schema, _, name = table.name.rpartition(".")
    columns: list[sa.ColumnClause[Any]] = [sa.column(c.name, _VERBATIM) for c in table.columns]
    return sa.table(name, *columns, schema=schema or None)


def settled(
    attempts: Attempts,
    table: Table | None,
    values: MutableMapping[str, Any],
    free: frozenset[str],
    write: Callable[[], object],
) -> bool:
    """Change `values` of the free columns until `write` passes the table's CHECKs; return whether it does.

    Tried are the values that a check's own text names, and the neighbours of its numbers.
    """
    checks = [c for c in table.constraints if c.kind is ConstraintKind.CHECK] if table else []
    for _ in range(_ROUNDS):
        failed = attempts.undone(write)
        if not isinstance(failed, Failure):
            return True
        said = message(failed)
        broken = next((c for c in checks if (c.name or c.definition) in said), None)
        if broken is None or not _improved(attempts, broken, values, free, write):
            return False
    return False


def _improved(
    attempts: Attempts,
    check: Constraint,
    values: MutableMapping[str, Any],
    free: frozenset[str],
    write: Callable[[], object],
) -> bool:
    columns = [c for c in values if c in free and (c in check.columns or (not check.columns and c in check.definition))]
    for column in columns:
        before = values[column]
        for candidate in candidates(check.definition):
            if isinstance(candidate, str) and not isinstance(before, str):
                continue
            values[column] = str(candidate) if isinstance(before, str) else candidate
            failed = attempts.undone(write)
            if not isinstance(failed, Failure) or (check.name or check.definition) not in message(failed):
                return True
        values[column] = before
    return False
