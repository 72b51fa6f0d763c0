"""What `--help` says beside the options: examples, exit statuses, and the commands of a group in the order of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from handrail.errors import Exit

#: What an exit status means where a command says nothing more exact; docs/exit-codes.md has all of it.
MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED_CLEAN: "findings, or a failure that left nothing half done",
    Exit.REFUSED: "refused; nothing was touched",
    Exit.GATE_CLOSED: "a gate of the environment is closed; nothing was run",
    Exit.DRIFT: "the schema or the revision is not the expected one",
    Exit.HALFWAY: "a revision stands half applied; the message says how to go on",
    Exit.LEASE_HELD: "another run is at work on the database",
    Exit.CONNECTION_LOST: "the connection was lost: handrail status looks it up",
    Exit.BACKUP_UNPROVED: "a backup failed, is damaged, or was not proved",
    Exit.VERIFY_FAILED: "applied, and the result is not what it should be",
    Exit.ROLLBACK_FAILED: "a downgrade failed; the message says where the database stands",
    Exit.BUG: "a bug in Handrail; the message names the report",
    Exit.INTERRUPTED: "stopped by Ctrl-C at a safe point",
    Exit.TERMINATED: "stopped by SIGTERM or SIGHUP at a safe point",
}


class Command(click.Command):
    """A command whose help ends with examples, and with the exit statuses that a script has to know.

    `exits` are further ones than 0 and 2, which every command has; `failed` is what 1 means where it is one of them.
    """

    def __init__(
        self,
        *names: Any,
        examples: Sequence[str] = (),
        failed: str = "",
        exits: Sequence[Exit] = (),
        **options: Any,
    ) -> None:
        super().__init__(*names, **options)
        self.examples = tuple(examples)
        self.exits = {Exit.DONE, Exit.REFUSED, *exits, *({Exit.FAILED_CLEAN} if failed else ())}
        self.failed = failed

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write examples and exit statuses."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':>{formatter.current_indent}}$ {example}\n" for example in self.examples))
        meanings = {**MEANINGS, Exit.FAILED_CLEAN: self.failed}
        write_exits({status: meanings[status] for status in sorted(self.exits)}, formatter)


class Group(click.Group):
    """Commands in the order in which they are written down, each with the whole first sentence of its help."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write each command with its first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=200)) for name, one in self.commands.items()])


def write_exits(meanings: Mapping[Exit, str], formatter: click.HelpFormatter) -> None:
    """Write exit statuses with what they mean."""
    with formatter.section("Exit status"):
        formatter.write_dl([(str(int(status)), meaning) for status, meaning in meanings.items()])
