"""What each subcommand of ALTER TABLE locks and costs.

Source: https://www.postgresql.org/docs/current/sql-altertable.html, and AlterTableGetLockLevel in the server's
src/backend/commands/tablecmds.c. What has no line here takes ACCESS EXCLUSIVE, as the manual says of the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from handrail.engines.postgresql.sql.lock_modes import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from handrail.engines.postgresql.sql.syntax import Node, find, kind_of, library, relation, strings, unwrap
from handrail.model.effect import Cost
from handrail.model.verdict import Confidence

_STABLE_FUNCTIONS = frozenset(
    {
        "now",
        "current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "current_database",
        "current_schema",
        "current_user",
        "session_user",
        "lower",
        "upper",
        "to_timestamp",
        "make_date",
        "json_build_object",
        "jsonb_build_object",
        "json_build_array",
        "jsonb_build_array",
        "timezone",
        "date_trunc",
        "array_fill",
        "md5",
    }
)  # fmt: skip - a list of words
_SERIAL_TYPES = frozenset({"serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """What one subcommand does; `others` are further relations it locks, `severs` as in Effect."""

    lock: str = ACCESS_EXCLUSIVE
    cost: Cost = Cost.INSTANT
    confidence: Confidence = Confidence.HIGH
    others: tuple[str, ...] = ()
    others_lock: str = ""
    others_cost: Cost = Cost.INSTANT
    severs: tuple[str, ...] = ()


_SHARED_UPDATE = Touch(lock=SHARE_UPDATE_EXCLUSIVE)
_SHARED_ROW = Touch(lock=SHARE_ROW_EXCLUSIVE)
_DEFAULT = Touch()

_FIXED = {
    "AT_SetNotNull": Touch(cost=Cost.SCAN),  # no scan where a validated CHECK proves it, which text does not show
    "AT_SetStatistics": _SHARED_UPDATE,
    "AT_SetOptions": _SHARED_UPDATE,
    "AT_ResetOptions": _SHARED_UPDATE,
    "AT_ClusterOn": _SHARED_UPDATE,
    "AT_DropCluster": _SHARED_UPDATE,
    "AT_ValidateConstraint": Touch(lock=SHARE_UPDATE_EXCLUSIVE, cost=Cost.SCAN),
    "AT_SetExpression": Touch(cost=Cost.REWRITE),
    "AT_SetLogged": Touch(cost=Cost.REWRITE),
    "AT_SetUnLogged": Touch(cost=Cost.REWRITE),
    "AT_SetAccessMethod": Touch(cost=Cost.REWRITE),
    "AT_SetTableSpace": Touch(cost=Cost.REWRITE),
    "AT_EnableTrig": _SHARED_ROW,
    "AT_EnableAlwaysTrig": _SHARED_ROW,
    "AT_EnableReplicaTrig": _SHARED_ROW,
    "AT_DisableTrig": _SHARED_ROW,
    "AT_EnableTrigAll": _SHARED_ROW,
    "AT_DisableTrigAll": _SHARED_ROW,
    "AT_EnableTrigUser": _SHARED_ROW,
    "AT_DisableTrigUser": _SHARED_ROW,
    "AT_DetachPartitionFinalize": _SHARED_UPDATE,
}

# Storage parameters whose change the server makes under SHARE UPDATE EXCLUSIVE: src/backend/access/common/reloptions.c.
_STRONG_PARAMETERS = frozenset({"user_catalog_table", "security_barrier", "security_invoker", "check_option"})


def touch(command: Node) -> Touch:
    """Return what one AlterTableCmd does to its table."""
    name = library().pg_query_pb2.AlterTableType.Name(command.subtype)
    decide = _DECIDED.get(name)
    return decide(command) if decide else _FIXED.get(name, _DEFAULT)


def column_cost(column: Node) -> tuple[Cost, Confidence]:
    """Return what adding this ColumnDef costs: a rewrite where each row needs a value of its own.

    Source: https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES.
    """
    names = set(strings(column.type_name.names))
    if names & _SERIAL_TYPES:
        return Cost.REWRITE, Confidence.HIGH
    cost, confidence = Cost.INSTANT, Confidence.HIGH
    for constraint in map(unwrap, column.constraints):
        kind = _constraint_kind(constraint)
        if kind == "CONSTR_IDENTITY" or (kind == "CONSTR_GENERATED" and constraint.generated_kind != "v"):
            return Cost.REWRITE, Confidence.HIGH
        if kind == "CONSTR_DEFAULT":
            called = {strings(call.funcname)[-1] for call in find(constraint.raw_expr, "FuncCall")}
            if called - _STABLE_FUNCTIONS:
                # A function we do not know may be volatile; the server looks, we assume.
                return Cost.REWRITE, Confidence.HIGH if called & _VOLATILE_FUNCTIONS else Confidence.LOW
        if kind in {"CONSTR_CHECK", "CONSTR_PRIMARY", "CONSTR_UNIQUE"}:
            cost = Cost.SCAN
    return cost, confidence


_VOLATILE_FUNCTIONS = frozenset(
    {
        "gen_random_uuid",
        "uuid_generate_v4",
        "uuid_generate_v1",
        "uuidv4",
        "uuidv7",
        "random",
        "clock_timestamp",
        "nextval",
        "timeofday",
    }
)  # fmt: skip - a list of words


def referenced(constraint: Node) -> str:
    """Return the table a constraint's foreign key points to, '' where it is none."""
    return relation(constraint.pktable) if _constraint_kind(constraint) == "CONSTR_FOREIGN" else ""


