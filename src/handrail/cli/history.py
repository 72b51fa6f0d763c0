"""`handrail history`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import Exit
from handrail.flows import history as flow
from handrail.flows.ports import project_ports
from handrail.reports import json, text


@click.command(
    "history",
    cls=manual.Command,
    examples=(
        "handrail history",
        "handrail history --count",
    ),
)
@click.option("--count", "only_count", is_flag=True, help="Print the number of revisions only.")
@options.output_format
@options.directory
def command(format_: str, directory: Path, *, only_count: bool) -> int:
    """List every revision, newest first, from the files alone: nothing is imported, nothing is connected to.

    Exit 2 when files cannot be read, or a parent is missing: the list is then not the whole history.
    """
    found = flow.history(project_ports(directory.resolve()))
    problems = tuple(problem.message for problem in found.problems)
    if format_ == "json":
        document = json.document(
            "history", revisions=found.revisions, heads=found.heads, bases=found.bases, problems=problems
        )
        options.show(document)
    elif only_count:
        options.show(str(len(found.revisions)))
    else:
        options.show(text.history(found.revisions, found.heads, problems))
    return Exit.REFUSED if any(problem.blocking for problem in found.problems) else Exit.DONE
