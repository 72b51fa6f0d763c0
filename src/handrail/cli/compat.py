"""`handrail compat`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handrail.cli import options
from handrail.flows import compat as flow
from handrail.flows.compat import CompatRequest
from handrail.flows.ports import project_ports, target_ports
from handrail.host.cache import user_cache
from handrail.model.matrix import Matrix
from handrail.reports import breaks, compat_text, json

_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "markdown"}


@click.command("compat")
@options.environment
@click.option(
    "--versions", metavar="NAME,NAME", default="", help="Which versions; default: all registered and not retired."
)
@click.option("--revisions", metavar="RANGE", default="", help="At which revisions: `a:b`, `a:`, `a`; default: all.")
@click.option("--all", "every_pair", is_flag=True, help="Judge a version also at revisions older than itself.")
@click.option("--since", is_flag=True, help="Take over what the last run found where nothing it rests on has changed.")
@click.option("--static", is_flag=True, help="Execute nothing: predict from contracts and revisions alone.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown", "html"]),
    help="How to write the result; default: as FILE ends, else text.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, which is replaced."
)
@options.directory
def command(
    environment: str | None, versions: str, format_: str | None, output: Path | None, directory: Path, **given: Any
) -> int:
    """Exercise every deployed version of the application on the schema of each revision, in a sandbox.

    Exit 1 when a version breaks at a revision it can meet, or could not be exercised there.
    """
    ports = project_ports(directory.resolve())
    names = tuple(name.strip() for name in versions.split(",") if name.strip())
    request = CompatRequest(versions=names, cache=user_cache(), **given)
    on = target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None)
    found = flow.compat(on, request)
    written = _written(found, format_ or _SUFFIXES.get(output.suffix.lower() if output else "", "text"))
    if output is None:
        options.show(written)
    else:
        options.write(output, written)
    return flow.status(found)


def _written(found: Matrix, format_: str) -> str:
    match format_:
        case "json":
            return json.document("compat", verdict=found.verdict, matrix=found, breaks=breaks.breaks(found))
        case "markdown":
            return compat_text.markdown(found)
        case "html":
            from handrail.reports import compat_html  # noqa: PLC0415 - Mako is loaded for pages only

            return compat_html.page(found)
        case _:
            return compat_text.matrix(found)
