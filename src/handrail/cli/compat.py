"""`handrail compat`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from handrail.cli import manual, options
from handrail.errors import Exit
from handrail.flows import compat as flow
from handrail.flows import queries, suites
from handrail.flows.compat import CompatRequest
from handrail.flows.ports import Ports, project_ports, target_ports
from handrail.flows.queries import QueriesRequest
from handrail.flows.suites import SuitesRequest
from handrail.host.cache import user_cache
from handrail.model.compatibility import Compatibility
from handrail.model.verdict import Verdict
from handrail.reports import breaks, compat_text, json

_SUFFIXES = {".json": "json", ".html": "html", ".htm": "html", ".md": "markdown"}


@click.command(
    "compat",
    cls=manual.Command,
    examples=(
        "handrail compat -e development",
        "handrail compat --versions v7,v8 --revisions 6ca49f2b7d13: --output compat.html",
        "handrail compat --queries env:production",
        'handrail compat --tests "python -m pytest tests"',
    ),
    failed="a version breaks at a revision it can meet, or could not be exercised there",
)
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
@click.option(
    "--queries",
    metavar="SOURCE",
    help="Have statements planned at each revision too: of a .sql file, a log, or env:NAME (pg_stat_statements).",
)
@click.option("--tests", metavar="CMD", help="Run each version's own tests, from its ref, on a migrated database too.")
@click.option("--junit", metavar="PATH", default="", help="Where CMD leaves JUnit's XML, in the version's folder.")
@click.option(
    "--tests-limit", metavar="DURATION", default="10m", help="How long the tests of one version may take; default: 10m."
)
@options.directory
def command(format_: str | None, output: Path | None, directory: Path, **given: Any) -> int:
    """Exercise every deployed version of the application on the schema of each revision, in a sandbox."""
    ports = project_ports(directory.resolve())
    on = target_ports(ports, ports.settings.environment(given["environment"]), emit=lambda _event: None)
    found = _found(on, **given)
    written = _written(found, format_ or _SUFFIXES.get(output.suffix.lower() if output else "", "text"))
    if output is None:
        options.show(written)
    else:
        options.write(output, written)
    return Exit.DONE if found.verdict is Verdict.PASS else Exit.FAILED_CLEAN


def _found(on: Ports, **given: Any) -> Compatibility:
    """Return all that was asked for; with --queries alone no version has to be registered."""
    names = tuple(name.strip() for name in given["versions"].split(",") if name.strip())
    limit = options.length(given["tests_limit"], "--tests-limit")
    found = Compatibility()
    if names or on.journal.versions() or not given["queries"]:
        asked_for = {name: given[name] for name in ("revisions", "every_pair", "since", "static")}
        request = CompatRequest(versions=names, cache=user_cache(), **asked_for)
        found = replace(found, matrix=flow.compat(on, request))
    if given["queries"]:
        asked = QueriesRequest(source=given["queries"], revisions=given["revisions"])
        found = replace(found, queries=queries.replay(on, asked))
    if given["tests"]:
        tests = SuitesRequest(
            command=given["tests"],
            versions=names,
            revisions=given["revisions"],
            junit=given["junit"],
            limit=limit,
            tell=lambda version: click.echo(f"running the tests of {version}", err=True),
        )
        found = replace(found, suites=suites.run(on, tests))
    return found


def _written(found: Compatibility, format_: str) -> str:
    match format_:
        case "json":
            known = breaks.breaks(found.matrix) if found.matrix else ()
            parts = {"matrix": found.matrix, "breaks": known, "queries": found.queries, "suites": found.suites}
            return json.document("compat", verdict=found.verdict, **parts)
        case "markdown":
            return compat_text.markdown(found)
        case "html":
            from handrail.reports import compat_html  # noqa: PLC0415 - Mako is loaded for pages only

            return compat_html.page(found)
        case _:
            return compat_text.text(found)
