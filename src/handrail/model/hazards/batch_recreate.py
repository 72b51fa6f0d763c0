"""Which tables a batch makes anew."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.operation import Operation
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedStep

_OPERATION = "batch_alter_table"


def recreated(step: ReviewedStep) -> Iterator[tuple[Operation, ReplayedTable]]:
    """Yield each batch that makes a table anew, with the table as it was before the function."""
    for operation in step.operations:
        table = step.before.table(operation.table or "")
        if operation.name == _OPERATION and dict(operation.details).get("recreate") == "true" and table is not None:
            yield operation, table
