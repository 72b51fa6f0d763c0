"""`handrail status`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import options
from handrail.flows import status as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.reports import json, text


@click.command("status")
@options.environment
@click.option("--offline", is_flag=True, help="Look at files and journal only; connect to nothing.")
@click.option("--rebind", metavar="NAME", help="Bind environment NAME to the database its url names now.")
@options.output_format
@options.directory
def command(environment: str | None, rebind: str | None, format_: str, directory: Path, *, offline: bool) -> int:
    """Show where every environment stands: revision, pending revisions, interrupted runs, and what to type next."""
    ports = project_ports(directory.resolve())
    if rebind is not None:
        binding = flow.rebind(target_ports(ports, ports.settings.environment(rebind), emit=lambda _event: None))
        click.echo(f"{rebind} is bound to the database with identity {binding.identity}", err=True)
    chosen = ports.settings.environment(environment) if environment else None
    environments = (chosen,) if chosen else tuple(ports.settings.environments.values())
    found = flow.status(ports, environments, look=not offline)
    options.show(json.document("status", status=found) if format_ == "json" else text.status(found))
    return found.exit
