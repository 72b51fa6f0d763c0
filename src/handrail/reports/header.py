"""The header of a revision, as far as its operations and their effects tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handrail.model.effect import Cost
from handrail.model.operation import Operation
from handrail.model.plan import Step
from handrail.model.revision import Header

_BREAKING = frozenset({"drop_table", "drop_column", "rename_table"})
#: What existing rows may break. Names: https://alembic.sqlalchemy.org/en/latest/ops.html
_CONSTRAINTS = frozenset(
    {
        "create_unique_constraint",
        "create_foreign_key",
        "create_check_constraint",
        "create_primary_key",
        "create_exclude_constraint",
    }
)
_WORDS = {
    "create_index": "gains index",
    "drop_index": "loses index",
    "create_unique_constraint": "gains unique constraint",
    "create_foreign_key": "gains foreign key",
    "create_check_constraint": "gains check constraint",
    "create_primary_key": "gains primary key",
    "create_exclude_constraint": "gains exclusion constraint",
    "drop_constraint": "loses constraint",
}


def header(purpose: str, upgrade: Sequence[Operation], downgrade: Sequence[Operation], step: Step) -> Header:
    """Return what upgrade(), its effects and downgrade() say of impact, risk and rollback; testing is a person's."""
    return Header(
        purpose=purpose, impact=impact(upgrade), risk=risk(upgrade, step), rollback=rollback(upgrade, downgrade)
    )


def impact(operations: Iterable[Operation]) -> str:
    """Return what becomes of each table, one sentence each; '' for no operation."""
    tables: dict[str, list[str]] = {}
    for operation in operations:
        changes = tables.setdefault(operation.table or "the database", [])
        if "is new" not in changes:
            changes.append(_change(operation))
    return " ".join(f"{_capital(table)}{'' if table == 'the database' else ' table'} {_and(changes)}."
                    for table, changes in tables.items())  # fmt: skip


def risk(operations: Sequence[Operation], step: Step) -> str:
    """Return Low for what is additive, Medium for what existing rows or readers feel, High for what breaks versions."""
    new = {operation.table for operation in operations if operation.name == "create_table"}
    on_existing = [operation for operation in operations if operation.table not in new]
    if breaking := [_change(o, o.table) for o in on_existing if _breaks(o)]:
        return f"High - breaking: {_and(breaking)}, which versions in use may still read or write."
    if depending := [_change(o, o.table) for o in on_existing if _depends_on_rows(o)]:
        return f"Medium - data-dependent: {_and(depending)}, which existing rows may not allow."
    if not step.exact:
        return f"Medium - data-dependent: {step.recorded.reason or 'it could not be read exactly'}."
    costly = _costly(step)
    if costly:
        return f"Medium - {_and(costly)}."
    return "Low - additive change, backward compatible."


def rollback(upgrade: Sequence[Operation], downgrade: Sequence[Operation]) -> str:
    """Return whether the downgrade is simple, cannot bring data back, or cannot run."""
    if any(o.name == "drop_constraint" and o.subject is None for o in downgrade):
        return "Requires manual intervention - downgrade() drops a constraint without its name."
    if not downgrade:
        return "Requires manual intervention - downgrade() does nothing."
    if any(_breaks(o) and o.name != "rename_table" for o in upgrade):
        return "Complex - downgrade() makes again what was dropped, without its data: that is only in a backup."
    if any("modify_type" in dict(o.details) for o in upgrade):
        return "Complex - the values written since must fit the old type."
    if any(o.name in {"drop_table", "drop_column"} for o in downgrade):
        return "Simple - drop what was added, with the data written to it since."
    return "Simple - downgrade() undoes it."


def _breaks(operation: Operation) -> bool:
    return operation.name in _BREAKING or "modify_name" in dict(operation.details)


def _depends_on_rows(operation: Operation) -> bool:
    details = dict(operation.details)
    if operation.name == "add_column":
        return details.get("nullable") == "false" and "server_default" not in details
    if operation.name == "create_index":
        return details.get("unique") == "true"
    tightened = details.get("modify_nullable") == "false" or "modify_type" in details
    return operation.name in _CONSTRAINTS or (operation.name == "alter_column" and tightened)


def _costly(step: Step) -> list[str]:
    """Return the relations that are read or written anew under a lock that others wait for, each once."""
    words = {Cost.SCAN: "read through", Cost.REWRITE: "written anew"}
    return list(
        dict.fromkeys(
            f"{effect.relation if effect.relation != '*' else 'a table'} is {words[effect.cost]} under {effect.lock}"
            for effect in step.strong_locks
            if effect.cost in words
        )
    )


def _change(operation: Operation, table: str | None = None) -> str:
    """Return what an operation does to its table, in words; `table` names it where the sentence does not yet."""
    details = dict(operation.details)
    of = f" of {table}" if table else ""
    match operation.name:
        case "create_table":
            text = "is new"
        case "drop_table":
            text = f"table {table} is dropped" if table else "is dropped"
        case "add_column":
            null = "nullable" if details.get("nullable") != "false" else "NOT NULL"
            text = f"{operation.subject}{of} is added ({null})" if table else f"gains {operation.subject} ({null})"
        case "drop_column":
            text = f"{operation.subject}{of} is dropped" if table else f"loses {operation.subject}"
        case "alter_column":
            what = f": {', '.join(_altered(details))}"
            text = f"{operation.subject}{of} changes{what}" if table else f"changes {operation.subject}{what}"
        case "rename_table":
            text = f"{table or ''} is renamed {details.get('new_table_name', '')}".strip()
        case name if name in _WORDS:
            named = f"{_WORDS[name]} {operation.subject or '(unnamed)'}"
            text = f"{table} {named}" if table else named
        case name:
            text = f"{table} {name.replace('_', ' ')}" if table else name.replace("_", " ")
    return text


def _altered(details: dict[str, str]) -> list[str]:
    found = [f"type {details['modify_type']}"] if "modify_type" in details else []
    if "modify_nullable" in details:
        found.append("NOT NULL" if details["modify_nullable"] == "false" else "nullable")
    if "modify_name" in details:
        found.append(f"name {details['modify_name']}")
    return found or ["default or comment"]


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
