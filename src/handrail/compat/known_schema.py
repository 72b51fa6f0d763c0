"""A schema as far as a prediction may rest on it: from a server's catalogue, or from the revisions alone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from handrail.model.action import Opaque, Other
from handrail.model.operation import Reading
from handrail.model.replayed import Replayed, bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedStep
from handrail.model.schema import CARRIED, Constraint, Snapshot, Table, compared
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec

_ON_DELETE = re.compile(r"\bON DELETE (CASCADE|SET NULL|SET DEFAULT|RESTRICT)", re.IGNORECASE)
_WHERE = re.compile(r"\bWHERE (.*)", re.IGNORECASE | re.DOTALL)
_VALUES = re.compile(r"'((?:[^']|'')*)'")
#: What is kept beside a table and may refuse or change rows.
_GUARDS = frozenset({"row security", "partition by", "partition bound", "inherits"})
_GUARDING = frozenset({"trigger", "rule", "policy"})
_DDL = re.compile(r"\b(alter|create|drop|rename|grant|revoke)\b", re.IGNORECASE)
_CALLS = re.compile(r"\b(execute|perform|call)\b", re.IGNORECASE)
#: What `op` offers that changes no schema.
_NO_SCHEMA = frozenset({"get_bind", "get_context", "execute", "f", "inline_literal", "bulk_insert", "run_async"})
#: Statements that no row ever meets.
_HARMLESS = frozenset({"COMMENT", "ANALYZE", "VACUUM", "CLUSTER", "CREATE STATISTICS", "SET STATISTICS"})


@dataclass(frozen=True, kw_only=True)
class KnownSchema:
    """Tables by their bare names, enums with their values, the names of views and of types made by users.

    `guarded` are tables with a trigger, rule, policy or the like, of which nothing good can be predicted. `certain` is
    False where something may be otherwise than it looks; `self_numbering` is whether a key of one integer counts by
    itself.
    """

    tables: Mapping[str, ReplayedTable] = field(default_factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()
    certain: bool = True
    self_numbering: bool = False

    @cached_property
    def children(self) -> Mapping[str, list[tuple[ReplayedTable, ConstraintSpec]]]:
        """The foreign keys to each table, with their tables."""
        found: dict[str, list[tuple[ReplayedTable, ConstraintSpec]]] = {}
        for table in self.tables.values():
            for key in table.foreign_keys:
                found.setdefault(key.referenced_table, []).append((table, key))
        return found


def of_snapshot(snapshot: Snapshot) -> KnownSchema:
    """Return what the catalogue of a server says."""
    objects = snapshot.objects
    guards = {o.name.rpartition(".")[0] for o in objects if o.kind in _GUARDING}
    guards |= {t.name for t in snapshot.tables if any(name in _GUARDS for name, _ in t.options)}
    return KnownSchema(
        tables={table.name: _table(table) for table in snapshot.tables},
        enums={o.name: tuple(_VALUES.findall(o.definition)) for o in objects if o.kind == "enum"},
        views=frozenset(o.name for o in objects if "view" in o.kind),
        guarded=frozenset(guards),
        self_numbering=snapshot.engine == "sqlite",
    )


def of_replayed(state: Replayed, *, certain: bool, engine: str) -> KnownSchema:
    """Return what the revisions say; `certain` is whether each of them was `readable`."""
    objects = state.objects.values()
    return KnownSchema(
        tables=state.tables,
        enums=state.enums,
        views=frozenset(bare(o.name) for o in objects if "view" in o.kind),
        guarded=frozenset(bare(o.table) for o in objects if o.kind in _GUARDING),
        certain=certain,
        self_numbering=engine == "sqlite",
    )


def readable(step: ReviewedStep, source: str) -> bool:
    """Return whether all that the step does to the schema is in the schema after it; `source` is its file's.

    A DO block without a word of DDL or of calls only moves rows. A revision that looks at rows may go on otherwise with
    others: it counts where every operation and every DDL that its text holds was met.
    """
    if step.reading is not Reading.EXACT and not (step.reading is Reading.DATA_DEPENDENT and _all_met(step, source)):
        return False
    for statement in step.statements:
        for action in statement.actions:
            if isinstance(action, Other) and not action.what.upper().startswith(tuple(_HARMLESS)):
                return False
            if isinstance(action, Opaque) and not _only_rows(statement.statement.sql):
                return False
    return True


def _only_rows(sql: str) -> bool:
    code = _VALUES.sub("", sql)
    return code.lstrip().upper().startswith("DO ") and not _DDL.search(code) and not _CALLS.search(code)


def _all_met(step: ReviewedStep, source: str) -> bool:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    tree.body = [each for each in tree.body if getattr(each, "name", "") != "downgrade"]
    calls = [
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "op"
    ]
    met = Counter(operation.name for operation in step.operations)
    asked = Counter(name for name in calls if name not in _NO_SCHEMA)
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    told = " ".join(_plain(statement.statement.sql) for statement in step.statements)
    ddl = [text for text in texts[1:] if _DDL.search(text)]  # the first one is the docstring
    return all(met[name] >= times for name, times in asked.items()) and all(_plain(text) in told for text in ddl)


def _plain(sql: str) -> str:
    return " ".join(sql.split()).rstrip("; ")


def _table(table: Table) -> ReplayedTable:
    constraints = tuple(_constraint(each) for each in table.constraints)
    backing = {each.name for each in constraints}
    return ReplayedTable(
        name=table.name,
        columns=tuple(
            ColumnSpec(
                name=c.name,
                type=c.type,
                nullable=c.nullable,
                default=c.default,
                generated=c.generated,
                identity=c.identity,
            )
            for c in table.columns
        ),
        constraints=constraints,
        indexes=tuple(
            IndexSpec(
                name=i.name,
                columns=(*keys, *((i.definition,) if _expressions(i.definition, keys) else ())),
                unique=i.unique and i.valid,
                where=found[1] if (found := _WHERE.search(i.definition)) else "",
            )
            for i in table.indexes
            for keys in (compared(i.columns, i.definition),)
            if i.name not in backing
        ),
    )


def _expressions(definition: str, columns: tuple[str, ...]) -> bool:
    """Whether an index compares more than those columns."""
    listed = CARRIED.sub("", definition).partition("(")[2].partition(" WHERE ")[0]
    return "(" in listed or listed.count(",") + 1 != len(columns)


def _constraint(each: Constraint) -> ConstraintSpec:
    action = _ON_DELETE.search(each.definition)
    return ConstraintSpec(
        name=each.name,
        kind=each.kind,
        columns=each.columns,
        expression=each.definition,
        validated=each.validated,
        referenced_table=each.referenced_table,
        referenced_columns=each.referenced_columns,
        on_delete=action[1].upper() if action else "",
    )
