"""`handrail versions`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.flows import versions as flow
from handrail.flows.matrix import observing
from handrail.flows.ports import project_ports, target_ports
from handrail.flows.versions import RegisterRequest
from handrail.model.contract import AppVersion
from handrail.reports import compat_text, json
from handrail.reports.text import count


@click.group("versions", cls=manual.Group)
def command() -> None:
    """Say which versions of the application are deployed, so that migrations can be judged against them.

    A version is kept as its contract, in the journal: what it reads and writes. Its code is not needed again.
    """


@command.command(
    "register",
    examples=(
        "handrail versions register v8",
        "handrail versions register v7 --ref v7.2 --owner web-team",
        "handrail versions register v1 --models legacy.models:db --at 1d7c35f0a2b8",
    ),
)
@click.argument("name")
@click.option("--ref", metavar="GITREF", default="", help="The commit, branch or tag that the version was built from.")
@click.option("--models", metavar="MODULE:ATTRIBUTE", default="", help="Where its metadata is; default: env.py's.")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A contract that was derived elsewhere, as JSON.",
)
@click.option("--at", metavar="REVISION", help="The revision it was written for; default: the heads beside its models.")
@click.option("--owner", metavar="WHO", default="", help="Who answers for its deployments; default: you.")
@options.environment_or("the first one")
@options.output_format
@options.directory
def register(format_: str, directory: Path, **given: object) -> int:
    """Derive what a version reads and writes from its models, and keep it.

    The models are imported in a process of their own, by the interpreter that runs Handrail, behind the fence.
    """
    ports = project_ports(directory.resolve())
    done = flow.register(ports, RegisterRequest(**given))  # type: ignore[arg-type]  # click's own names and types
    if format_ == "json":
        options.show(json.document("version", version=done.version, alike=done.alike))
        return 0
    options.show(compat_text.versions((done.version,)))
    if done.before is not None:
        same = "with the same contract" if done.before.digest == done.version.digest else "with another contract"
        click.echo(f"it was registered before, {same}", err=True)
    if done.alike:
        click.echo(f"{done.version.name} needs the same as {', '.join(done.alike)}: the contracts are equal", err=True)
    return 0


@command.command(
    "list",
    examples=("handrail versions list",),
)
@options.output_format
@options.directory
def list_(format_: str, directory: Path) -> int:
    """Show every registered version: from which revision it is judged, its owner, when it was last seen."""
    ports = project_ports(directory.resolve())
    known = ports.journal.versions()
    use = observing.deployments(ports, known)
    if format_ == "json":
        options.show(json.document("versions", versions=[_short(version) for version in known], deployments=use))
    else:
        options.show(compat_text.versions(known, use))
    return 0


@command.command(
    "observed",
    examples=("handrail versions observed -e production --for 30s",),
    failed="the database does not tell who is connected",
)
@options.environment
@click.option(
    "--for",
    "length",
    metavar="DURATION",
    default="0s",
    help="Look again and again for that long, such as 30s; default: once.",
)
@options.output_format
@options.directory
def observed(environment: str | None, length: str, format_: str, directory: Path) -> int:
    """Show which versions are connected to a database, and when each was last seen to write; keep it in the journal.

    Sessions say so themselves: `application@version` is their application_name. What is not connected now, or says
    nothing, is not seen.
    """
    time = options.length(length, "--for")
    ports = project_ports(directory.resolve())
    on = target_ports(ports, ports.settings.environment(environment), emit=lambda _event: None)
    found = observing.observe(on, length=time)
    if format_ == "json":
        options.show(json.document("observed", observed=found))
        return 0
    options.show(compat_text.observed(found.environment, found.seen, found.unregistered, found.nameless))
    if found.unreadable:
        click.echo(
            f"of {count(found.unreadable, 'session')} only the name is visible: GRANT pg_read_all_stats TO the role "
            "of the environment's url",
            err=True,
        )
    click.echo(
        "a version that holds no connection at this moment is not seen; its writes before that neither", err=True
    )
    return 0


@command.command(
    "show",
    examples=("handrail versions show v7 --format json",),
)
@click.argument("name")
@options.output_format
@options.directory
def show(name: str, format_: str, directory: Path) -> int:
    """Show the contract of a version; as JSON it can be registered elsewhere, with --from-file."""
    version = flow.find(project_ports(directory.resolve()), name)
    if format_ == "json":
        options.show(json.document("contract", contract=version.contract))
        return 0
    options.show(compat_text.versions((version,)))
    for table in version.contract.tables:
        options.show(f"{table.full_name}: {', '.join(c.name for c in table.columns)}")
    return 0


@command.command(
    "retire",
    examples=("handrail versions retire v7",),
)
@click.argument("name")
@options.output_format
@options.directory
def retire(name: str, format_: str, directory: Path) -> int:
    """Say that a version runs nowhere any more; it is judged no longer."""
    version = flow.retire(project_ports(directory.resolve()), name)
    if format_ == "json":
        options.show(json.document("version", version=_short(version)))
    else:
        options.show(compat_text.versions((version,)))
    return 0


@command.command(
    "diff",
    examples=("handrail versions diff v7 v8",),
)
@click.argument("old")
@click.argument("new")
@options.output_format
@options.directory
def diff(old: str, new: str, format_: str, directory: Path) -> int:
    """Show what one version needs of the database and another does not."""
    lines = flow.diff(project_ports(directory.resolve()), old, new)
    if format_ == "json":
        options.show(json.document("contract-diff", old=old, new=new, differences=lines))
    else:
        options.show("\n".join(lines) or f"{old} and {new} need the same: their contracts are equal")
    return 0


def _short(version: AppVersion) -> AppVersion:
    return replace(version, contract=replace(version.contract, tables=()))
