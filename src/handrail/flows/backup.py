"""`handrail backup`: create, list, verify, restore, prune."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from handrail.engines.base import Engine, Purpose
from handrail.errors import BackupUnproved, LeaseHeld, UsageRefused
from handrail.flows.archives import archiving, commanded, proving
from handrail.flows.ports import Ports, ProjectPorts
from handrail.flows.run import running
from handrail.flows.standing import planning
from handrail.host.urls import resolve
from handrail.journal import backups
from handrail.model import grants
from handrail.model.backup import Image, Manifest, Method, Proof, Pruning, Shelf, pruning
from handrail.model.needs import unlike
from handrail.model.run import BackupProgressed, RunState
from handrail.model.target import Target
from handrail.model.verdict import Verdict

_SOURCES = frozenset({"env", "file", "command"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A backup in a new database, compared with what its own one held.

    `unlike` is what no archive holds, since it is set on a database and not in it, one sentence each.
    """

    backup: Manifest
    target: Target
    seconds: float
    unlike: tuple[str, ...] = ()


def create(ports: Ports) -> Manifest:
    """Make a backup and return it, proved.

    Raises BackupUnproved, LeaseHeld while a run is at work, and what reaching the database raises.
    """
    standing = planning.look_as_allowed(ports)
    running.refuse_stranger(ports, standing)
    if standing.lease_taken:
        raise LeaseHeld(
            what="a run is at work on this database; nothing was touched",
            why=standing.lease.describe() if standing.lease else "it has only begun",
            fix=f"wait for it: handrail status -e {ports.environment.name}",
        )
    return archiving.back_up(ports, standing.target, standing.identity.uuid if standing.identity else "")


def shelf(ports: ProjectPorts, directory: str) -> Shelf:
    """Return what is in the folder of backups. No database is opened, nothing is written."""
    return backups.read(ports.settings.root / directory)


def verify(ports: Ports, wanted: str, identity: Path | None) -> Manifest:
    """Restore a backup again, compare it again, and write down what came out. Raises BackupUnproved unless it is equal.

    `identity` is the file that decrypts it.
    """
    place = archiving.folder(ports)
    found = backups.find(backups.read(place), ports.environment.name, wanted)
    with archiving.given_up_as_a_whole(ports):
        backups.sweep(place)
        proof = _proof(ports, place, found, identity)
        judged = replace(found, proof=proof)
        _note(place, replace(backups.whole(place, found), proof=proof))
    again = f"remove the reason, then: handrail backup verify {found.id} -e {found.environment}"
    fix = again if proof.verdict is Verdict.UNKNOWN else "use another one: handrail backup list"
    proving.require(proof, f"backup {found.id}", fix)
    return judged


def _note(place: Path, judged: Manifest) -> None:
    """Write down what came out. Raises BackupUnproved where the folder does not take it: the archive is as it was."""
    try:
        backups.write(place, judged)
    except OSError as exc:
        told = "proved" if judged.proved else "looked at"
        raise BackupUnproved(
            what=f"backup {judged.id} is {told}, and that could not be noted; its archive is as it was",
            why=f"{exc.strerror}: {exc.filename}; {judged.proof.reason}",
            fix=f"make {place} writable, then: handrail backup verify {judged.id} -e {judged.environment}",
        ) from exc


def _proof(ports: Ports, place: Path, found: Manifest, identity: Path | None) -> Proof:
    if found.method is Method.COMMAND:
        return commanded.run_proof(ports, found)
    whole = backups.whole(place, found)
    try:
        with proving.plain(place, whole, identity) as archive:
            return proving.prove(ports, whole, archive)
    except proving.Damage as exc:
        return Proof(verdict=Verdict.FAIL, reason=exc.why, at=ports.clock.now())


def restore(ports: Ports, wanted: str, into: str, identity: Path | None, *, owners: bool) -> Restored:
    """Restore a backup into a new or empty database, and compare it there.

    `into` is a database's name (a file's, on SQLite) beside the environment's, or a URL as settings write it. Raises
    BackupUnproved, TargetRefused, UsageRefused.
    """
    place = archiving.folder(ports)
    found = backups.find(backups.read(place), ports.environment.name, wanted)
    if found.method is Method.COMMAND:
        raise UsageRefused(
            what=f"backup {found.id} is not restored by Handrail; nothing was touched",
            why=f"the environment's own command made it: {found.archive}",
            fix="restore it as backup.proof does",
        )
    whole = backups.whole(place, found)
    copy = _other(ports, into)
    began, image = ports.clock.monotonic(), proving.image_of(whole)
    with archiving.given_up_as_a_whole(ports), proving.plain(place, whole, identity) as archive:
        ports.engine.backups.create(copy, image.needs, whole.target)
        target = _filled(ports, whole, archive, copy, owners=owners)
        with copy.connect(Purpose.READ) as conn:
            apart = tuple(unlike(image.needs, copy.needs(conn), owners=owners))
    return Restored(backup=found, target=target, seconds=ports.clock.monotonic() - began, unlike=apart)


