"""Backups by a command of the environment, for databases that are too large to be dumped."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace

from handrail.errors import BackupUnproved
from handrail.flows.ports import Ports
from handrail.host.programs import outcome, running
from handrail.host.secrets import mask
from handrail.model.backup import Manifest, Program, Proof
from handrail.model.run import BackupProgressed, BackupProved
from handrail.model.verdict import Verdict

PROGRAM = Program(name="command", version="", major=0)


def make(ports: Ports, manifest: Manifest) -> str:
    """Run `backup.command` to its end; return the last line it printed: what it calls the backup it made.

    Raises BackupUnproved.
    """
    ports.emit(BackupProgressed(phase="running backup.command"))
    status, said, answer = _run(ports, ports.environment.backup.command, manifest)
    if status != 0:
        raise BackupUnproved(
            what="the backup failed; nothing was touched",
            why=f"backup.command {outcome(status)}: {said or 'it gave no reason'}",
            fix="run the command by hand",
        )
    return mask(answer.splitlines()[-1].strip()) if answer else manifest.id


def prove(ports: Ports, manifest: Manifest, earlier: tuple[Manifest, ...]) -> Proof:
    """Return whether what `backup.command` makes can be restored: by its last proof, where that is young enough.

    Otherwise by running `backup.proof` now.
    """
    now, max_age = ports.clock.now(), ports.environment.backup.max_age
    for backup in reversed(earlier):
        at = backup.proof.at
        if backup.method is manifest.method and backup.proved and at is not None and now - at <= max_age:
            reason = f"made as {backup.id}, which was restored at {at:%Y-%m-%d %H:%M} UTC"
            if backup.proof.server:  # carried on from an older one, never made younger
                proof = replace(backup.proof, reason=reason)
                ports.emit(BackupProved(id=manifest.id, proof=proof))
                return proof
    return run_proof(ports, manifest)


def run_proof(ports: Ports, manifest: Manifest) -> Proof:
    """Run `backup.proof` for that backup and return what it said: PASS where it ended with 0."""
    ports.emit(BackupProgressed(phase="running backup.proof"))
    began = ports.clock.monotonic()
    status, said, _answer = _run(ports, ports.environment.backup.proof, manifest)
    proof = Proof(
        verdict=Verdict.PASS if status == 0 else Verdict.FAIL,
        reason="restored by backup.proof"
        if status == 0
        else f"backup.proof {outcome(status)}: {said or 'it gave no reason'}",
        at=ports.clock.now(),
        server="backup.proof",
        seconds=ports.clock.monotonic() - began,
    )
    ports.emit(BackupProved(id=manifest.id, proof=proof))
    return proof


def _run(ports: Ports, command: str, manifest: Manifest) -> tuple[int, str, str]:
    """Return the status of the command, the end of its stderr and of its stdout; secrets go by environment alone."""
    told = {
        "HANDRAIL_ENVIRONMENT": manifest.environment,
        "HANDRAIL_URL": ports.engine.url.render_as_string(hide_password=False),
        "HANDRAIL_DATABASE": manifest.target.database,
        "HANDRAIL_BACKUP_ID": manifest.id,
        "HANDRAIL_BACKUP": manifest.archive,
        "HANDRAIL_BACKUP_DIRECTORY": str(ports.settings.root / ports.environment.backup.directory),
        "HANDRAIL_HEADS": " ".join(manifest.heads),
    }
    try:
        argv = shlex.split(command)
        with running(argv, env=os.environ | told, cwd=ports.settings.root) as program:
            return program.wait(), program.said(), program.answer()
    except (OSError, ValueError, IndexError) as exc:
        raise BackupUnproved(
            what="the backup failed; nothing was touched",
            why=f"`{command}` cannot be run: {exc}",
            fix="correct backup.command and backup.proof of the environment",
        ) from exc
