"""`handrail compat`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import options
from handrail.flows import compat as flow
from handrail.flows.compat import CompatRequest
from handrail.flows.ports import project_ports, target_ports
from handrail.reports import compat_text, json


@click.command("compat")
@options.environment
@click.option(
    "--versions", metavar="NAME,NAME", default="", help="Which versions; default: all registered and not retired."
)
@click.option("--revisions", metavar="RANGE", default="", help="At which revisions: `a:b`, `a:`, `a`; default: all.")
@click.option("--all", "every_pair", is_flag=True, help="Judge a version also at revisions older than itself.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="How to print the result.",
)
@options.directory
def command(
    environment: str | None, versions: str, revisions: str, format_: str, directory: Path, *, every_pair: bool
) -> int:
    """Exercise every deployed version of the application on the schema of each revision, in a sandbox.

    Exit 1 when a version breaks at a revision it can meet, or could not be exercised there.
    """
    ports = project_ports(directory.resolve())
    names = tuple(name.strip() for name in versions.split(",") if name.strip())
    request = CompatRequest(versions=names, revisions=revisions, every_pair=every_pair)
    on = target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None)
    found = flow.compat(on, request)
    if format_ == "json":
        options.show(json.document("compat", verdict=found.verdict, matrix=found))
    else:
        options.show(compat_text.markdown(found) if format_ == "markdown" else compat_text.matrix(found))
    return flow.status(found)
