"""Options that several commands share, and the small steps around every command."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handrail.config import duration
from handrail.errors import UsageRefused
from handrail.host.secrets import mask

if TYPE_CHECKING:
    from handrail.flows.run.running import DryRun, Outcome
    from handrail.model.plan import Plan
    from handrail.model.run import Judgement

F = TypeVar("F", bound=Callable[..., Any])


def environment_or(default: str) -> Callable[[F], F]:
    """-e/--environment NAME, with what is meant where it is not given."""
    return click.option(
        "-e",
        "--environment",
        metavar="NAME",
        callback=_not_empty,
        help=f"An environment of the settings; default: {default}.",
    )


def _not_empty(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse `-e "$ENV"` where ENV is not set: that is not the default environment."""
    if value == "":
        raise click.BadParameter("the environment's name is empty")
    return value


def environment(function: F) -> F:
    """-e/--environment NAME, of a command that works on one."""
    return environment_or("default_environment, or the only one")(function)


def output_format(function: F) -> F:
    """--format text|json."""
    choice = click.Choice(["text", "json"])
    return click.option(
        "--format", "format_", type=choice, default="text", help="How to print the result; default: text."
    )(function)


def directory(function: F) -> F:
    """-C/--directory PATH."""
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.option(
        "-C", "--directory", type=kind, default=Path(), metavar="PATH", help="The project's folder; default: here."
    )(function)


def confirmation(function: F) -> F:
    """--confirm NAME and --yes."""
    function = click.option("--yes", is_flag=True, help="Do not ask where the environment is not protected.")(function)
    return click.option(
        "--confirm", metavar="DATABASE", help="The database's name, for a protected environment without a terminal."
    )(function)


def length(value: str, option: str) -> timedelta:
    """Return the time span that an option gives. Raises BadParameter."""
    try:
        return duration(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint=option) from exc


def show(text: str) -> None:
    """Print data on stdout, with secrets masked."""
    click.echo(mask(text))


def write(path: Path, text: str) -> None:
    """Write data to a file, which is replaced, with secrets masked, and say so. Raises UsageRefused."""
    try:
        path.write_text(mask(text) + "\n", encoding="utf-8")
    except OSError as exc:
        raise UsageRefused(
            what=f"the report cannot be written to {path}; nothing was touched",
            why=exc.strerror or type(exc).__name__,
            fix="name a file in a folder that exists and may be written to: --output FILE",
        ) from exc
    click.echo(f"written: {path}", err=True)


def confirmer(*, protected: bool, confirm: str | None, yes: bool) -> Callable[[Plan], None]:
    """Return the function that asks for consent to a plan, or takes it from flags and HANDRAIL_CONFIRM."""
    given = confirm or os.environ.get("HANDRAIL_CONFIRM", "")

    def ask(plan: Plan) -> None:
        name = plan.target.database
        if protected:
            _named(plan, given, name)
        elif not yes and not given and at_terminal():
            _agreed(plan)
        elif given and given != name:
            raise _other_name(plan, given, name)

    return ask


def _named(plan: Plan, given: str, name: str) -> None:
    if not given and at_terminal():
        given = click.prompt(f"{plan.environment} is protected. Type the database's name to go on", err=True)
    if not given:
        raise UsageRefused(
            what=f"{plan.environment} is protected and nobody confirmed; nothing was touched",
            why="there is no terminal to ask at",
            fix=f"--confirm {shlex.quote(name)}, or HANDRAIL_CONFIRM={shlex.quote(name)}",
        )
    if given != name:
        raise _other_name(plan, given, name)


def _other_name(plan: Plan, given: str, name: str) -> UsageRefused:
    return UsageRefused(
        what=f"the confirmation does not fit {plan.environment}; nothing was touched",
        why=f"{given!r} was confirmed, the database is {name!r}",
        fix="make sure which database is meant, then confirm its name",
    )


def _agreed(plan: Plan) -> None:
    steps = len(plan.steps)
    if not click.confirm(f"Run {steps} step{'s' if steps != 1 else ''} on {plan.target.database}?", err=True):
        raise UsageRefused(what="nothing was touched", why="you said no", fix="run again when you are ready")


def at_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show_dry_run(found: DryRun, checks: tuple[Judgement, ...], format_: str) -> None:
    """Print what a dry run found."""
    from handrail.reports import json, plan_text, text  # noqa: PLC0415 - most commands that take these options print no plan

    if format_ == "json":
        parts = {"gates": found.gates, "refusals": found.refusals, "checks": checks}
        show(json.document("dry-run", plan=found.plan, **parts))
        return
    show(plan_text.plan(found.plan))
    for judgements in (found.gates, checks):
        if judgements:
            show("\n" + text.judgements(judgements))
    for refusal in found.refusals:
        show(f"\nwould be refused now: {refusal.what}\n  why: {refusal.why}\n  fix: {refusal.fix}")


def outcome(value: Outcome) -> dict[str, object]:
    """Return the parts of an outcome that a JSON document holds."""
    return {"run": value.run, "start": value.plan.start, "goal": value.plan.goal, "plan": value.plan}


def warn_of_journal(value: Outcome) -> None:
    """Say that the journal could not be written to the end; the target's own log is complete."""
    if value.journal_broken:
        click.echo(mask(f"warning: the journal is incomplete: {value.journal_broken}"), err=True)


def refuse_unknown_option(target: str | None) -> None:
    """Raise for a word that looks like an option and is no relative revision such as -1."""
    if target is not None and target.startswith("-") and not target[1:].isdigit():
        context = click.get_current_context()
        known = [name for parameter in context.command.params for name in parameter.opts]
        raise click.NoSuchOption(target, possibilities=get_close_matches(target, known), ctx=context)