def _filled(ports: Ports, found: Manifest, archive: Path, copy: Engine, *, owners: bool) -> Target:
    """Fill the empty database and compare it; from here on, and never before, there is something to drop."""
    left = f"{copy.url.database} is not whole, and not to be used"
    again = f"{ports.engine.backups.way_back(copy)}, then give the command again"
    what = f"backup {found.id}, since {ports.clock.now():%Y-%m-%d %H:%M:%S %Z}"
    image = proving.image_of(found)
    with archiving.given_up_as_a_whole(ports, left, again), ports.engine.backups.filling(copy, what):
        _fill(ports, found, archive, copy, owners=owners)
        with copy.connect(Purpose.READ) as conn:
            target = copy.target(conn)
        if target.server_major == image.rows.server_major:
            _compare(ports, found, copy, image if owners else replace(image, grants=None, owners=None))
    if target.server_major != image.rows.server_major:
        raise BackupUnproved(
            what=f"backup {found.id} is restored into {target.database}, but cannot be compared there",
            why=f"it is of major version {image.rows.server_major}, the server there of {target.server_major}",
            fix="look at the data yourself, or restore into a server of the same major version",
        )
    return target


def _fill(ports: Ports, found: Manifest, archive: Path, copy: Engine, *, owners: bool) -> None:
    ports.emit(BackupProgressed(phase=f"restoring into {copy.url.database}"))
    jobs = ports.environment.backup.jobs
    try:
        ports.engine.backups.restore(archive, copy, program=found.program, jobs=jobs, owners=owners, privileges=owners)
    except BackupUnproved as exc:
        raise BackupUnproved(
            what=f"backup {found.id} cannot be restored into {copy.url.database}, which is not to be used",
            why=exc.why,
            fix="remove the reason (where a role is missing, create it, or leave owners and privileges out: "
            f"--no-owners), then {ports.engine.backups.way_back(copy)}, and give the command again",
        ) from exc


def _other(ports: Ports, into: str) -> Engine:
    if into.partition(":")[0] in _SOURCES or "://" in into:
        told, into = into, resolve(into, environment="the restored database", root=ports.settings.root)
        if "://" not in into:
            raise UsageRefused(
                what="the database to restore into is not known; nothing was touched",
                why=f"what {told} holds is no URL",
                fix="name a database, or where its whole URL stands: dialect+driver://user@host:port/database",
            )
    copy = ports.engine.backups.named(into)
    if copy.name != ports.engine.name:
        raise UsageRefused(
            what="a backup cannot be restored into another kind of database; nothing was touched",
            why=f"it was made of {ports.engine.name}, and --into names {copy.name}",
            fix=f"name a database of {ports.engine.name}",
        )
    return copy


def _compare(ports: Ports, found: Manifest, copy: Engine, image: Image) -> None:
    ports.emit(BackupProgressed(phase="comparing the restored rows"))
    differing = proving.compare(ports, image, copy)
    if image.owners is not None:
        with copy.connect(Purpose.READ) as conn:
            differing += tuple(grants.disowned(image.owners, copy.backups.owners(conn)))
    if differing:
        raise BackupUnproved(
            what=f"what was restored into {copy.url.database} is not what the backup was made of; do not use it",
            why="; ".join(differing),
            fix=f"{ports.engine.backups.way_back(copy)}, and use another backup than {found.id}: handrail backup list",
        )


def plan_pruning(ports: ProjectPorts, environment: str, directory: str, keep: int) -> Pruning:
    """Return what retention would delete. Nothing is written.

    An open rollback point is the newest proved backup that was made before a run ended, at the revision which that run
    started from: before the last run that was done, and each that has come to nothing since.
    """
    mine = shelf(ports, directory).of(environment)
    return pruning(mine, keep=keep, rollback_points=frozenset(_rollback_points(ports, environment, mine)))


def _rollback_points(ports: ProjectPorts, environment: str, mine: tuple[Manifest, ...]) -> Iterator[str]:
    for run in ports.journal.runs(environment):
        if run.start == run.goal or run.state is RunState.RUNNING:
            continue
        before = [b for b in mine if b.proved and b.heads == run.start and b.made_at <= (run.ended_at or b.made_at)]
        yield from (b.id for b in before[-1:])
        if run.state is RunState.DONE:
            return


def prune(
    ports: ProjectPorts, environment: str, directory: str, keep: int, confirm: Callable[[Pruning], None]
) -> Pruning:
    """Delete what retention does not keep, once `confirm` has agreed. Raises BackupUnproved where it cannot."""
    planned = plan_pruning(ports, environment, directory, keep)
    if not planned.delete:
        return planned
    confirm(planned)
    place = ports.settings.root / directory
    try:
        backups.sweep(place)
        for backup in planned.delete:
            backups.remove(place, backup)
    except OSError as exc:
        raise BackupUnproved(
            what="not every backup could be deleted; no database was touched",
            why=f"{exc.strerror}: {exc.filename}",
            fix="correct the rights of the folder, then run it again",
        ) from exc
    return planned
