"""`handrail rollback`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.cli.terminal import Terminal
from handrail.errors import Exit
from handrail.flows import rollback as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.flows.rollback import RollbackRequest
from handrail.reports import json, text


# a target such as -1 must not be taken for an option
@click.command(
    "rollback",
    cls=manual.Command,
    examples=(
        "handrail rollback -e production --dry-run",
        "handrail rollback -1 -e staging",
        "handrail rollback 59c0d7e8b4f1 -e staging",
    ),
    exits=(Exit.HALFWAY, Exit.LEASE_HELD, Exit.CONNECTION_LOST, Exit.ROLLBACK_FAILED),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("target", required=False)
@options.environment
@click.option("--dry-run", is_flag=True, help="Print the plan and its SQL; write nothing anywhere.")
@options.confirmation
@options.output_format
@options.directory
def command(
    target: str | None,
    environment: str | None,
    confirm: str | None,
    format_: str,
    directory: Path,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    """Undo revisions down to TARGET (Alembic's syntax: -1, base, a revision), or to where the last run began.

    The downgrades that run are the ones that were deployed: the log keeps the source of every applied revision.
    """
    options.refuse_unknown_option(target)
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    with Terminal() as terminal:
        on = target_ports(ports, chosen, emit=terminal)
        if dry_run:
            options.show_dry_run(flow.dry_run(on, RollbackRequest(target=target)), (), format_)
            return 0
        ask = options.confirmer(protected=chosen.protected, confirm=confirm, yes=yes)
        outcome = flow.rollback(on, RollbackRequest(target=target), ask)
    if format_ == "json":
        options.show(json.document("rollback", **options.outcome(outcome)))
    elif not outcome.plan.steps:
        options.show(f"nothing to do: {chosen.name} is at {text.heads(outcome.plan.start)}")
    else:
        options.show(f"{chosen.name} is back at {text.heads(outcome.plan.goal)}")
    options.warn_of_journal(outcome)
    return 0
