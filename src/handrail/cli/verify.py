"""`handrail verify`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import Exit
from handrail.flows import verify as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.flows.verify import VerifyRequest
from handrail.reports import json, text


@click.command(
    "verify",
    cls=manual.Command,
    examples=(
        "handrail verify -e production",
        "handrail verify -e staging --check no-orphans --all-keys",
    ),
    failed="rows are wrong, or something could not be known",
    exits=(Exit.DRIFT,),
)
@options.environment
@click.option("--at", metavar="REVISION", help="The revision the database should be at; default: the files' heads.")
@click.option("--check", "checks", metavar="NAME", multiple=True, help="Only this check; can be given several times.")
@click.option("--all-keys", is_flag=True, help="Look for rows without parent under validated foreign keys too.")
@options.output_format
@options.directory
def command(
    environment: str | None, at: str | None, checks: tuple[str, ...], format_: str, directory: Path, *, all_keys: bool
) -> int:
    """Compare the database with what its revisions and its models make, and look for rows that break its relations."""
    ports = project_ports(directory.resolve())
    request = VerifyRequest(at=at, checks=checks, all_keys=all_keys)
    on = target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None)
    judgements = flow.verify(on, request)
    status = flow.status(judgements)
    options.show(json.document("verify", checks=judgements) if format_ == "json" else text.judgements(judgements))
    return status
