"""`handrail report`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.config import load
from handrail.errors import UsageRefused
from handrail.flows import report as flow
from handrail.flows.ports import journal_of
from handrail.host.secrets import mask
from handrail.reports import html, json, run_text

_FORMATS = {"text": run_text.report, "json": lambda value: json.document("report", report=value), "html": html.report}
_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html"}


@click.command(
    "report",
    cls=manual.Command,
    examples=(
        "handrail report",
        "handrail report 3f9a --output run.html",
        "handrail report --list --limit 5",
    ),
)
@click.argument("run", required=False)
@options.environment_or("whichever ran last")
@click.option("--list", "list_", is_flag=True, help="List the runs, the newest first.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="With --list: only the newest so many runs.")
@click.option(
    "--format", "format_", type=click.Choice(list(_FORMATS)), help="How to write it; default: as FILE ends, else text."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, which is replaced."
)
@options.directory
def command(
    run: str | None,
    environment: str | None,
    limit: int | None,
    format_: str | None,
    output: Path | None,
    directory: Path,
    *,
    list_: bool,
) -> int:
    """Tell what a run did: what became of it, plan, gates, locks, waits, checks, log, and what to type next.

    RUN is the beginning of a run's id; the last run is meant without it. All of it comes from the journal: neither the
    project nor the database has to be there. As html it is one file that needs nothing else.
    """
    settings = load(directory.resolve())
    name = settings.environment(environment).name if environment else None
    journal = journal_of(settings)
    if list_:
        _refuse_beside_list(run, output, format_)
        found = journal.runs(name)[:limit]
        options.show(json.document("runs", runs=found) if format_ == "json" else run_text.runs(found))
        return 0
    kind = format_ or _SUFFIXES.get(output.suffix.lower() if output else "", "text")
    written = mask(_FORMATS[kind](flow.report(journal, name, run)))
    if output is None:
        click.echo(written)
    else:
        options.write(output, written)
    return 0


def _refuse_beside_list(run: str | None, output: Path | None, format_: str | None) -> None:
    if run or output or format_ == "html":
        raise UsageRefused(
            what="--list goes with -e, -n and --format text or json only; nothing was touched",
            why="it prints the runs, not the report of one",
            fix="handrail report --list, then handrail report RUN",
        )
