"""Does with one table what a version of the application does: read, write, insert the minimum, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from handrail.compat.attempt import message, undone
from handrail.compat.bound_type import bound_type
from handrail.compat.planting import CannotPlant, Planter, lightweight, settled
from handrail.compat.values import furthest, value
from handrail.engines.base import Cause
from handrail.model.contract import ContractColumn, ContractTable, Family, Source
from handrail.model.matrix import Result, Trial
from handrail.model.schema import Constraint, ConstraintKind, Table

#: What a server does with children by itself.
BY_SERVER = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
Classify = Callable[[BaseException], Cause]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What was found out about a version where it is at home, and holds at every other revision.

    `keys` are the columns known to be unique there, `values` what passes the CHECKs there, `kept_short` the columns
    whose furthest value was refused there already.
    """

    keys: frozenset[tuple[str, ...]] = frozenset()
    values: tuple[tuple[str, Any], ...] = ()
    kept_short: frozenset[str] = frozenset()
    read_only: bool = False


@dataclass(kw_only=True)
class Exercise:
    """One table of a contract on one schema. `known` are the names of the keys' owners as the snapshot has them."""

    conn: Connection
    planter: Planter
    table: ContractTable
    name: str
    classify: Classify
    habits: Habits = field(default_factory=Habits)
    known_children: frozenset[tuple[str, tuple[str, ...]]] = frozenset()

    @property
    def live(self) -> Table | None:
        """The table as it is; None for a view, or where there is none."""
        return self.planter.table(self.name)

    @cached_property
    def target(self) -> sa.TableClause:
        """The table as the version's own statements name it."""
        columns = [sa.column(c.name, bound_type(c.type)) for c in self.table.columns]
        return sa.table(self.table.name, *columns, schema=self.table.schema)

    def at_home(self) -> Habits:
        """Return what the version is used to, found out on the schema that it was written for."""
        keys = frozenset(_unique_of(self.live)) | {*self.table.unique, self.table.primary_key}
        self._prepare()
        try:
            values = self._row({})
        except CannotPlant:
            return Habits(keys=keys)
        chosen = dict(values)
        free = frozenset(values) - self._key_columns()
        insert = self._insert
        settled(self.conn, self.live, chosen, free, lambda: insert(chosen))
        differing = tuple((name, chosen[name]) for name in chosen if chosen[name] != values[name])
        self.habits = Habits(keys=keys, values=differing)
        far = self._far(())
        short = frozenset(name for name, most in far.items() if self._refused({name: most}))
        read_only = self.live is None and self._refused({})
        return Habits(keys=keys, values=differing, kept_short=short, read_only=read_only)

    def trials(self) -> tuple[Trial, ...]:
        """Return what does not work, worst first; () where everything does."""
        read = tuple(self._tried(Result.READ_FAILS, self._read))
        if read or self.habits.read_only:
            return read
        self._prepare()
        found: list[Trial] = []
        for step in (self._writes, self._minimal, self._deletes):
            try:
                found += step()
            except CannotPlant as exc:
                found.append(Trial(result=Result.UNKNOWN, table=self.name, message=str(exc)))
        return tuple(dict.fromkeys(found))

    def _prepare(self) -> None:
        """Plant the parents that rows may share, outside of any savepoint: once for all tables of this schema."""
        for key in self._foreign_keys():
            if key.referenced_table != self.name:
                with suppress(CannotPlant):  # whoever needs it says so
                    self.planter.parent(key, {})

    def _read(self) -> None:
        target = self.target
        query = sa.select(target)
        for name in self.table.primary_key:
            column = self.table.column(name)
            if column is not None:
                query = query.where(target.c[name] == value(column, 1))
        self.conn.execute(query)

    def _writes(self) -> Iterator[Trial]:
        yield from self._tried(Result.WRITE_FAILS, lambda: self._insert_and_update(self._row({})))
        plain = self._undone(lambda: self._insert(self._row({})))
        if isinstance(plain, StatementError):
            return
        far = self._far(self.habits.kept_short)
        if far and self._refused(far):
            for name, most in far.items():
                yield from self._tried(Result.WRITE_FAILS, self._writing({name: most}), column=name, lenient=True)
        for column in self.table.columns:
            if column.type.family is Family.ENUM and column.writable and column.constant is None:
                for each in column.type.values:
                    yield from self._tried(Result.WRITE_FAILS, self._writing({column.name: each}), column=column.name)
            elif column.type.family is Family.BOOLEAN and column.writable:
                yield from self._tried(
                    Result.WRITE_FAILS, self._writing({column.name: True}), column=column.name, lenient=True
                )
        for key in _unique_of(self.live):
            if not any(known and set(known) <= set(key) for known in self.habits.keys):
                column_name = key[0] if key else ""
                yield from self._tried(Result.WRITE_FAILS, lambda k=key: self._twice(k), column=column_name)  # type: ignore[misc]  # bound here

    def _minimal(self) -> Iterator[Trial]:
        def least() -> None:
            row = self._row({})
            sent = {}
            for column in self.table.minimal():
                empty = column.nullable and column.given_by is Source.NOTHING
                plain = column.python_default
                sent[column.name] = None if empty else row.get(column.name) if plain is None else plain
            self._insert(sent)

        yield from self._tried(Result.MINIMAL_INSERT_FAILS, least)

    def _deletes(self) -> Iterator[Trial]:
        if not self.table.primary_key:
            return
        incoming = [(child, key) for child, key in self.planter.incoming(self.name) if not self._handled(child, key)]
        if not incoming:
            yield from self._unless_unwritable(lambda: self._delete(self._inserted()))
        for child, key in incoming:
            yield from self._unless_unwritable(self._deleting(child, key))

    def _handled(self, child: Table, key: Constraint) -> bool:
        """Whether the version knows that key and sees to the children itself."""
        return (child.name, key.columns) in self.known_children

    def _deleting(self, child: Table, key: Constraint) -> Callable[[], None]:
        def code() -> None:
            row = self._inserted()
            live = self.live
            assert live is not None
            raw, bound = lightweight(live), self.target.c
            found = self.conn.execute(
                sa.select(*(raw.c[name] for name in key.referenced_columns)).where(
                    *(raw.c[name] == sa.bindparam(None, row[name], bound[name].type) for name in row)
                )
            ).one()
            self.planter.plant(child.name, dict(zip(key.columns, found, strict=True)), key.columns)
            self._delete(row)

        return code

    def _unless_unwritable(self, code: Callable[[], None]) -> Iterator[Trial]:
        """Exercise a DELETE where a row can be made for it; where none can, the writes have told already."""
        if isinstance(self._undone(self._inserted), StatementError):
            return
        yield from self._tried(Result.DELETE_FAILS, code)

    def _inserted(self) -> Mapping[str, Any]:
        row = self._row({})
        target = self.target
        key = [target.c[name] for name in self.table.primary_key]
        found = self.conn.execute(target.insert().values(**row).returning(*key)).one()
        return dict(zip(self.table.primary_key, found, strict=True))

    def _delete(self, row: Mapping[str, Any]) -> None:
        self.conn.execute(self.target.delete().where(*self._same(row)))

    def _same(self, row: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
        target = self.target
        return [target.c[name] == row[name] for name in self.table.primary_key]

    def _insert(self, row: Mapping[str, Any]) -> None:
        self.conn.execute(self.target.insert().values(**row))

    def _insert_and_update(self, row: dict[str, Any]) -> None:
        target = self.target
        key = [target.c[name] for name in self.table.primary_key]
        insert = target.insert().values(**row)
        if not key:
            self.conn.execute(insert)
            return
        found = self.conn.execute(insert.returning(*key)).one()
        fixed = self._key_columns() | {name for name, _ in self.habits.values}
        other = {
            c.name: value(c, next(self.planter.numbers))
            for c in self.table.columns
            if c.name in row and c.name not in fixed and c.constant is None
        }
        if other:
            same = self._same(dict(zip(self.table.primary_key, found, strict=True)))
            self.conn.execute(target.update().where(*same).values(**other))

    def _writing(self, chosen: Mapping[str, Any]) -> Callable[[], None]:
        return lambda: self._insert({**self._row(chosen), **chosen})

    def _refused(self, chosen: Mapping[str, Any]) -> bool:
        return isinstance(self._undone(self._writing(chosen)), StatementError)

    def _twice(self, key: tuple[str, ...]) -> None:
        first = self._row({})
        known = {name for columns in self.habits.keys for name in columns if name not in key}
        self._insert(first)
        second = self._row({})
        self._insert({name: second[name] if name in known else first[name] for name in first})

    def _far(self, without: frozenset[str] | tuple[()]) -> dict[str, Any]:
        fixed = self._key_columns() | {name for name, _ in self.habits.values}
        return {
            c.name: most
            for c in self.table.columns
            if self._sent(c)
            and c.constant is None
            and c.name not in fixed
            and c.name not in without
            and (most := furthest(c.type)) is not None
        }

    def _sent(self, column: ContractColumn) -> bool:
        serial = column.given_by is Source.SERVER and column.server_default is None
        return column.writable and not serial

    def _row(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for every column that the version can write, its parents planted. Raises CannotPlant."""
        number = next(self.planter.numbers)
        row = {c.name: value(c, number) for c in self.table.columns if self._sent(c)}
        row.update({name: text for name, text in self.habits.values if name in row})
        row.update(chosen)
        alone = {name for columns in (self.table.primary_key, *_unique_of(self.live)) for name in columns}
        for key in self._foreign_keys():
            if not set(key.columns) <= row.keys():
                continue
            if key.referenced_table == self.name:
                row.update({mine: self._own(row, mine, theirs) for mine, theirs in _pairs(key)})
                continue
            own = number if alone.intersection(key.columns) else 0
            found = self.planter.parent(key, {}, own=own)
            row.update({name: self._as_written(name, found[name]) for name in key.columns})
        return row

    def _own(self, row: Mapping[str, Any], mine: str, theirs: str) -> Any:
        column = self.table.column(mine)
        return None if column is not None and column.nullable else row.get(theirs)

    def _as_written(self, name: str, found: Any) -> Any:
        column = self.table.column(name)
        family = column.type.family if column else Family.OTHER
        if family is Family.STRING and not isinstance(found, str):
            return str(found)
        return int(found) if family is Family.INTEGER and isinstance(found, str) and found.isdigit() else found

    def _foreign_keys(self) -> list[Constraint]:
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
            if self.planter.table(f"{key.schema}.{key.table}" if key.schema else key.table)
        ]

    def _key_columns(self) -> set[str]:
        keys = (*(k.columns for k in self._foreign_keys()), self.table.primary_key)
        return {name for columns in keys for name in columns}

    def _undone(self, code: Callable[[], object]) -> object:
        with self.planter.tentative():
            return undone(self.conn, code)

    def _tried(
        self, result: Result, code: Callable[[], object], *, column: str = "", lenient: bool = False
    ) -> Iterator[Trial]:
        """Yield a trial where `code` fails; a `lenient` one passes over a constraint: that value may never be sent."""
        done = self._undone(code)
        if not isinstance(done, StatementError):
            return
        cause = self.classify(done)
        if lenient and cause is Cause.CONSTRAINT:
            return
        if cause is Cause.DENIED:
            yield Trial(result=Result.UNKNOWN, table=self.name, column=column, message=message(done))
            return
        yield Trial(result=result, table=self.name, column=column, message=message(done))


def _pairs(key: Constraint) -> Iterator[tuple[str, str]]:
    return iter(zip(key.columns, key.referenced_columns, strict=True))


def _unique_of(table: Table | None) -> list[tuple[str, ...]]:
    if table is None:
        return []
    keys = [c.columns for c in table.constraints if c.kind in {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY}]
    return list(dict.fromkeys([*keys, *(i.columns for i in table.indexes if i.unique and i.valid)]))
