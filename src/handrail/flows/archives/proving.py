"""Proves backups: restored into a sandbox like the target's server, and compared with what the database held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from handrail.engines.base import Engine, Purpose
from handrail.engines.sandboxes import Sandbox
from handrail.errors import BackupUnproved, SandboxUnavailable
from handrail.flows.ports import Ports
from handrail.history import execute
from handrail.host import encryption, partial
from handrail.journal import backups
from handrail.model import grants, particular, schema
from handrail.model.backup import KINDS, Image, Manifest, Proof
from handrail.model.rows import RowDifference, differences
from handrail.model.run import BackupProgressed, BackupProved
from handrail.model.verdict import Verdict
from handrail.reports.backup_text import amount

#: How many differences a proof names.
_SHOWN = 20


class Damage(BackupUnproved):
    """The archive is not the file that was written."""


def prove(ports: Ports, manifest: Manifest, archive: Path) -> Proof:
    """Return whether the archive, not encrypted any more, restores to what its database held.

    UNKNOWN where no fitting sandbox is to be had, with the way out. `manifest` carries its buckets.
    """
    began = ports.clock.monotonic()
    proof = _proved(ports, manifest, archive)
    proof = replace(proof, at=ports.clock.now(), seconds=ports.clock.monotonic() - began)
    ports.emit(BackupProved(id=manifest.id, proof=proof))
    return proof


def _proved(ports: Ports, manifest: Manifest, archive: Path) -> Proof:
    image = image_of(manifest)
    with ExitStack() as stack:
        try:
            sandbox = stack.enter_context(ports.engine.sandbox(server_major=image.needs.server_major))
            lacking = sandbox.lacks(image.needs)
            if lacking:
                first = lacking[0]
                return Proof(
                    verdict=Verdict.UNKNOWN,
                    reason=f"not restored: {first.what} ({first.why}); {first.fix}",
                    details=tuple(f"{r.what}: {r.fix}" for r in lacking[1:]),
                )
            copy = stack.enter_context(sandbox.database(like=image.needs))
        except SandboxUnavailable as exc:
            said = " ".join(f"{exc.what} ({exc.why}); {exc.fix}".split())  # initdb says why on several lines
            return Proof(verdict=Verdict.UNKNOWN, reason=f"not restored: {said}")
        return _restored(ports, manifest, archive, sandbox, copy)


def _restored(ports: Ports, manifest: Manifest, archive: Path, sandbox: Sandbox, copy: Engine) -> Proof:
    image = image_of(manifest)
    ports.emit(BackupProgressed(phase="restoring into the sandbox"))
    try:
        # Without owners: superusers of the original are none in the sandbox, and could not refresh their views.
        jobs = ports.environment.backup.jobs
        ports.engine.backups.restore(archive, copy, program=manifest.program, jobs=jobs, owners=False, privileges=True)
    except BackupUnproved as exc:
        return _not_restored(manifest, exc, sandbox.free_bytes())
    ports.emit(BackupProgressed(phase="comparing the restored rows"))
    contents = ports.engine.backups.contents(archive, manifest.program)
    found = (*compare(ports, image, copy), *grants.unlisted(image.owners or (), contents))
    with copy.connect(Purpose.READ) as conn:
        server = f"{copy.name} {copy.target(conn).server}"
    if found:
        return Proof(verdict=Verdict.FAIL, reason=found[0], server=server, details=found[1:_SHOWN])
    tables, rows = len(image.rows.tables), sum(table.rows for table in image.rows.tables)
    return Proof(
        verdict=Verdict.PASS,
        reason=f"restored and equal: {tables} tables, {rows} rows",
        server=server,
        details=tuple(f"not compared: {name}, {reason}" for name, reason in image.rows.left_out),
    )


def _not_restored(manifest: Manifest, exc: BackupUnproved, free_bytes: int | None) -> Proof:
    """Blame the archive only where there was room for what is in it."""
    if free_bytes is None or free_bytes >= manifest.database_bytes:
        return Proof(verdict=Verdict.FAIL, reason=f"it cannot be restored: {exc.why}")
    return Proof(
        verdict=Verdict.UNKNOWN,
        reason=f"not restored: the database takes {amount(manifest.database_bytes)}, and in the sandbox "
        f"{amount(free_bytes)} are left ({exc.why}); name a folder with more room by TMPDIR, or a server by "
        "HANDRAIL_SANDBOX_URL",
    )


def compare(ports: Ports, image: Image, copy: Engine) -> tuple[str, ...]:
    """Return what a restored database holds differently, one line each: table, key and column where they are known.

    Who owns what is not asked.
    """
    with copy.settled(ports.env.session).connect(Purpose.STATE) as conn:
        return tuple(dict.fromkeys(_differences(ports, image, copy, conn)))  # a new row differs in each of its columns


def _differences(ports: Ports, image: Image, copy: Engine, conn: Connection) -> Iterator[str]:
    heads = execute.version_rows(conn, ports.env) or ()
    if heads != image.heads:
        yield f"the version table holds {', '.join(heads) or 'nothing'}, expected {', '.join(image.heads) or 'nothing'}"
    if copy.catalog.fingerprint(conn, version_table=image.version_table) != image.fingerprint:
        parts = schema.parts(copy.catalog.snapshot(conn, version_table=image.version_table)) if image.parts else ()
        named = "; ".join(islice(schema.apart(image.parts, parts), _SHOWN))
        yield f"the schema is another one than the database had{f': {named}' if named else ''}"
    if image.grants is not None:
        asked = {grant.on for grant in image.grants}
        granted = copy.rights.granted(conn, version_table=image.version_table)
        granted = tuple(grant for grant in granted if image.kinds == KINDS or grant.on in asked)
        yield from grants.lost(image.grants, granted, image.owners)
    if image.particulars is not None:
        told = {one.of for one in image.particulars}
        held = tuple(one for one in copy.backups.particulars(conn) if image.kinds == KINDS or one.of in told)
        yield from particular.changed(image.particulars, held)
    for difference in differences(image.rows, copy.rows.fingerprint(conn, strict=image.rows.strict)):
        if _moved_meanwhile(image, difference):
            continue
        yield from (found.describe() for found in _located(image, copy, conn, difference))


def _moved_meanwhile(image: Image, difference: RowDifference) -> bool:
    """Return whether it is a sequence that stands where it stood at some moment of the dump."""
    between = next(((before, after) for name, before, after in image.moved if name == difference.table), None)
    if between is None or difference.found is None:
        return False
    if between[0] == between[1]:
        return False
    first, last, found = (int(value.partition(",")[0]) for value in (*between, difference.found))
    return min(first, last) <= found <= max(first, last)


def _located(image: Image, copy: Engine, conn: Connection, difference: RowDifference) -> tuple[RowDifference, ...]:
    """Return the rows behind a column that differs; the difference itself where they cannot be found."""
    table = image.rows.table(difference.table)
    if table is None or not difference.column or difference.found is not None:
        return (difference,)
    return copy.rows.locate(conn, table, difference.column) or (difference,)


def image_of(manifest: Manifest) -> Image:
    """Return what the database held, by the manifest. Raises BackupUnproved where it does not say."""
    if manifest.image is None:
        raise BackupUnproved(
            what=f"backup {manifest.id} cannot be compared; nothing was touched",
            why="its manifest does not say what the database held",
            fix="make a new backup: handrail backup create",
        )
    return manifest.image


@contextmanager
def plain(folder: Path, manifest: Manifest, identity: Path | None) -> Iterator[Path]:
    """Give the archive as it was before it was encrypted, checked against its manifest; nothing of it stays behind.

    Raises BackupUnproved where it is cut or changed, or wants an identity.
    """
    archive = backups.archive_path(folder, manifest)
    _check(manifest, archive, manifest.bytes, manifest.sha256)
    if not manifest.recipients:
        yield archive
        return
    if identity is None:
        raise BackupUnproved(
            what=f"backup {manifest.id} is encrypted and was not looked into; nothing was touched",
            why=f"it wants the identity of {', '.join(manifest.recipients)}",
            fix="name the file that holds it: --identity FILE",
        )
    with partial.partial(folder / f"{manifest.id}.plain") as part:
        encryption.decrypt(archive, part.path, identity)
        _check(manifest, part.path, manifest.plain_bytes, manifest.plain_sha256)
        yield part.path


def _check(manifest: Manifest, file: Path, size: int, sha256: str) -> None:
    why = _damage(file, size, sha256)
    if why:
        raise Damage(
            what=f"backup {manifest.id} is damaged; nothing was touched",
            why=f"{file} {why}",
            fix="use another one: handrail backup list",
        )


def _damage(file: Path, size: int, sha256: str) -> str:
    try:
        found = file.stat().st_size
        if found != size:
            return f"is not the file that was written: {found} of {size} bytes"
        return "" if partial.sha256(file) == sha256 else "is not the file that was written: its sha256 differs"
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"


def require(proof: Proof, what: str, fix: str) -> None:
    """Raise BackupUnproved unless it passed; `what` begins the sentence."""
    if proof.verdict is Verdict.PASS:
        return
    unproved = "could not be proved" if proof.verdict is Verdict.UNKNOWN else "failed its proof"
    raise BackupUnproved(
        what=f"{what} {unproved}; nothing was touched", why="; ".join((proof.reason, *proof.details)), fix=fix
    )
