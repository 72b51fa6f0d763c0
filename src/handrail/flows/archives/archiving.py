"""Makes one backup: said first what it takes, dumped and hashed in one snapshot, proved, encrypted, listed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

from handrail.config import BackupPolicy
from handrail.engines.archives import Dump
from handrail.engines.base import Purpose
from handrail.errors import BackupUnproved
from handrail.flows.archives import commanded, proving
from handrail.flows.ports import Ports
from handrail.history import execute
from handrail.host import encryption, partial
from handrail.host.partial import Partial
from handrail.host.secrets import mask
from handrail.host.signals import at_once
from handrail.journal import backups
from handrail.model import schema
from handrail.model.backup import KINDS, SCHEMA, Extent, Forecast, Image, Manifest, Method, Program
from handrail.model.plan import Plan
from handrail.model.run import BackupMade, BackupProgressed, BackupStarted
from handrail.model.target import Target
from handrail.reports.backup_text import amount

#: How often progress is told, in seconds.
_TELL_S = 1.0
#: What an archive may take beyond what the last one took of the same bytes.
_MARGIN = 1.2
#: What an archive that is not compressed may take beyond the database, whose values it writes as text.
_WORST = 1.1
#: How many times as large a database must be for the last archive to tell nothing of the next.
_MOST_GROWTH = 2.0


def folder(ports: Ports) -> Path:
    """Return where the environment's backups are."""
    return ports.settings.root / ports.environment.backup.directory


def back_up(ports: Ports, target: Target, identity: str, *, run: str = "") -> Manifest:
    """Make one backup and prove it. Returns only one that is proved.

    One that could not be proved stays listed as such. A signal ends it at once and leaves nothing. Raises
    BackupUnproved, Interrupted, and for bad settings SettingsInvalid or UsageRefused.
    """
    encryption.check_recipients(ports.environment.backup.recipients)
    with given_up_as_a_whole(ports):
        place = folder(ports)
        backups.ready(place)
        job = _Job(ports=ports, target=target, identity=identity, run=run, place=place, id=_new_id(ports))
        made = job.by_command() if ports.environment.backup.command else job.by_engine()
    proving.require(
        made.proof,
        f"backup {made.id}",
        f"remove the reason, then: handrail backup verify {made.id} -e {ports.environment.name}",
    )
    return made


def back_up_before(ports: Ports, plan: Plan, identity: str, *, run: str) -> None:
    """Make a proved backup of exactly what the plan starts from; when it returns, nothing of it runs any more.

    Raises what `back_up` raises, and BackupUnproved where the database was changed since it was planned.
    """
    made = back_up(ports, plan.target, identity, run=run)
    held = (made.heads, made.image.fingerprint if made.image else plan.fingerprint)
    if held != (plan.start, plan.fingerprint):
        raise BackupUnproved(
            what=f"the database was changed before backup {made.id} was made; nothing was touched",
            why=f"it is of {', '.join(made.heads) or 'base'} with another schema than the plan starts from",
            fix=f"handrail status -e {ports.environment.name}, then give the command again if it is still meant",
        )


@contextmanager
def given_up_as_a_whole(
    ports: Ports, left: str = "nothing of it is left", again: str = "run it again when you are ready"
) -> Iterator[None]:
    """Let a signal end the work inside at once, and say so; tell of files that could not be written.

    `left` says what stays behind then, `again` what to type.
    """
    try:
        with at_once(ports.stop):
            yield
    except KeyboardInterrupt as exc:
        raise ports.stop.error(
            what=f"stopped while working on a backup; {left}, and nothing was touched",
            fix=again,
        ) from exc
    except OSError as exc:
        raise BackupUnproved(
            what=f"the backup failed; {left}, and nothing was touched",
            why=mask(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}"),
            fix="make room, or set another folder: backup.directory of the environment",
        ) from exc


def _new_id(ports: Ports) -> str:
    stamp = f"{ports.clock.now().astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return backups.new_id(ports.environment.name, stamp, secrets.token_hex(3))