def _add_column(command: Node) -> Touch:
    column = unwrap(getattr(command, "def"))
    cost, confidence = column_cost(column)
    others = tuple(name for c in map(unwrap, column.constraints) if (name := referenced(c)))
    return Touch(cost=cost, confidence=confidence, others=others, others_lock=SHARE_ROW_EXCLUSIVE)


def _add_constraint(command: Node) -> Touch:
    constraint = unwrap(getattr(command, "def"))
    kind = _constraint_kind(constraint)
    scanned = Cost.INSTANT if constraint.skip_validation else Cost.SCAN
    if kind == "CONSTR_FOREIGN":
        return Touch(
            lock=SHARE_ROW_EXCLUSIVE,
            cost=scanned,
            others=(relation(constraint.pktable),),
            others_lock=SHARE_ROW_EXCLUSIVE,
            others_cost=scanned,
        )
    return Touch(cost=Cost.INSTANT if constraint.indexname else scanned)


def _alter_type(command: Node) -> Touch:
    return Touch(cost=Cost.REWRITE, confidence=Confidence.LOW, severs=(command.name,))


def _drop(command: Node) -> Touch:
    return Touch(severs=(command.name,))


def _parameters(command: Node) -> Touch:
    names = {item.defname for item in map(unwrap, unwrap(getattr(command, "def")).items)}
    return _DEFAULT if names & _STRONG_PARAMETERS else _SHARED_UPDATE


def _attach(command: Node) -> Touch:
    partition = unwrap(getattr(command, "def"))
    return Touch(
        lock=SHARE_UPDATE_EXCLUSIVE,
        others=(relation(partition.name),),
        others_lock=ACCESS_EXCLUSIVE,
        others_cost=Cost.SCAN if partition.HasField("bound") else Cost.INSTANT,  # an index has no bounds
    )


def _detach(command: Node) -> Touch:
    partition = unwrap(getattr(command, "def"))
    lock = SHARE_UPDATE_EXCLUSIVE if partition.concurrent else ACCESS_EXCLUSIVE
    return Touch(lock=lock, others=(relation(partition.name),), others_lock=ACCESS_EXCLUSIVE)


def _inherit(command: Node) -> Touch:
    return Touch(others=(relation(unwrap(getattr(command, "def"))),), others_lock=SHARE_UPDATE_EXCLUSIVE)


_DECIDED: dict[str, Callable[[Node], Touch]] = {
    "AT_AddColumn": _add_column,
    "AT_AddConstraint": _add_constraint,
    "AT_AlterColumnType": _alter_type,
    "AT_DropColumn": _drop,
    "AT_DropConstraint": _drop,
    "AT_SetRelOptions": _parameters,
    "AT_ResetRelOptions": _parameters,
    "AT_AttachPartition": _attach,
    "AT_DetachPartition": _detach,
    "AT_AddInherit": _inherit,
}


def _constraint_kind(constraint: Node) -> str:
    if kind_of(constraint) != "Constraint":
        return ""
    return str(library().pg_query_pb2.ConstrType.Name(constraint.contype))


def constraints(create: Node) -> Iterator[Node]:
    """Yield every Constraint of a CreateStmt, of its columns and of the table."""
    for element in map(unwrap, create.table_elts):
        if kind_of(element) == "Constraint":
            yield element
        elif kind_of(element) == "ColumnDef":
            yield from map(unwrap, element.constraints)
