"""File, docstring and code name different revisions.

What happens: the file's name does not hold the id of the revision, or the docstring's `Revision ID:` and `Revises:`
lines say something else than `revision` and `down_revision`.

Why: the file was copied, renamed or moved in the chain by hand, and only one of the places was changed. Alembic goes
by the code alone; a person who looks for an id finds the wrong file.

The safe way: `<revision id>_<what_changes>.py`, and the docstring as the code has it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards import revision_name
from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision
from handrail.model.revision import Revision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_NONE = frozenset({"", "None", "none", "<base>"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each place that names another revision than the code."""
    for what, fix in _mismatches(revision.revision):
        yield RULE.in_file(
            revision,
            what=what,
            why="Alembic goes by the code alone; who looks for the id finds the wrong file",
            fix=fix,
        )


def _mismatches(revision: Revision) -> Iterator[tuple[str, str]]:
    stem = revision.path.stem
    usual = stem.startswith(f"{revision.id}_")  # no pattern for each id where Alembic has named the file
    if not usual and not re.search(rf"(?:^|[^0-9a-zA-Z]){re.escape(revision.id)}(?:[^0-9a-zA-Z]|$)", stem):
        words = revision_name.slug(revision)
        first, _, rest = words.partition("_")
        named = rest if re.fullmatch(r"[0-9a-f]{6,40}", first) and re.search(r"\d", first) else words
        name = f"{revision.id}_{named}".rstrip("_")
        yield (
            f"the file {revision.path.name} does not name its revision {revision.id}",
            f"git mv '{revision.path.name}' '{name}.py'",
        )
    told = {name.lower(): text for name, text in reversed(revision.header.fields)}
    if "revision id" in told and told["revision id"].strip("'\"` ") != revision.id:
        yield (
            f"the docstring says Revision ID: {told['revision id']}, and the code {revision.id}",
            f"Revision ID: {revision.id}",
        )
    parents = {part.strip("'\"` ()") for part in told.get("revises", "").split(",")} - _NONE
    if "revises" in told and parents not in (set(revision.parents), set(_written(revision))):
        code = ", ".join(revision.parents)
        yield (
            f"the docstring says Revises: {told['revises'] or 'nothing'}, and the code {code or 'None'}",
            f"Revises: {code}",
        )


def _written(revision: Revision) -> tuple[str, ...]:
    """Return down_revision as the file has it: a parent that no file defines is none of the revision's parents."""
    tree = syntax(revision.source)
    for node in tree.body if tree else ():
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="down_revision")], value=ast.Constant(value=str(name)))
                | ast.AnnAssign(target=ast.Name(id="down_revision"), value=ast.Constant(value=str(name)))
            ):
                return (name,)
            case (
                ast.Assign(targets=[ast.Name(id="down_revision")], value=ast.Tuple(elts=names) | ast.List(elts=names))
                | ast.AnnAssign(target=ast.Name(id="down_revision"), value=ast.Tuple(elts=names) | ast.List(elts=names))
            ):
                return tuple(str(one.value) for one in names if isinstance(one, ast.Constant))
    return ()


_ALEMBIC = "add users email\n\nRevision ID: {id}\nRevises: {parent}\nCreate Date: 2026-01-31 10:00:00\n\n"


def _file(name: str, *, flagged: bool, revision: str = "e1", parent: str = "s0") -> Example:
    return Example(body="pass", file=name, docstring=_ALEMBIC.format(id=revision, parent=parent), flagged=flagged)


RULE = Rule(
    name="name-revision-mismatch",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#editing-the-ini-file",
    findings=findings,
    baseline=True,
    examples=(
        _file("ae1027a6acf_add_users_email.py", flagged=True),
        _file("add_users_email.py", flagged=True),
        _file("e1_add_users_email.py", revision="ae1027a6acf", flagged=True),
        _file("e1_add_users_email.py", parent="ae1027a6acf", flagged=True),
        _file("e1_add_users_email.py", flagged=False),
        _file("2026_01_31_1200-e1_add_users_email.py", flagged=False),
        Example(body="pass", file="e1_add_users_email.py", docstring="Add users.email.", flagged=False),
    ),
)
