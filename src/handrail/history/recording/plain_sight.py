"""What stands in plain sight in the text of upgrade() and downgrade(): nothing is executed, for code nobody trusts.

Calls of `op` with literal arguments are seen as operations, and literal SQL as statements. Everything else (loops,
helpers, conditions) is only known to be there, so no reading of this kind is exact.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator
from types import MappingProxyType

from handrail.engines.dialects import Dialect
from handrail.history.files.graph import Graph
from handrail.history.recording.reading import Read, below, step
from handrail.model.operation import Operation, Place, Reading, RecordedRevision, Statement
from handrail.model.reviewed import ReviewedStep
from handrail.model.revision import Direction, Revision

_REASON = "nothing was executed, only what stands in plain sight was seen"
_SENDERS = frozenset({"execute", "exec_driver_sql"})
#: Which argument names the table, and which the subject: https://alembic.sqlalchemy.org/en/latest/ops.html.
_ARGUMENTS = {
    "add_column": (0, None),
    "alter_column": (0, 1),
    "batch_alter_table": (0, None),
    "create_check_constraint": (1, 0),
    "create_exclude_constraint": (1, 0),
    "create_foreign_key": (1, 0),
    "create_index": (1, 0),
    "create_primary_key": (1, 0),
    "create_table": (0, None),
    "create_unique_constraint": (1, 0),
    "drop_column": (0, 1),
    "drop_constraint": (1, 0),
    "drop_index": (1, 0),
    "drop_table": (0, None),
    "rename_table": (0, 1),
}


def read(graph: Graph, *, engine: Dialect, server_major: int, downgrades: Collection[str]) -> Read:
    """Return each upgrade of the graph, and those downgrades, as far as their text shows them."""
    upgrades: dict[str, ReviewedStep] = {}
    undone: list[ReviewedStep] = []
    for revision in reversed(list(graph.walk())):
        before = below(revision, graph, upgrades)
        up = _seen(revision, Direction.UPGRADE, engine)
        upgraded = step(up, before, engine=engine, server_major=server_major, maker=revision.id)
        upgrades[revision.id] = upgraded
        if revision.id in downgrades:
            down = _seen(revision, Direction.DOWNGRADE, engine)
            maker = f"downgrade of {revision.id}"
            undone.append(step(down, upgraded.after, engine=engine, server_major=server_major, maker=maker))
    return Read(upgrades=MappingProxyType(upgrades), downgrades=iter(undone))


def _seen(revision: Revision, direction: Direction, engine: Dialect) -> RecordedRevision:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\\d" in a string is the file's own affair
        tree = ast.parse(revision.source)
    operations: list[Operation] = []
    statements: list[Statement] = []
    for call in _calls(tree, direction.value):
        assert isinstance(call.func, ast.Attribute)
        place = Place(file=str(revision.path), line=call.lineno)
        sql = _sql(call) if call.func.attr in _SENDERS else None
        if sql is not None:
            kind = engine.statements.kind(sql)
            statements.append(Statement(sql=sql, kind=kind, place=place, exact=False))
        elif call.func.attr in _ARGUMENTS:
            operations.append(_operation(call, call.func.attr, place))
    empty = _is_empty(tree, direction.value)
    return RecordedRevision(
        revision=revision.id,
        direction=direction,
        reading=Reading.EXACT if empty else Reading.DATA_DEPENDENT,
        reason="" if empty else _REASON,
        operations=tuple(operations),
        statements=tuple(statements),
    )


def _function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return next(found, None)


def _is_empty(tree: ast.Module, name: str) -> bool:
    function = _function(tree, name)
    return function is not None and all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in function.body
    )


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    function = _function(tree, name)
    for node in ast.walk(function) if function else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def _sql(call: ast.Call) -> str | None:
    argument = call.args[0] if call.args else None
    if isinstance(argument, ast.Call) and argument.args:  # sa.text("...")
        argument = argument.args[0]
    return _text(argument)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _operation(call: ast.Call, name: str, place: Place) -> Operation:
    table, subject = _ARGUMENTS[name]
    named = {keyword.arg: _text(keyword.value) for keyword in call.keywords}

    def argument(position: int | None, keyword: str) -> str | None:
        if position is not None and position < len(call.args):
            return _text(call.args[position])
        return named.get(keyword)

    return Operation(
        name=name, table=argument(table, "table_name"), subject=argument(subject, "constraint_name"), place=place
    )
