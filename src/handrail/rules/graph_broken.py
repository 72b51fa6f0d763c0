"""The revision files do not hang together.

What happens: a file cannot be read, a parent is missing, an id is used twice, revisions go in a circle, or there are
several heads. `alembic upgrade head` stops, or goes another way than its author thought.

Why: two branches that were merged each added a revision after the same parent; a file was deleted or renamed; an id was
copied.

The safe way: give each revision one id and a parent that exists, and join heads with `alembic merge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from handrail.model.finding import Finding
from handrail.model.operation import Place
from handrail.model.reviewed import GraphProblem, ReviewedGraph
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

_SEVERITY = {
    "several-bases": Severity.NOTE,
    "missing-folder": Severity.WARNING,
    "missing-function": Severity.WARNING,
    "function-elsewhere": Severity.NOTE,
    "stray": Severity.WARNING,
}


def of_graph(graph: ReviewedGraph, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each problem of the files; what is wrong with a single file only where that is reviewed."""
    backless = {
        revision.id for revision in graph.revisions if revision.downgrade_line is None and revision.upgrade_line
    }
    for problem in graph.problems:
        if problem.kind == "missing-function" and problem.revision in backless:
            continue  # sym-downgrade-empty tells it
        if problem.kind in {"missing-function", "function-elsewhere"} and problem.revision not in graph.reviewed:
            continue
        yield Finding(
            rule=RULE.name,
            severity=_SEVERITY.get(problem.kind, Severity.ERROR),
            confidence=Confidence.HIGH,
            revision=problem.revision,
            direction=None,
            place=_place(problem),
            what=problem.what,
            why=problem.why,
            fix=problem.fix,
        )


def _place(problem: GraphProblem) -> Place | None:
    return None if problem.file is None else Place(file=str(Path(problem.file)), line=problem.line or 1)


_OTHER = '''"""Another head."""

revision = "e2"
down_revision = "{parent}"


def upgrade():
    pass


def downgrade():
    pass
'''

RULE = Rule(
    name="graph-broken",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/branches.html",
    of_graph=of_graph,
    examples=(
        Example(body="pass", flagged=True, others=(("e2_another.py", _OTHER.format(parent="s0")),)),
        Example(
            body="pass",
            flagged=True,
            others=(("e2_another.py", _OTHER.format(parent="gone")),),
            not_run="Alembic stops at such a history",
        ),
        Example(body="pass", flagged=False, others=(("e2_another.py", _OTHER.format(parent="e1")),)),
    ),
)
