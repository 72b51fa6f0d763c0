"""`handrail apply`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.cli.terminal import Terminal
from handrail.errors import Exit
from handrail.flows import apply as flow
from handrail.flows.apply import ApplyRequest
from handrail.flows.ports import project_ports, target_ports
from handrail.reports import json, text


@click.command(
    "apply",
    cls=manual.Command,
    examples=(
        "handrail apply -e staging --dry-run",
        "handrail apply -e staging --backup-first --verify-after",
        "handrail apply +1 -e production --confirm shop",
    ),
    failed="a revision failed and was rolled back; those before it stay",
    exits=(
        Exit.GATE_CLOSED,
        Exit.DRIFT,
        Exit.HALFWAY,
        Exit.LEASE_HELD,
        Exit.CONNECTION_LOST,
        Exit.BACKUP_UNPROVED,
        Exit.VERIFY_FAILED,
    ),
)
@click.argument("target", default="head")
@options.environment
@click.option("--dry-run", is_flag=True, help="Print the plan and its SQL; write nothing anywhere.")
@click.option("--backup-first", is_flag=True, help="First make a backup and prove it; else nothing runs (exit 9).")
@click.option("--verify", is_flag=True, help="First compare the live schema with its revision; drift stops (exit 4).")
@click.option("--verify-after", is_flag=True, help="Compare at the new revision too; a difference is exit 10.")
@options.confirmation
@options.output_format
@options.directory
def command(
    target: str,
    environment: str | None,
    confirm: str | None,
    format_: str,
    directory: Path,
    *,
    dry_run: bool,
    backup_first: bool,
    verify: bool,
    verify_after: bool,
    yes: bool,
) -> int:
    """Apply pending revisions up to TARGET (Alembic's syntax: head, +1, a revision's beginning).

    Each revision is one transaction that never waits in a lock queue for longer than lock.timeout. When a lock is not
    to be had, the revision is rolled back and tried again, and nobody is stalled.
    """
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    request = ApplyRequest(target=target, verify=verify, verify_after=verify_after, backup_first=backup_first)
    with Terminal() as terminal:
        on = target_ports(ports, chosen, emit=terminal)
        if dry_run:
            found, checks = flow.dry_run(on, request)
            options.show_dry_run(found, checks, format_)
            return 0
        ask = options.confirmer(protected=chosen.protected, confirm=confirm, yes=yes)
        outcome = flow.apply(on, request, ask)
    if format_ == "json":
        options.show(json.document("apply", **options.outcome(outcome), checks=outcome.after))
    elif not outcome.plan.steps:
        options.show(f"nothing to do: {chosen.name} is at {text.heads(outcome.plan.start)}")
    else:
        options.show(f"{chosen.name} is at {text.heads(outcome.plan.goal)}")
    options.warn_of_journal(outcome)
    return 0
