"""The lines that take a thing away again, make it again, or set it back, with the user's own names in them."""

from __future__ import annotations

from handrail.model.hazards.inventory import Attribute, Spec, Thing
from handrail.model.hazards.spelling import listed, send, sql_name, table_words
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, ConstraintSpec, IndexSpec

#: What `type_` of op.drop_constraint says, which MySQL needs.
_TYPES = {
    ConstraintKind.PRIMARY_KEY: "primary",
    ConstraintKind.UNIQUE: "unique",
    ConstraintKind.FOREIGN_KEY: "foreignkey",
    ConstraintKind.CHECK: "check",
}


def dropping(thing: Thing, spec: Spec | None, *, in_batch: bool) -> str:
    """Return the line that drops it; `in_batch` where the server alters a table only by making it anew."""
    table, schema = table_words(thing.table)
    match thing.kind:
        case "table":
            return f"op.drop_table({table}{schema})"
        case "column":
            return f'op.drop_column({table}, "{thing.name}"{schema})'
        case "index" if thing.named:
            return f'op.drop_index("{thing.name}", table_name={table}{schema})'
        case "constraint" if thing.named:
            kind = _TYPES.get(spec.kind, "") if isinstance(spec, ConstraintSpec) else ""
            type_ = f', type_="{kind}"' if kind else ""
            if in_batch:
                drop = f'batch.drop_constraint("{thing.name}"{type_})'
                return f"with op.batch_alter_table({table}{schema}) as batch:\n    {drop}"
            return f'op.drop_constraint("{thing.name}", {table}{schema}{type_})'
        case "view" | "materialized view" | "sequence" | "function":
            return send(f"DROP {thing.kind.upper()} {sql_name(thing.name)}")
        case _:
            return f"drop the {thing}"


def making(thing: Thing, spec: Spec | None, *, in_batch: bool) -> str:
    """Return the line that makes it as it was, in words where no single line does."""
    table, schema = table_words(thing.table)
    match spec:
        case ColumnSpec(type=type_, default=default) if type_ is not UNKNOWN:
            filled = f" DEFAULT {default}" if default and default is not UNKNOWN else ""
            return send(f"ALTER TABLE {sql_name(thing.table)} ADD COLUMN {sql_name(thing.name)} {type_}{filled}")
        case IndexSpec(columns=columns, unique=unique, where="", method="" | "btree") if thing.named and all(
            map(str.isidentifier, columns)
        ):
            return f'op.create_index("{thing.name}", {table}, {listed(columns)}{", unique=True" * unique}{schema})'
        case ConstraintSpec() if thing.named and not in_batch:
            return _constraint(thing, spec)
        case _:
            return f"make the {thing} again"


def _constraint(thing: Thing, spec: ConstraintSpec) -> str:
    table, schema = table_words(thing.table)
    match spec.kind:
        case ConstraintKind.UNIQUE:
            return f'op.create_unique_constraint("{thing.name}", {table}, {listed(spec.columns)}{schema})'
        case ConstraintKind.CHECK:
            return f"op.create_check_constraint({thing.name!r}, {table}, {spec.expression!r}{schema})"
        case ConstraintKind.FOREIGN_KEY if not schema and "." not in spec.referenced_table:
            target = f'"{spec.referenced_table}", {listed(spec.columns)}, {listed(spec.referenced_columns)}'
            on_delete = f', ondelete="{spec.on_delete}"' if spec.on_delete else ""
            deferrable = ", deferrable=True" * bool(spec.deferrable)
            deferred = ', initially="DEFERRED"' * spec.deferrable.endswith("DEFERRED")
            return f'op.create_foreign_key("{thing.name}", {table}, {target}{on_delete}{deferrable}{deferred})'
        case _:
            return f"make the {thing} again"


def setting_back(thing: Thing, attribute: Attribute, *, in_batch: bool) -> str:
    """Return the line that gives an attribute of a column its old value, in words where no single line does."""
    if thing.kind != "column" or in_batch:
        return f"set the {attribute.name} of {thing} back to {attribute.was}"
    table, schema = table_words(thing.table)
    alter = f"ALTER TABLE {sql_name(thing.table)} ALTER COLUMN {sql_name(thing.name)}"
    match attribute.name:
        case "nullability":
            return f'op.alter_column({table}, "{thing.name}", nullable={attribute.was == "nullable"}{schema})'
        case "default":
            return send(f"{alter} DROP DEFAULT" if attribute.was == "none" else f"{alter} SET DEFAULT {attribute.was}")
        case "type":
            return send(f"{alter} TYPE {attribute.was}")
        case _:
            return f"set the {attribute.name} of {thing} back to {attribute.was}"
