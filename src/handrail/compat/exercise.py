"""Does with one table what a version of the application does: read, write, insert the minimum, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from handrail.compat.attempt import Failure, Swallowed, message
from handrail.compat.children import Children, seen_to
from handrail.compat.planting import CannotPlant, PlantCarefully, lightweight, settled
from handrail.compat.rows import Habits, Rows, UniqueKey, unique_keys, unique_sets
from handrail.compat.values import candidates, value
from handrail.engines.base import Cause
from handrail.model.contract import ContractColumn, Source
from handrail.model.matrix import Result, Trial
from handrail.model.schema import Constraint, Table

Classify = Callable[[BaseException], Cause]
_MOST_CONDITIONS = 12


@dataclass(kw_only=True)
class Exercise:
    """One table of a contract on one schema.

    `known_children` are the foreign keys to it whose rows the version sees to itself. `acting` makes what is inside run
    as the application's role; `denial_counts` is whether there is one: then a missing right is the version's trouble.
    """

    conn: Connection
    rows: Rows
    classify: Classify
    known_children: Children = frozenset()
    acting: Callable[[], AbstractContextManager[None]] = nullcontext
    denial_counts: bool = False
    _lives: bool = field(default=False, init=False)

    @cached_property
    def target(self) -> sa.TableClause:
        """The table as the version's own statements name it."""
        return self.rows.target

    def at_home(self) -> Habits:
        """Return what the version is used to, found out on the schema that it was written for."""
        self.rows.ready()
        live, table = self.rows.live, self.rows.table
        known = Habits(
            keys=frozenset(unique_keys(live)) | {*table.unique, table.primary_key},
            partial=frozenset(key for key in unique_sets(live) if key.conditional),
            parents=frozenset(key.columns for key in self.rows.foreign_keys()),
        )
        self._use(known)
        try:
            values = self.rows.row({})
        except CannotPlant:
            return known
        chosen = dict(values)
        free = frozenset(values) - self.rows.key_columns()
        insert = self._insert
        writable = settled(self.rows.planter.attempts, live, chosen, free, lambda: insert(chosen))
        changed = tuple((name, chosen[name]) for name in chosen if chosen[name] != values[name])
        self._use(known, values=changed, writable=writable)
        refused = frozenset((name, str(each)) for name, each in self._refused_of(self._extremes()))
        self._use(self.rows.habits, refused=refused, read_only=live is None and self._refused({}))
        self._use(self.rows.habits, sealed=self._sealed())
        self._use(self.rows.habits, lasting=self._withheld(lambda: self._delete(self._inserted())))
        return self.rows.habits

    def trials(self) -> tuple[Trial, ...]:
        """Return what does not work, worst first; () where everything does."""
        read = self._reads()
        if read or self.rows.habits.read_only:
            return read
        self.rows.ready()
        found: list[Trial] = []
        for step in (self._writes, self._minimal, self._deletes):
            try:
                found += step()
            except CannotPlant as exc:
                found.append(Trial(result=Result.UNKNOWN, table=self.rows.name, message=str(exc)))
        return tuple(dict.fromkeys(found))

    def _use(self, habits: Habits, **more: Any) -> None:
        self.rows = replace(self.rows, habits=replace(habits, **more))

    def _reads(self) -> tuple[Trial, ...]:
        """SELECT every mapped column; where that fails each by itself, so that every culprit is named.

        Those that the table has are read together first: mostly it is the others that fail.
        """
        target, live = self.target, self.rows.live
        failed = tuple(self._tried(Result.READ_FAILS, lambda: self._select(target.c)))
        if not failed or self._undone(lambda: self._select(())) is not None:
            return failed
        there = {column.name for column in live.columns} if live else set()
        together = [column for column in target.c if column.name in there]
        if not together or self._undone(lambda: self._select(together)) is not None:
            together = []
        culprits = [
            trial
            for column in target.c
            if column.name not in {each.name for each in together}
            for trial in self._tried(Result.READ_FAILS, partial(self._select, (column,)), column=column.name)
        ]
        return tuple(culprits) or failed

    def _select(self, columns: Iterable[sa.ColumnElement[Any]]) -> None:
        target, table = self.target, self.rows.table
        chosen = tuple(columns)
        query = sa.select(*chosen, sa.literal_column("1")).select_from(target)
        for name in table.primary_key if len(chosen) == len(target.c) else ():
            column = table.column(name)
            if column is not None:
                query = query.where(target.c[name] == value(column, 1))
        self._send(query)

    def _writes(self) -> Iterator[Trial]:
        self._lives = not isinstance(self._undone(self._live), Failure)
        if not self._lives:
            failed = tuple(self._tried(Result.WRITE_FAILS, lambda: self._insert_and_update(self.rows.row({}))))
            yield from failed
            if failed and self._unwritable:
                return
            yield from self._tried(Result.READ_FAILS, self._read_back)
        far = self.rows.furthest()
        if far and self._refused(far):
            for name, most in far.items():
                text = isinstance(most, str)
                yield from self._tried(Result.WRITE_FAILS, self._writing({name: most}), column=name, lenient=not text)
        yield from self._each_choice()
        for key in unique_sets(self.rows.live):
            if not self._known(key):
                yield from self._equal(key)

    def _extremes(self) -> list[tuple[str, Any]]:
        """Return each value of a column that a schema may be too narrow for."""
        return [*self.rows.furthest().items(), *self.rows.choices()]

    def _refused_of(self, values: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return those that are refused, each in a row of its own; all are written together first."""
        if not isinstance(self._together(values), Failure):
            return []
        return [(name, each) for name, each in values if self._refused({name: each})]

    def _each_choice(self) -> Iterator[Trial]:
        """Write each value of the columns that have only a few: all together first, each by itself where one fails."""
        choices = list(self.rows.choices())
        if isinstance(self._together(choices), Failure):
            for name, each in choices:
                yield from self._tried(Result.WRITE_FAILS, self._writing({name: each}), column=name)

    def _together(self, values: Iterable[tuple[str, Any]]) -> object:
        """Write each of the values in a row of its own, in one attempt."""

        def code() -> None:
            rows = [{**self.rows.row({name: each}), name: each} for name, each in values]
            for _, alike in groupby(rows, key=dict.keys):  # the driver is given all that fill the same columns at once
                self._send(self.target.insert(), list(alike))

        return self._undone(code)

    def _live(self) -> None:
        """Write a row, read it back and change it, in one attempt: mostly all of it works."""
        if not self.rows.table.primary_key:
            self._insert(self.rows.row({}))
            return
        stored = self._inserted()
        self._found(stored)
        self._update(stored, self.rows.other())

    def _read_back(self) -> None:
        """SELECT a row that the version wrote itself."""
        if self.rows.table.primary_key:
            self._found(self._inserted())

    def _found(self, stored: Mapping[str, Any]) -> None:
        """SELECT that row, and make of it what the version's mapper makes."""
        query = sa.select(self.target).where(*self._same(stored))
        try:
            self._send(query).all()
        except (TypeError, ValueError, LookupError, ArithmeticError) as exc:  # of the result processors of its types
            raise Swallowed(f"a row cannot be read back: {type(exc).__name__}: {exc}") from exc

    def _known(self, key: UniqueKey) -> bool:
        """Whether the version lives with that key already, by another of fewer columns or under that condition."""
        habits = self.rows.habits
        return key in habits.partial or any(known and set(known) <= set(key.columns) for known in habits.keys)

    def _equal(self, key: UniqueKey) -> Iterator[Trial]:
        """Write two rows that are equal in that key; of a partial one, rows for which its condition may hold."""
        column = key.columns[0] if key.columns else ""
        for chosen in self._meeting(key.condition):
            if self._refused(chosen):
                continue
            twice = partial(self._twice, key.columns, chosen)
            failed = tuple(self._tried(Result.WRITE_FAILS, twice, column=column))
            if failed:
                yield failed[0]
                return

    def _meeting(self, condition: str) -> list[dict[str, Any]]:
        """Return values under which the condition may hold: those that its text names, NULL, and both truths."""
        found: list[dict[str, Any]] = [{}]
        columns = [c for c in self.rows.table.columns if c.writable and c.constant is None and c.name in condition]
        for column in columns:
            held = (None,) if column.nullable else ()
            found += [{column.name: each} for each in (*candidates(condition), True, *held)]
        if len(columns) > 1:
            found.append({column.name: None for column in columns if column.nullable})
        return found[:_MOST_CONDITIONS]

    def _minimal(self) -> Iterator[Trial]:
        """INSERT the minimum; where that fails leave each column empty by itself, so that every culprit is named."""
        live, tried = self.rows.live, partial(self._tried, Result.MINIMAL_INSERT_FAILS)
        failed = tuple(tried(self._least))
        refusing = {column.name for column in live.columns if not column.nullable} if failed and live else set()
        empty = frozenset(c.name for c in self.rows.table.minimal() if _left_empty(c) and c.name in refusing)
        others = failed
        if empty:
            with suppress(CannotPlant):  # what cannot be filled cannot be told apart
                others = tuple(tried(partial(self._least, empty)))
        yield from others
        for name in () if others else sorted(empty):
            yield from tried(partial(self._least, empty - {name}), column=name)

    def _least(self, filled: frozenset[str] = frozenset()) -> None:
        """INSERT what is sent when only the required attributes are set, and those `filled`."""
        columns = self.rows.table.minimal()
        empty = {c.name: None for c in columns if _left_empty(c) and c.name not in filled}
        plain = {c.name: c.python_default for c in columns if c.python_default is not None}
        row = self.rows.row({**empty, **plain})
        self._insert({c.name: row[c.name] for c in columns})

    def _deletes(self) -> Iterator[Trial]:
        if not self.rows.table.primary_key or self.rows.habits.lasting:
            return
        incoming = self.rows.planter.incoming(self.rows.name)
        mapped, known = self.rows.mapped, self.known_children
        unseen = [(child, key) for child, key in incoming if not seen_to(child.name, key.columns, mapped, known)]
        if not unseen:
            yield from self._unless_unwritable(lambda: self._delete(self._inserted()))
        for child, key in unseen:
            self.rows.planter.ready(child, but=self.rows.name)
            yield from self._unless_unwritable(self._deleting(child, key))

    def _deleting(self, child: Table, key: Constraint) -> Callable[[], None]:
        def code() -> None:
            row = self._inserted()
            live = self.rows.live
            assert live is not None
            raw, bound = lightweight(live), self.target.c
            found = self.conn.execute(
                sa.select(*(raw.c[name] for name in key.referenced_columns)).where(
                    *(raw.c[name] == sa.bindparam(None, row[name], bound[name].type) for name in row)
                )
            ).one()
            self.rows.planter.plant(child.name, dict(zip(key.columns, found, strict=True)), key.columns)
            self._delete(row)

        return code

    def _unless_unwritable(self, code: Callable[[], None]) -> Iterator[Trial]:
        """Exercise a DELETE where a row can be made for it; where none can, the writes have told already."""
        if self._unwritable:
            return
        yield from self._tried(Result.DELETE_FAILS, code)

    @cached_property
    def _unwritable(self) -> bool:
        """Whether no row can be made at all; asked when the values that pass the CHECKs are known."""
        if self._lives:
            return False
        return isinstance(self._undone(self._inserted), Failure) if self.rows.table.primary_key else self._refused({})

    def _inserted(self) -> Mapping[str, Any]:
        return self._insert_returning(self.rows.row({}))

    def _insert_returning(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        key = self.rows.table.primary_key
        insert = self.target.insert().values(**row)
        found = self._send(insert.returning(*(self.target.c[k] for k in key))).one()
        return dict(zip(key, found, strict=True))

    def _delete(self, row: Mapping[str, Any]) -> None:
        self._send(self.target.delete().where(*self._same(row)))

    def _same(self, row: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
        return [self.target.c[name] == row[name] for name in self.rows.table.primary_key]

    def _insert(self, row: Mapping[str, Any]) -> None:
        self._send(self.target.insert().values(**row))

    def _insert_and_update(self, row: dict[str, Any]) -> None:
        if not self.rows.table.primary_key:
            self._insert(row)
            return
        self._update(self._insert_returning(row), self.rows.other())

    def _update(self, stored: Mapping[str, Any], other: Mapping[str, Any]) -> None:
        if not other:
            return
        done = self._send(self.target.update().where(*self._same(stored)).values(**other))
        if self.rows.table.mapped and done.rowcount == 0:
            raise Swallowed("UPDATE matched no row, though it is there: a trigger, rule or policy swallowed it")

    def _sealed(self) -> frozenset[str]:
        """Return the columns that an INSERT may fill and an UPDATE may not change, as a trigger has it."""
        other = self.rows.other()
        if not self._withheld(partial(self._changed, other)):
            return frozenset()
        alone = {name: partial(self._changed, {name: each}) for name, each in other.items()}
        return frozenset(name for name, change in alone.items() if self._withheld(change))

    def _changed(self, other: Mapping[str, Any]) -> None:
        self._update(self._inserted(), other)

    def _withheld(self, code: Callable[[], object]) -> bool:
        """Whether that is refused to rows which can be written, and not for a missing right."""
        if not self.rows.table.primary_key or self._unwritable:
            return False
        done = self._undone(code)
        return isinstance(done, Failure) and self.classify(done) is not Cause.DENIED

    def _send(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]] = ()) -> sa.CursorResult[Any]:
        with self.acting():
            return self.conn.execute(statement, rows or None)

    def _writing(self, chosen: Mapping[str, Any]) -> Callable[[], None]:
        return lambda: self._insert({**self.rows.row(chosen), **chosen})

    def _refused(self, chosen: Mapping[str, Any]) -> bool:
        return isinstance(self._undone(self._writing(chosen)), Failure)

    def _twice(self, key: tuple[str, ...], chosen: Mapping[str, Any]) -> None:
        first = {**self.rows.row(chosen), **chosen}
        known = {name for columns in self.rows.habits.keys for name in columns if name not in key}
        self._insert(first)
        second = {**self.rows.row(chosen), **chosen}
        self._insert({name: second[name] if name in known else first[name] for name in first})

    def _undone(self, code: Callable[[], object]) -> object:
        while True:
            with self.rows.planter.tentative(), suppress(PlantCarefully):
                return self.rows.planter.attempts.undone(code)

    def _tried(
        self, result: Result, code: Callable[[], object], *, column: str = "", lenient: bool = False
    ) -> Iterator[Trial]:
        """Yield a trial where `code` fails; a `lenient` one passes over a constraint: that value may never be sent."""
        done = self._undone(code)
        if not isinstance(done, Failure):
            return
        cause = self.classify(done)
        if lenient and cause is Cause.CONSTRAINT:
            return
        denied = cause is Cause.DENIED
        if denied and not self.denial_counts:
            result = Result.UNKNOWN
        yield Trial(result=result, table=self.rows.name, column=column, message=message(done), denied=denied)


def _left_empty(column: ContractColumn) -> bool:
    """Return whether the version's mapper sends NULL where nobody gives the column a value."""
    return column.nullable and column.given_by is Source.NOTHING
