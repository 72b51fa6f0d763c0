"""The command `handrail`: finds the command by name, and turns every ending into an exit status."""

from __future__ import annotations

import gc
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import click

from handrail.cli import manual, streams
from handrail.errors import Exit, HandrailError, Interrupted, UsageRefused
from handrail.host.secrets import mask

#: The modules of Alembic and SQLAlchemy live as long as we do: looking through them again and again for garbage, as
#: Python's 700 would, takes a tenth of a run.
_OBJECTS_BEFORE_COLLECTION = 100_000
#: name -> one line of help. Nothing of a command is imported before it is called: `--help` stays instant.
_COMMANDS = {
    "demo": "See it work: a small application, two versions live, its database migrated under load.",
    "init": "Set a project up: environments, header template, scripts; shown first, nothing overwritten.",
    "status": "Show where every environment stands, and what to type next.",
    "history": "List every revision, from the files alone.",
    "review": "Say what revisions would do, to whom, and what to write instead.",
    "explain": "Show a rule's page: what happens, why, the safe way.",
    "new": "Write the next revision, from what the models have and the database has not.",
    "apply": "Apply pending revisions: planned, gated, one at a time, without stalling anyone.",
    "resume": "Finish what an interrupted run began.",
    "rollback": "Undo revisions with the downgrades that were deployed.",
    "verify": "Compare the database with its revision and with the schema that the revisions make.",
    "backup": "Make backups that are proved by restoring them; list, verify, restore, prune.",
    "versions": "Say which versions of the application are deployed, and what each of them needs.",
    "compat": "Exercise every deployed version on the schema of each revision.",
    "log": "Show what was done to a database, when and by whom.",
    "report": "Tell what a run did, as text, JSON or one HTML file.",
}
#: What they do is more than what they print.
_CHANGING = frozenset({"backup", "demo", "apply", "resume", "rollback"})


class _Lazy(click.Group):
    """A group whose commands are modules of this package, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - see above
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"handrail.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], _COMMANDS, n=1)
        if args[0] not in _COMMANDS and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - see above
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        manual.write_exits(manual.MEANINGS, formatter)


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="handrail")
def handrail() -> None:
    """Safe database migrations for teams on Alembic and SQLAlchemy.

    Start with `handrail demo`, then `handrail init` in your own project. Data goes to stdout, talk to stderr;
    `--format json` is understood by every command but demo.
    """


def run() -> NoReturn:
    """Run the command line of this process, and exit with its status."""
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION, 50, 50)
    out = streams.outlast_readers()
    arguments = sys.argv[1:]
    status = main(arguments)
    sys.stdout.flush()
    gc.freeze()  # or the interpreter searches everything for cycles on its way out, a sixth of a short command's time
    sys.exit(_delivered(arguments, status, out.failure))


def _delivered(arguments: list[str], status: int, failure: OSError | None) -> int:
    """Return the exit status when the result was printed, or was not; a reader who went away had what they wanted."""
    if failure is None or isinstance(failure, BrokenPipeError):
        return status
    problem = HandrailError(
        what=f"the result could not be printed; the command itself ended with exit status {status}",
        why=f"stdout: {failure.strerror}",
        fix="`handrail status` says where the database stands",
    )
    _tell(problem, json=False)
    changes = "--dry-run" not in arguments and bool(_CHANGING.intersection(arguments[:1]))
    return status or (Exit.DONE if changes else Exit.FAILED_CLEAN)


def main(arguments: list[str]) -> int:
    """Return the exit status of that command line."""
    json = "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    try:
        _refuse_no_folder()
        result = handrail.main(arguments or ["--help"], prog_name="handrail", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.Abort:
        click.echo(err=True)  # behind the question
        return _tell(_stopped("at the question; nothing was touched"), json=json)
    except click.ClickException as exc:
        return _tell(_not_understood(exc), json=json)
    except HandrailError as exc:
        return _tell(exc, json=json)
    except KeyboardInterrupt:
        return _tell(_stopped("at once, in the middle of whatever was being done"), json=json)
    except Exception as exc:  # noqa: BLE001 - the last resort: a bug of ours becomes a report and exit 70
        return _tell(_crashed(exc), json=json)
    return int(result or Exit.DONE)


def _refuse_no_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageRefused(
            what="the current folder is gone; nothing was touched",
            why="somebody has deleted or moved it since the shell went there",
            fix="cd to the project's folder, then give the command again",
        ) from None


def _tell(problem: HandrailError, *, json: bool) -> int:
    from handrail.reports import json as json_report  # noqa: PLC0415 - `--help` needs neither
    from handrail.reports import text  # noqa: PLC0415 - see above

    if json:
        click.echo(mask(json_report.document("error", error=problem)))
    click.echo(mask(text.error(problem)), err=True)
    return problem.exit


def _stopped(where: str) -> Interrupted:
    return Interrupted(what=f"stopped {where}", why="you asked for it", fix="handrail status")


def _not_understood(exc: click.ClickException) -> UsageRefused:
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    command = context.command_path if context else "handrail"
    return UsageRefused(
        what=f"`{command}` was not understood; nothing was touched", why=exc.format_message(), fix=f"{command} --help"
    )


def _crashed(exc: Exception) -> HandrailError:
    report = mask("".join(traceback.format_exception(exc)))
    with tempfile.NamedTemporaryFile(  # 0600 by default
        "w", prefix=f"handrail-crash-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(report)
    problem = HandrailError(
        what=f"this is a bug in Handrail ({type(exc).__name__})",
        why=f"the details are in {Path(file.name)}",
        fix="`handrail status` says where the database stands; please report the file, passwords are masked in it",
    )
    problem.exit = Exit.BUG
    return problem
