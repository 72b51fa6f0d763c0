"""`handrail log`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import Exit
from handrail.flows import log as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.reports import json, text


@click.command(
    "log",
    cls=manual.Command,
    examples=("handrail log -e production --limit 10",),
    failed="the chain of entries is broken: somebody changed the log",
)
@options.environment
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Only the newest so many entries.")
@options.output_format
@options.directory
def command(environment: str | None, limit: int | None, format_: str, directory: Path) -> int:
    """Show what was done to a database: when, by whom, which revision, from which file."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    found = flow.read(target_ports(ports, chosen, emit=lambda _event: None), limit)
    document = json.document("log", entries=found.entries, broken=found.broken)
    options.show(document if format_ == "json" else text.log(found.entries, found.broken))
    return Exit.FAILED_CLEAN if found.broken else Exit.DONE
