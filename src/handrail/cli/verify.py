"""`handrail verify`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import options
from handrail.flows import verify as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.reports import json, text


@click.command("verify")
@options.environment
@click.option("--at", metavar="REVISION", help="The revision the database should be at; default: the files' heads.")
@options.output_format
@options.directory
def command(environment: str | None, at: str | None, format_: str, directory: Path) -> int:
    """Compare the database with its revision, and its schema with the one that the revisions make.

    Exit 4 when something differs, 1 when something could not be known.
    """
    ports = project_ports(directory.resolve())
    judgements = flow.verify(target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None), at)
    status = flow.status(judgements)
    options.show(json.document("verify", checks=judgements) if format_ == "json" else text.judgements(judgements))
    return status
