"""`handrail status`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import Exit, UsageRefused
from handrail.flows import status as flow
from handrail.flows.ports import Ports, ProjectPorts, project_ports, target_ports
from handrail.reports import json, text


@click.command(
    "status",
    cls=manual.Command,
    examples=(
        "handrail status",
        "handrail status -e production --format json",
        "handrail status -e production --save production.json",
    ),
    exits=(Exit.HALFWAY,),
)
@options.environment_or("every one")
@click.option("--offline", is_flag=True, help="Look at files and journal only; connect to nothing.")
@click.option("--rebind", metavar="NAME", help="Bind environment NAME to the database its url names now.")
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write schema, sizes and revision of the environment's database, no rows, for a review to rest on.",
)
@click.option("--force", is_flag=True, help="Replace the file of --save.")
@options.output_format
@options.directory
def command(
    environment: str | None,
    rebind: str | None,
    save: Path | None,
    format_: str,
    directory: Path,
    *,
    offline: bool,
    force: bool,
) -> int:
    """Show where every environment stands: revision, pending revisions, interrupted runs, and what to type next."""
    ports = project_ports(directory.resolve())
    if save is not None and offline:
        raise UsageRefused(
            what="--save has to look at the database; nothing was touched",
            why="--offline connects to nothing",
            fix="leave --offline out",
        )
    if save is None and force:
        raise UsageRefused(
            what="--force replaces nothing; nothing was touched",
            why="it belongs to --save FILE",
            fix="handrail status --save FILE --force",
        )
    if save is not None:
        _save(ports, environment, save, over=force)
    if rebind is not None:
        binding = flow.rebind(_target(ports, rebind))
        click.echo(f"{rebind} is bound to the database with identity {binding.identity}", err=True)
    chosen = ports.settings.environment(environment) if environment else None
    environments = (chosen,) if chosen else tuple(ports.settings.environments.values())
    found = flow.status(ports, environments, look=not offline)
    options.show(json.document("status", status=found) if format_ == "json" else text.status(found))
    return found.exit


def _save(ports: ProjectPorts, environment: str | None, file: Path, *, over: bool) -> None:
    saved = flow.save(_target(ports, environment), file, over=over)
    tables = text.count(len(saved.snapshot.tables), "table")
    click.echo(f"{file} holds schema and sizes of {saved.environment}: {tables}, no rows", err=True)


def _target(ports: ProjectPorts, environment: str | None) -> Ports:
    return target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None)