def forecast(estimate: Extent, place: Path, policy: BackupPolicy, last: Manifest | None) -> Forecast:
    """Return what a backup will take: by the last one of the environment, else the worst that can be.

    A database that has grown manifold since is not like the one of then: an empty one has megabytes of catalogues,
    and an archive of kilobytes.
    """
    free = shutil.disk_usage(place).free
    files = 0 if policy.command else 2 if policy.recipients else 1  # for a while it is there in the clear too
    growth = estimate.database_bytes / last.database_bytes if last and last.database_bytes else _MOST_GROWTH
    if last is None or not last.plain_bytes or growth >= _MOST_GROWTH:
        worst = int(estimate.database_bytes * _WORST) * files
        return Forecast(estimate=estimate, needed_bytes=worst, free_bytes=free, expected_s=None)
    return Forecast(
        estimate=estimate,
        needed_bytes=int(last.plain_bytes * growth * _MARGIN) * files,
        free_bytes=free,
        expected_s=(last.seconds + last.proof.seconds) * growth,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One backup to be made."""

    ports: Ports
    target: Target
    identity: str
    run: str
    place: Path
    id: str

    def by_engine(self) -> Manifest:
        """Make an archive of Handrail's own, and list it with what its proof said."""
        expected = self._said_first()
        began = self.ports.clock.monotonic()
        with partial.partial(self.place / f"{self.id}{self.ports.engine.backups.suffix}") as part:
            image, program = self._dumped(part)
            part.sync()
            size, sha256 = part.path.stat().st_size, partial.sha256(part.path)
            made = self._manifest(expected, Method.ENGINE, program, heads=image.heads)
            made = replace(
                made,
                seconds=self.ports.clock.monotonic() - began,
                archive=part.final.name,
                bytes=size,
                sha256=sha256,
                plain_bytes=size,
                plain_sha256=sha256,
                image=image,
            )
            self.ports.emit(BackupMade(id=self.id, bytes=size, seconds=made.seconds))
            made = replace(made, proof=proving.prove(self.ports, made, part.path))
            return self._listed(part, made)

    def by_command(self) -> Manifest:
        """Let the environment's command make a backup, and list it with what its proof said."""
        expected = self._said_first()
        began = self.ports.clock.monotonic()
        with self.ports.engine.connect(Purpose.READ) as conn:
            heads = execute.version_rows(conn, self.ports.env) or ()
        made = self._manifest(expected, Method.COMMAND, commanded.PROGRAM, heads=heads)
        made = replace(made, archive=commanded.make(self.ports, made))
        made = replace(made, seconds=self.ports.clock.monotonic() - began)
        self.ports.emit(BackupMade(id=self.id, bytes=0, seconds=made.seconds))
        earlier = backups.read(self.place).of(self.ports.environment.name)
        made = replace(made, proof=commanded.prove(self.ports, made, earlier))
        backups.write(self.place, made)
        return made

    def _said_first(self) -> Forecast:
        with self.ports.engine.connect(Purpose.READ) as conn:
            estimate = self.ports.engine.backups.estimate(conn)
        mine = backups.read(self.place).of(self.ports.environment.name)
        expected = forecast(estimate, self.place, self.ports.environment.backup, mine[-1] if mine else None)
        self.ports.emit(BackupStarted(id=self.id, forecast=expected))
        if expected.needed_bytes > expected.free_bytes:
            raise BackupUnproved(
                what="no backup is made; nothing was touched",
                why=f"it may need {amount(expected.needed_bytes)}; free in {self.place}: {amount(expected.free_bytes)}",
                fix="make room, or set another folder: backup.directory of the environment",
            )
        return expected

    def _dumped(self, part: Partial) -> tuple[Image, Program]:
        """Write the archive, and look at the snapshot that it is made from."""
        policy = self.ports.environment
        with self.ports.engine.backups.dump(
            part, compress=policy.backup.compress, lock_wait=policy.lock.budget, run=self.run
        ) as dump:
            image = self._image(dump)
            program = dump.finish(self._tell("dumping"))
            image = replace(image, moved=dump.sequences())
        return image, program

    def _image(self, dump: Dump) -> Image:
        engine, conn = self.ports.engine, dump.conn
        self.ports.emit(BackupProgressed(phase="hashing the rows while they are dumped"))
        heads = execute.version_rows_within(conn, self.ports.env) or ()
        needs = engine.needs(conn)  # before the fingerprint, which leaves its search_path to the transaction
        return Image(
            heads=heads,
            version_table=self.ports.version_table,
            fingerprint=engine.catalog.fingerprint(conn, version_table=self.ports.version_table),
            rows=engine.rows.fingerprint(conn, strict=True, buckets=True),
            needs=needs,
            grants=engine.rights.granted(conn, version_table=self.ports.version_table),
            owners=engine.backups.owners(conn),
            particulars=engine.backups.particulars(conn),
            kinds=KINDS,
            parts=schema.parts(engine.catalog.snapshot(conn, version_table=self.ports.version_table)),
        )

    def _manifest(self, expected: Forecast, method: Method, program: Program, *, heads: tuple[str, ...]) -> Manifest:
        return Manifest(
            schema=SCHEMA,
            id=self.id,
            environment=self.ports.environment.name,
            target=self.target,
            identity=self.identity,
            heads=heads,
            made_at=self.ports.clock.now(),
            seconds=0.0,
            database_bytes=expected.estimate.database_bytes,
            method=method,
            archive="",
            bytes=0,
            sha256="",
            plain_bytes=0,
            plain_sha256="",
            program=program,
        )

    def _listed(self, part: Partial, made: Manifest) -> Manifest:
        """Encrypt it where it shall be, and put it on the shelf."""
        recipients = self.ports.environment.backup.recipients
        if not recipients:
            backups.keep(part, made)
            return made
        self.ports.emit(BackupProgressed(phase="encrypting"))
        with partial.partial(part.final.with_name(part.final.name + encryption.SUFFIX)) as sealed:
            encryption.encrypt(part.path, sealed.path, recipients)
            sealed.sync()
            made = replace(
                made,
                archive=sealed.final.name,
                bytes=sealed.path.stat().st_size,
                sha256=partial.sha256(sealed.path),
                recipients=recipients,
            )
            backups.keep(sealed, made)
        return made

    def _tell(self, phase: str) -> Callable[[int, int], None]:
        """Return what hears how many bytes are done of how many, and tells it with the time left by this pace."""
        clock, began = self.ports.clock, self.ports.clock.monotonic()
        told = began

        def tell(done: int, total: int) -> None:
            nonlocal told
            now = clock.monotonic()
            if done and now - told >= _TELL_S:
                told = now
                left_s = (now - began) * (total - done) / done
                self.ports.emit(BackupProgressed(phase=phase, done=done, total=total, left_s=left_s))

        return tell
