"""Loaded by Alembic itself (entry point `alembic.plugins`): keeps Handrail's own tables out of autogenerate.

Our tables are in no model, so autogenerate would write a revision that drops them. Its name lies below
`alembic.autogenerate`, which is what `context.configure(autogenerate_plugins=...)` includes by default.
Source: https://alembic.sqlalchemy.org/en/latest/api/plugins.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrateOperation, UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult

_SCHEMA = "handrail"
TABLES = frozenset({"handrail_log", "handrail_statement_log", "handrail_lease", "handrail_identity"})


def setup(plugin: Plugin) -> None:
    """Register with Alembic, which calls this while it is itself still being imported."""
    from alembic.util import DispatchPriority  # noqa: PLC0415 - at module level it would import Alembic for everybody

    plugin.add_autogenerate_comparator(_leave_out, "schema", priority=DispatchPriority.LAST)


def _leave_out(_context: AutogenContext, upgrade: UpgradeOps, _schemas: set[str | None]) -> PriorityDispatchResult:
    """Take every operation on a table of ours out of what autogenerate found."""
    from alembic.util import PriorityDispatchResult  # noqa: PLC0415 - see above

    upgrade.ops = [operation for operation in upgrade.ops if not _is_ours(operation)]
    return PriorityDispatchResult.CONTINUE


def _is_ours(operation: MigrateOperation) -> bool:
    return getattr(operation, "schema", None) == _SCHEMA or getattr(operation, "table_name", None) in TABLES
