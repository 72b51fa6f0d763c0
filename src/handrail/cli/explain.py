"""`handrail explain`."""

from __future__ import annotations

import click

from handrail.cli import manual
from handrail.flows import explain as flow
from handrail.reports import json


@click.command(
    "explain",
    cls=manual.Command,
    examples=(
        "handrail explain",
        "handrail explain lock-index-create",
    ),
)
@click.argument("rule", default="")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print the page; default: text.",
)
def command(rule: str, format_: str) -> int:
    """Show the page of RULE: what happens, why, the safe way, and examples. Without RULE, list every rule."""
    if rule:
        page = flow.explain(rule)
        click.echo(json.document("rule", rule=page) if format_ == "json" else page.text)
    else:
        pages = flow.index()
        listed = "\n".join(f"{p.name:28} {p.severity.value:8} {p.title}" for p in pages)
        click.echo(json.document("rules", rules=pages) if format_ == "json" else listed)
    return 0
