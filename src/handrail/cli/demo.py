"""`handrail demo`."""

from __future__ import annotations

import os

import click

from handrail.cli import manual
from handrail.flows import demo as flow
from handrail.host.process import die_with_parent


@click.command(
    "demo",
    cls=manual.Command,
    examples=("handrail demo",),
    failed="a step of it did not do what it should",
)
def command() -> int:
    """Show all of it in a temporary folder, on a PostgreSQL of its own: nothing of yours is touched.

    A small application, two of its releases at work, and its database migrated under them.
    """
    if os.environ.get("HANDRAIL_DIE_WITH_PARENT") == "1":
        die_with_parent()
    return flow.demo(lambda line: click.echo(line, err=True))
