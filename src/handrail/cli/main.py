"""The command `handrail`: finds the command by name, and turns every ending into an exit status."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from handrail.errors import Exit, HandrailError
from handrail.host.secrets import mask

#: name -> one line of help. Nothing of a command is imported before it is called: `--help` stays instant.
_COMMANDS = {
    "demo": "See it work: a small application, two versions live, its database migrated under load.",
    "status": "Show where every environment stands, and what to type next.",
    "history": "List every revision, from the files alone.",
    "apply": "Apply pending revisions: planned, gated, one at a time, without stalling anyone.",
    "resume": "Finish what an interrupted run began.",
    "rollback": "Undo revisions with the downgrades that were deployed.",
    "verify": "Compare the database with its revision and with the schema that the revisions make.",
    "log": "Show what was done to a database, when and by whom.",
}


class _Lazy(click.Group):
    """A group whose commands are modules of this package, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - see above
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"handrail.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - see above
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="handrail")
def handrail() -> None:
    """Safe database migrations for teams on Alembic and SQLAlchemy.

    Start with `handrail demo`, then `handrail status` in your own project. Data goes to stdout, talk to stderr;
    `--format json` is understood by every command.
    """


def run() -> NoReturn:
    """Run the command line of this process, and exit with its status."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Return the exit status of that command line."""
    try:
        result = handrail.main(arguments, prog_name="handrail", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.Abort:
        return Exit.INTERRUPTED
    except click.ClickException as exc:
        exc.show()
        return Exit.REFUSED
    except HandrailError as exc:
        _tell(exc, json="json" in arguments)
        return exc.exit
    except KeyboardInterrupt:
        click.echo("handrail: stopped at once; `handrail status` says where the database stands", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader is gone; do not fail again at exit
        return Exit.DONE
    except Exception as exc:  # noqa: BLE001 - the last resort: a bug of ours becomes a report and exit 70
        return _crashed(exc)
    return int(result or Exit.DONE)


def _tell(problem: HandrailError, *, json: bool) -> None:
    from handrail.reports import json as json_report  # noqa: PLC0415 - `--help` needs neither
    from handrail.reports import text  # noqa: PLC0415 - see above

    if json:
        click.echo(mask(json_report.document("error", error=problem)))
    click.echo(mask(text.error(problem)), err=True)


def _crashed(exc: Exception) -> int:
    report = mask("".join(traceback.format_exception(exc)))
    with tempfile.NamedTemporaryFile(  # 0600 by default
        "w", prefix=f"handrail-crash-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(report)
    click.echo(
        f"handrail: this is a bug in Handrail ({type(exc).__name__})\n"
        f"  why: the details are in {Path(file.name)}\n"
        "  fix: `handrail status` says where the database stands; please report the file, passwords are masked in it",
        err=True,
    )
    return Exit.BUG
