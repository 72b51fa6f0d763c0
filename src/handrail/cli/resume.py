"""`handrail resume`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.cli.terminal import Terminal
from handrail.errors import Exit
from handrail.flows import resume as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.flows.standing.halfway import Settlement
from handrail.reports import json, text


@click.command(
    "resume",
    cls=manual.Command,
    examples=(
        "handrail resume -e production",
        "handrail resume -e production --settle landed",
    ),
    failed="a revision failed and was rolled back; those before it stay",
    exits=(Exit.HALFWAY, Exit.LEASE_HELD, Exit.CONNECTION_LOST),
)
@options.environment
@click.option(
    "--settle",
    type=click.Choice([s.value for s in Settlement]),
    help="What you found out: the statement in flight has landed, was lost, or you have undone the whole revision.",
)
@options.confirmation
@options.output_format
@options.directory
def command(
    environment: str | None, settle: str | None, confirm: str | None, format_: str, directory: Path, *, yes: bool
) -> int:
    """Finish what an interrupted run began: each revision exactly once, a half applied one from where it stands."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    with Terminal() as terminal:
        on = target_ports(ports, chosen, emit=terminal)
        ask = options.confirmer(protected=chosen.protected, confirm=confirm, yes=yes)
        outcome = flow.resume(on, ask, Settlement(settle) if settle else None)
    if format_ == "json":
        options.show(json.document("resume", **(options.outcome(outcome) if outcome else {"run": None})))
    elif outcome is None or not outcome.plan.steps:
        options.show(f"nothing to resume on {chosen.name}")
    else:
        options.show(f"{chosen.name} is at {text.heads(outcome.plan.goal)}")
    if outcome:
        options.warn_of_journal(outcome)
    return 0
