"""`handrail init`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import UsageRefused
from handrail.flows import init as flow
from handrail.host.secrets import mask
from handrail.model.adoption import Adoption, FileChange
from handrail.reports import json, text

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(
    "init",
    cls=manual.Command,
    examples=(
        "handrail init --dry-run",
        "handrail init --yes",
        "handrail init --alembic migrations/alembic.ini",
    ),
)
@click.option("--alembic", metavar="PATH", help="The alembic.ini, where it is not found or there are several.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Replace also files that somebody has written otherwise.")
@options.output_format
@options.directory
def command(alembic: str | None, format_: str, directory: Path, *, dry_run: bool, yes: bool, force: bool) -> int:
    """Set a project up: [tool.handrail], the header in the template of revisions, two scripts, .gitignore.

    Shows every line first. What is there already stays as it is, and a second run finds nothing to do. No database is
    connected to.
    """
    root = directory.resolve()
    found = flow.look(root, alembic=alembic, force=force)
    if format_ == "text":
        _show(found)
    writes = bool(found.pending) and not dry_run
    if writes:
        _ask(found, yes=yes)
        flow.write(root, found)
    if format_ == "json":
        options.show(_document(found, written=writes))
    elif writes:
        options.show(f"written: {', '.join(change.path for change in found.pending)}")
        click.echo(f"next: handrail status, then handrail apply -e {found.environment} --dry-run", err=True)
    elif not found.pending:
        options.show("nothing to do")
    return 0


def _show(adoption: Adoption) -> None:
    found = adoption.found
    click.echo(mask(f"migrations: {found.script_location} ({found.alembic}), {_revisions(adoption)}"), err=True)
    if found.models:
        counted = f", {text.count(found.tables, 'table')}" if found.tables is not None else ""
        click.echo(mask(f"models: {found.models}{counted}"), err=True)
    if found.variable:
        click.echo(mask(f"database: {found.variable}, read at {found.read_at}"), err=True)
    for change in adoption.pending:
        options.show(_coloured(change.diff))
    for change in adoption.left:
        click.echo(mask(f"left as it is: {change.path} (--force replaces it; it would become)"), err=True)
        click.echo(mask(_coloured(change.diff)), err=True)
    for note in adoption.notes:
        click.echo(mask(f"note: {note}"), err=True)


def _revisions(adoption: Adoption) -> str:
    found = adoption.found
    revisions = text.count(found.revisions, "revision")
    return f"{revisions}, head {', '.join(found.heads)}" if found.heads else revisions


def _coloured(diff: str) -> str:
    """Return the diff in colours; click takes them out where nobody could see them."""
    lines = diff.rstrip("\n").split("\n")
    return "\n".join(click.style(line, fg=_COLOURS[line[0]]) if line[:1] in _COLOURS else line for line in lines)


def _ask(adoption: Adoption, *, yes: bool) -> None:
    if yes or not options.at_terminal():
        return
    files = len(adoption.pending)
    if not click.confirm(f"Write {'this file' if files == 1 else f'these {files} files'}?", err=True):
        raise UsageRefused(what="nothing was touched", why="you said no", fix="run again when you are ready")


def _document(adoption: Adoption, *, written: bool) -> str:
    return json.document(
        "init",
        found=adoption.found,
        written=written,
        changes=[_change(change) for change in adoption.changes],
        notes=adoption.notes,
    )


def _change(change: FileChange) -> dict[str, object]:
    return {"path": change.path, "action": change.action, "diff": change.diff}
