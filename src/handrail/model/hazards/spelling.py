"""The lines to write instead, with the user's own names in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import indent

from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_PREFIX = {
    ConstraintKind.UNIQUE: "uq",
    ConstraintKind.FOREIGN_KEY: "fk",
    ConstraintKind.CHECK: "ck",
    ConstraintKind.PRIMARY_KEY: "pk",
}


def sql_name(name: str) -> str:
    """Return a name, schema-qualified or not, as SQL: quoted where it has to be."""
    return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.strip('"') + '"' for part in name.split("."))


def sql_names(names: Iterable[str]) -> str:
    """Return names as a list in SQL: `id, "Unit Price"`."""
    return ", ".join(map(sql_name, names))


def listed(names: Iterable[str]) -> str:
    """Return names as a list in Python: `["id", "email"]`."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def table_words(table: str) -> tuple[str, str]:
    """Return a table as op's functions take it: the name in quotes, and `, schema="app"` or ''."""
    schema, _, name = table.rpartition(".")
    return f'"{name}"', f', schema="{schema}"' if schema else ""


def call(function: str, table: str, *arguments: str) -> str:
    """Return the line that calls one of op's functions on a table: `op.drop_column("users", "bio", schema="app")`."""
    first, schema = table_words(table)
    return f"op.{function}({', '.join((first, *arguments))}{schema})"


def send(sql: str) -> str:
    """Return the line that sends a statement."""
    return f"op.execute({literal(sql)})"


def literal(text: str) -> str:
    """Return a text as Python writes it, between double quotes where it holds none."""
    return repr(text) if '"' in text else f'"{text}"'


def quoted(name: str) -> str:
    """Return a name as an argument in Python."""
    return f'"{name}"'


def outside(*lines: str) -> str:
    """Return the lines in a block outside the transaction."""
    return "with op.get_context().autocommit_block():\n" + indent("\n".join(lines), "    ")


def alone(*lines: str) -> str:
    """Return the lines as a revision of their own, outside the transaction."""
    return f"in a revision of its own:\n{outside(*lines)}"


def revisions(*bodies: str) -> str:
    """Return one body for each revision, the first one first."""
    first, *rest = bodies
    return "\n".join([f"in one revision:\n{first}", *(f"in a later one:\n{body}" for body in rest)])


def made_up(prefix: str, table: str, *words: str) -> str:
    """Return a name as naming conventions make them: `fk_players_team_id_teams`."""
    return "_".join([prefix, table.rpartition(".")[2], *(w.rpartition(".")[2] for w in words)])


def not_null_proved(table: str, column: str) -> str:
    """Return how NOT NULL is set on PostgreSQL where nobody waits for the proof: by three revisions."""
    check = sql_name(f"{made_up('ck', table, column)}_not_null")
    proof = f"ADD CONSTRAINT {check} CHECK ({sql_name(column)} IS NOT NULL) NOT VALID"
    return (
        f"{send(f'ALTER TABLE {sql_name(table)} {proof}')}, VALIDATE it in the next one, and set NOT NULL in the last"
    )


def constraint_name(table: str, constraint: ConstraintSpec) -> str:
    """Return the name that a constraint has, or one as conventions make them."""
    prefix = _PREFIX.get(constraint.kind, "ck")
    told = (*constraint.columns, *filter(None, (constraint.referenced_table,)))
    return constraint.name or made_up(prefix, table, *told)
