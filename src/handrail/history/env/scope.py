"""What env.py leaves out of a comparison: include_object, include_name, include_schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Index, MetaData, Table, UniqueConstraint

from handrail.history.env import models
from handrail.history.env.env_py import EnvPy
from handrail.history.fencing.guard import Raised, call
from handrail.model import schema as model
from handrail.model.schema import ConstraintKind, Snapshot
from handrail.model.verdict import Unsupported

#: What is left out of a table: the kind in env.py's words, and the name.
_Left = tuple[str, str]
_ASKED = {
    ConstraintKind.UNIQUE: "unique_constraint",
    ConstraintKind.FOREIGN_KEY: "foreign_key_constraint",
}


def scoped(
    env: EnvPy, of_models: Snapshot, live: Snapshot, *, name_of: Callable[[str | None, str], str]
) -> tuple[Snapshot, Snapshot] | Unsupported:
    """Return the models' schema and the live one without what env.py tells autogenerate to leave alone.

    Its functions are asked as Alembic asks them, with the models' own objects and, for what only the database has, with
    objects of that name that hold no types.
    """
    tables = {name_of(t.schema, t.name): t for each in models.metadata(env) for t in each.tables.values()}
    scope = _Scope(env.options, tables, of_models, live)

    def narrowed() -> tuple[Snapshot, Snapshot]:
        left = {table.name: scope.left_out(table.name) for table in (*of_models.tables, *live.tables)}
        return _without(of_models, left), _without(live, left)

    done = call(narrowed)
    if isinstance(done, Raised):
        return Unsupported(reason=f"env.py's include_object or include_name failed: {done.summary}")
    return done


def _without(snapshot: Snapshot, left_out: Mapping[str, frozenset[_Left] | None]) -> Snapshot:
    """Return the snapshot without the tables that are None, and without those parts of the others."""
    tables = []
    for table in snapshot.tables:
        left = left_out[table.name]
        if left is not None:
            tables.append(
                replace(
                    table,
                    columns=tuple(c for c in table.columns if ("column", c.name) not in left),
                    constraints=tuple(c for c in table.constraints if (_ASKED.get(c.kind, ""), c.name) not in left),
                    indexes=tuple(i for i in table.indexes if ("index", i.name) not in left),
                )
            )
    return replace(snapshot, tables=tuple(tables))


@dataclass(frozen=True, slots=True)
class _Scope:
    """Asks the project's functions, once for what has the same name on both sides."""

    options: Mapping[str, Any]
    tables: Mapping[str, Table]
    of_models: Snapshot
    live: Snapshot

    def left_out(self, name: str) -> frozenset[_Left] | None:
        """Return which parts of the table are left out, None where the whole table is."""
        ours, theirs = self.of_models.table(name), self.live.table(name)
        schema, _, bare = name.rpartition(".")
        known = self.tables.get(name)
        if known is None and schema and not (self.options.get("include_schemas") and self._named(schema, "schema", {})):
            return None
        some = ours or theirs
        assert some is not None
        stub = _stub(some, schema or None, bare)
        thing = stub if known is None else known
        parents = {"schema_name": schema or None, "schema_qualified_table_name": name}
        other = stub if known is not None and theirs is not None else None
        if not self._wanted(thing, bare, "table", parents, reflected=known is None, compare_to=other):
            return None
        if not any(callable(self.options.get(ask)) for ask in ("include_object", "include_name")):
            return frozenset()
        return frozenset(self._parts(_parts(ours, thing), _parts(theirs, stub), {**parents, "table_name": bare}))

    def _parts(
        self, ours: dict[_Left, object], theirs: dict[_Left, object], parents: dict[str, str | None]
    ) -> Iterator[_Left]:
        for part in {**ours, **theirs}:
            kind, name = part
            known = part in ours
            thing, other = (ours[part], theirs.get(part)) if known else (theirs[part], None)
            if not self._wanted(thing, name or None, kind, parents, reflected=not known, compare_to=other):
                yield part

    def _wanted(
        self,
        thing: object,
        name: str | None,
        kind: str,
        parents: dict[str, str | None],
        *,
        reflected: bool,
        compare_to: object,
    ) -> bool:
        if (reflected or compare_to is not None) and not self._named(name, kind, parents):
            return False
        ask = self.options.get("include_object")
        return not callable(ask) or bool(ask(thing, name, kind, reflected, compare_to))

    def _named(self, name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        ask = self.options.get("include_name")
        return not callable(ask) or bool(ask(name, kind, parents))


def _stub(table: model.Table, schema: str | None, bare: str) -> Table:
    return Table(bare, MetaData(), *(Column(column.name) for column in table.columns), schema=schema)


def _parts(table: model.Table | None, stub: Table) -> dict[_Left, object]:
    """Return what is asked about, as the objects that the models have or as new ones of that name."""
    if table is None:
        return {}
    columns = {("column", c.name): _column(stub, c) for c in table.columns}
    constraints = {(_ASKED[c.kind], c.name): _constraint(stub, c) for c in table.constraints if c.kind in _ASKED}
    backing = {c.name for c in table.constraints}
    indexes = {("index", i.name): _index(stub, i) for i in table.indexes if i.name not in backing}
    return {**columns, **constraints, **indexes}


def _column(table: Table, part: model.Column) -> Column[Any]:
    known = next((c for c in table.columns if c.name == part.name), None)
    return known if known is not None else Column(part.name)


def _constraint(table: Table, part: model.Constraint) -> UniqueConstraint | ForeignKeyConstraint:
    for known in table.constraints:
        if known.name == part.name and isinstance(known, UniqueConstraint | ForeignKeyConstraint):
            return known
    if part.kind is ConstraintKind.UNIQUE:
        return UniqueConstraint(name=part.name or None)
    others = [f"{part.referenced_table}.{name}" for name in part.referenced_columns]
    return ForeignKeyConstraint(part.columns, others or part.columns, name=part.name or None)


def _index(table: Table, part: model.Index) -> Index:
    known = next((i for i in table.indexes if i.name == part.name), None)
    return known if known is not None else Index(part.name, unique=part.unique)
