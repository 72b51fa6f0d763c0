"""An index is dropped that a foreign key needs.

What happens: MySQL and MariaDB refuse with error 1553, "Cannot drop index: needed in a foreign key constraint". What
ran before it in the revision stays, for each DDL commits by itself.

Why: a foreign key needs an index that begins with its columns, on either side. One that the server made up for it is
gone as soon as another one serves, so that the last one is all there is.

The safe way: make another index that begins with the same columns first, or drop the foreign key first.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropIndex
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import listed, quoted
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity

_KEYS = frozenset({ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE})
_WITHOUT_ORDER = frozenset({"fulltext", "spatial"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each index that goes while a foreign key has no other one."""
    for step in revision.steps:
        dropped = ((s, a) for s in step.statements for a in s.actions if isinstance(a, DropIndex))
        for statement, action in dropped:
            for key, columns in _left_bare(statement, action):
                yield RULE.at(
                    step,
                    statement,
                    what=f"index {action.name} of {action.table} is dropped while foreign key {key} needs it:"
                    f" {step.direction.value}() fails here",
                    why="a foreign key needs an index that begins with its columns: error 1553",
                    fix=f"above this line op.drop_constraint({quoted(key)}, ...), or another index that begins with"
                    f" {listed(columns)}",
                )


def _left_bare(statement: ReviewedStatement, action: DropIndex) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each foreign key that stays and loses its only index, with the columns that this has to begin with.

    The statement counts as a whole: one ALTER TABLE may drop the key, or make another index, behind it.
    """
    before, after = statement.before.table(action.table), statement.after.table(action.table)
    if before is None or after is None or not (before.complete and statement.certain):
        return
    needed = [(key.name, key.columns) for key in after.foreign_keys if key in before.foreign_keys]
    pointing = (key for _, key in statement.after.referring(action.table))
    needed += [(key.name, key.referenced_columns or before.primary_key) for key in pointing]
    for name, columns in needed:
        if columns and _serves(before, columns) and not _serves(after, columns):
            yield name or f"({', '.join(columns)})", columns


def _serves(table: ReplayedTable, columns: tuple[str, ...]) -> bool:
    """Return whether an index of that table begins with those columns."""
    indexes = [i.columns for i in table.indexes if i.method not in _WITHOUT_ORDER]
    keys = [c.columns for c in table.constraints if c.kind in _KEYS]
    return any(some[: len(columns)] == columns for some in (*indexes, *keys))


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, code varchar(20))",
    "CREATE TABLE orders (id integer PRIMARY KEY, user_id integer, total integer)",
    "CREATE INDEX ix_orders_user ON orders (user_id)",
    "ALTER TABLE orders ADD CONSTRAINT fk_orders_user FOREIGN KEY (user_id) REFERENCES users (id)",
)
_DROP = 'op.drop_index("ix_orders_user", table_name="orders")'

RULE = Rule(
    name="mysql-index-in-use",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_DROP, flagged=True, fails=True),
        Example(
            given=(
                "CREATE TABLE users (id integer PRIMARY KEY, code varchar(20))",
                "CREATE UNIQUE INDEX ux_code ON users (code)",
                "CREATE TABLE cards (code varchar(20), CONSTRAINT fk_code FOREIGN KEY (code) REFERENCES users (code))",
            ),
            body='op.drop_index("ux_code", table_name="users")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=_GIVEN,
            body='op.create_index("ix_orders_user_total", "orders", ["user_id", "total"])',
            downgrade='op.drop_index("ix_orders_user_total", table_name="orders")',
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body=f'op.create_index("ix_orders_user_total", "orders", ["user_id", "total"])\n{_DROP}',
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body=f'op.drop_constraint("fk_orders_user", "orders", type_="foreignkey")\n{_DROP}',
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body='op.execute("ALTER TABLE orders DROP INDEX ix_orders_user, DROP FOREIGN KEY fk_orders_user")',
            flagged=False,
        ),
        Example(
            given=(*_GIVEN, "CREATE INDEX ix_total ON orders (total)"),
            body='op.drop_index("ix_total", table_name="orders")',
            flagged=False,
        ),
    ),
)
