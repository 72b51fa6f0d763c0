"""`handrail backup`."""

from __future__ import annotations

from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.cli.terminal import Terminal
from handrail.errors import Exit, UsageRefused
from handrail.flows import backup as flow
from handrail.flows.ports import project_ports, target_ports
from handrail.model.backup import Manifest, Pruning
from handrail.reports import backup_text, json

_identity = click.option(
    "--identity",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What decrypts the backup: the file that age-keygen wrote, or a private key of SSH.",
)


@click.group("backup", cls=manual.Group)
def command() -> None:
    """Make backups that are proved by restoring them once; list, verify, restore and prune them.

    A backup is proved when it was restored into a sandbox like the target's server, and schema, version and every value
    were found equal to the snapshot that it was made from.
    """


@command.command(
    "create",
    examples=("handrail backup create -e production",),
    exits=(Exit.BACKUP_UNPROVED,),
)
@options.environment
@options.output_format
@options.directory
def create(environment: str | None, format_: str, directory: Path) -> int:
    """Back the database up, and prove it."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    with Terminal() as terminal:
        made = flow.create(target_ports(ports, chosen, emit=terminal))
    _show(made, ports.settings.root / chosen.backup.directory, format_)
    return 0


@command.command(
    "list",
    examples=("handrail backup list -e production",),
)
@options.environment
@options.output_format
@options.directory
def list_(environment: str | None, format_: str, directory: Path) -> int:
    """Show when each backup was made, its size, at which revision, and whether it is proved. Connects to nothing."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    shelf = flow.shelf(ports, chosen.backup.directory)
    if format_ == "json":
        mine = [json.backup(b) for b in reversed(shelf.of(chosen.name))]
        options.show(json.document("backups", folder=shelf.folder, backups=mine, damaged=shelf.damaged))
    else:
        options.show(backup_text.listing(shelf, chosen.name))
    return 0


@command.command(
    "verify",
    examples=("handrail backup verify latest -e production",),
    exits=(Exit.BACKUP_UNPROVED,),
)
@click.argument("backup", default="latest")
@options.environment
@_identity
@options.output_format
@options.directory
def verify(backup: str, environment: str | None, identity: Path | None, format_: str, directory: Path) -> int:
    """Restore BACKUP (an id, its beginning, or `latest`) into a sandbox again, and compare every value again."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    with Terminal() as terminal:
        verified = flow.verify(target_ports(ports, chosen, emit=terminal), backup, identity)
    _show(verified, ports.settings.root / chosen.backup.directory, format_)
    return 0


@command.command(
    "restore",
    examples=("handrail backup restore latest -e production --into shop_restored",),
    exits=(Exit.BACKUP_UNPROVED,),
)
@click.argument("backup")
@options.environment
@click.option(
    "--into", required=True, metavar="DATABASE", help="A new or empty database: its name, env:NAME, file:PATH or a URL."
)
@click.option("--no-owners", is_flag=True, help="Leave owners and privileges out; everything is then yours.")
@_identity
@options.output_format
@options.directory
def restore(
    backup: str,
    environment: str | None,
    into: str,
    identity: Path | None,
    format_: str,
    directory: Path,
    *,
    no_owners: bool,
) -> int:
    """Restore BACKUP (an id, its beginning, or `latest`) into a new or empty database, and compare it there.

    Never into the database it was made of: what lives there stays, until you point the application elsewhere.
    """
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    with Terminal() as terminal:
        on = target_ports(ports, chosen, emit=terminal)
        restored = flow.restore(on, backup, into, identity, owners=not no_owners)
    if format_ == "json":
        backed = json.backup(restored.backup)
        told = {"target": restored.target, "seconds": restored.seconds, "unlike": restored.unlike}
        options.show(json.document("restored", backup=backed, **told))
        return 0
    by_hand = "".join(f"\n  {line}" for line in restored.unlike)
    options.show(
        f"{restored.backup.id} is restored into {restored.target.database} and equal\n"
        + (f"of the database itself an archive has nothing; set it by hand:{by_hand}\n" if by_hand else "")
        + f"to switch: stop what writes, name {restored.target.url} where {chosen.name}'s url is set, then\n"
        f"  handrail status --rebind {chosen.name}"
    )
    return 0


@command.command(
    "prune",
    examples=("handrail backup prune -e production --keep 5 --dry-run",),
    exits=(Exit.LEASE_HELD,),
)
@options.environment
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help="How many of the newest stay; default: backup.keep."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.output_format
@options.directory
def prune(environment: str | None, keep: int | None, format_: str, directory: Path, *, dry_run: bool, yes: bool) -> int:
    """Delete old backups. Stays: the newest N, the newest proved one, and the one from before the last run."""
    ports = project_ports(directory.resolve())
    chosen = ports.settings.environment(environment)
    kept = keep or chosen.backup.keep

    def ask(planned: Pruning) -> None:
        if yes:
            return
        click.echo(backup_text.pruning(planned), err=True)
        if not options.at_terminal():
            raise UsageRefused(
                what="no backup was deleted; nothing was touched", why="there is no terminal to ask at", fix="--yes"
            )
        if not click.confirm(f"Delete {len(planned.delete)} of them?", err=True):
            raise UsageRefused(
                what="no backup was deleted; nothing was touched", why="you said no", fix="run again when you are ready"
            )

    if dry_run:
        planned = flow.plan_pruning(ports, chosen.name, chosen.backup.directory, kept)
    else:
        planned = flow.prune(ports, chosen.name, chosen.backup.directory, kept, ask)
    if format_ == "json":
        deleted = [json.backup(b) for b in planned.delete]
        options.show(json.document("pruned", dry_run=dry_run, deleted=deleted, kept=planned.keep))
    else:
        options.show(backup_text.pruning(planned))
    return 0


def _show(made: Manifest, folder: Path, format_: str) -> None:
    if format_ == "json":
        options.show(json.document("backup", folder=folder, backup=json.backup(made)))
    else:
        options.show(backup_text.details(made, folder))
