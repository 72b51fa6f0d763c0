"""`handrail new`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click

from handrail.cli import manual, options
from handrail.errors import UsageRefused
from handrail.flows import new as flow
from handrail.flows.new import NewRequest, Written
from handrail.flows.ports import Ports, project_ports, target_ports
from handrail.history.autogenerate import Draft
from handrail.host.secrets import mask
from handrail.reports import json

_USUAL = "development"
_SLUG = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


@click.command(
    "new",
    cls=manual.Command,
    examples=(
        "handrail new -m add_user_email_column",
        "handrail new -m mark_legacy_passwords --empty",
    ),
)
@click.option("-m", "--message", default="", metavar="TEXT", help="What changes, such as add_user_email_column.")
@click.option("--empty", is_flag=True, help="Compare nothing: write a revision that does nothing yet.")
@click.option("--head", metavar="REVISION", help="The head to build on, where there are several.")
@click.option("--allow-drop", is_flag=True, help="Do not ask before a revision that drops tables or columns.")
@options.environment_or("development")
@options.output_format
@options.directory
def command(
    message: str,
    head: str | None,
    environment: str | None,
    format_: str,
    directory: Path,
    *,
    empty: bool,
    allow_drop: bool,
) -> int:
    """Write the next revision: what the models have and the database has not, with its header filled in.

    The database is only read.
    """
    ports = project_ports(directory.resolve())
    request = NewRequest(message=message, head=head)
    _suggest(message)

    def target() -> Ports:
        known = ports.settings.environments
        usual = _USUAL if environment is None and _USUAL in known else environment
        return target_ports(ports, ports.settings.environment(usual), emit=lambda _event: None)

    written: Written | None
    if empty:
        written = flow.empty(target() if flow.asks_environment(ports) else ports, request)
    else:
        written = flow.compared(target(), request, _consent(allow_drop=allow_drop))
    if format_ == "json":
        options.show(json.document("new", revision=written))
    elif written is None:
        options.show("nothing to do: the database is what the models say (--empty writes a revision all the same)")
    else:
        _tell(written)
    return 0


def _suggest(message: str) -> None:
    slug = "_".join(re.findall(r"[a-z0-9]+", message.lower()))
    if slug and not _SLUG.fullmatch(message.strip()):
        click.echo(mask(f"note: the usual form is lowercase_with_underscores: -m {slug}"), err=True)


def _consent(*, allow_drop: bool) -> Callable[[Draft], None]:
    def ask(draft: Draft) -> None:
        for loss in draft.losses:
            click.echo(mask(f"drops {loss}"), err=True)
        if allow_drop:
            return
        if not options.at_terminal():
            raise UsageRefused(
                what="the revision would drop data, and nobody agreed; nothing was touched",
                why="; ".join(str(loss) for loss in draft.losses),
                fix="--allow-drop where that is meant; else correct the models, or env.py's import of them",
            )
        if not click.confirm("Write a revision that drops them?", err=True):
            raise UsageRefused(what="nothing was touched", why="you said no", fix="run again when you are ready")

    return ask


def _tell(written: Written) -> None:
    for name in ("impact", "risk", "rollback"):
        value = getattr(written.header, name)
        if value:
            click.echo(mask(f"{name}: {value}"), err=True)
    options.show(str(written.path))
    click.echo("next: read it line by line, fill in what stands in <...>, then: handrail apply --dry-run", err=True)
