"""Plain text about backups: a value in, lines out."""

from __future__ import annotations

from pathlib import Path

from handrail.model.backup import Forecast, Manifest, Method, Pruning, Shelf
from handrail.model.run import BackupMade, BackupProgressed, BackupProved, BackupStarted
from handrail.model.verdict import Verdict
from handrail.reports import text

_BAR_CELLS = 24
_PROVED = {Verdict.PASS: "proved", Verdict.WARN: "proved", Verdict.UNKNOWN: "not proved", Verdict.FAIL: "FAILED"}


def line(event: BackupStarted | BackupProgressed | BackupMade | BackupProved) -> str:
    """One line for an event, '' for progress within a phase."""
    match event:
        case BackupStarted(id=id_, forecast=forecast):
            return f"backup {id_}: {_forecast(forecast)}"
        case BackupProgressed(phase=phase, done=0):
            return f"  {phase}"
        case BackupProgressed():
            return ""
        case BackupMade(bytes=size, seconds=seconds):
            return f"  written: {amount(size)} in {seconds:.1f} s; not proved yet"
        case BackupProved(proof=proof):
            more = "".join(f"\n    {detail}" for detail in proof.details)
            return f"  {_PROVED[proof.verdict]} in {proof.seconds:.1f} s: {proof.reason}{more}"


def progress(event: BackupProgressed) -> str:
    """What is going on now, with a bar and the time left where they are known."""
    if not event.done:
        return event.phase
    if not event.total:
        return f"{event.phase}: {amount(event.done)}"
    filled = min(_BAR_CELLS, _BAR_CELLS * event.done // event.total)
    bar = "#" * filled + "." * (_BAR_CELLS - filled)
    left = f", {_time(event.left_s)} left" if event.left_s is not None else ""
    return f"{event.phase} |{bar}| {amount(event.done)} of about {amount(event.total)}{left}"


def _forecast(value: Forecast) -> str:
    estimate = value.estimate
    parts = [f"database of {amount(estimate.database_bytes)}"]
    if value.needed_bytes:
        parts.append(f"needs up to {amount(value.needed_bytes)}, {amount(value.free_bytes)} are free")
    known = value.expected_s is not None
    parts.append(f"expected {_time(value.expected_s or 0.0)}" if known else "its time is measured now")
    if estimate.xmin_age is not None:
        parts.append(f"oldest snapshot {estimate.xmin_age} transactions old")
    if estimate.others_wait:
        parts.append(estimate.others_wait)
    return "; ".join(parts)


def listing(shelf: Shelf, environment: str) -> str:
    """Every backup of the environment, newest first, with a line for each manifest that cannot be read."""
    lines = [summary(backup) for backup in reversed(shelf.of(environment))]
    lines += [f"{damaged.path.name}  unreadable: {damaged.why}" for damaged in shelf.damaged]
    return "\n".join(lines) or f"no backups of {environment} in {shelf.folder}"


def summary(backup: Manifest) -> str:
    """One line for a backup."""
    size = backup.archive if backup.method is Method.COMMAND else amount(backup.bytes)
    encrypted = ", encrypted" if backup.recipients else ""
    proof = _PROVED[backup.proof.verdict]
    reason = "" if backup.proved else f": {backup.proof.reason}"
    return (
        f"{backup.id}  {backup.made_at:%Y-%m-%d %H:%M:%S} UTC  {size}{encrypted}  at {text.heads(backup.heads)}"
        f"  {proof}{reason}"
    )


def details(backup: Manifest, folder: Path) -> str:
    """One backup with its file, sha256 and proof."""
    lines = [summary(backup)]
    if backup.method is Method.ENGINE:
        lines += [f"  file: {folder / backup.archive}", f"  sha256: {backup.sha256}"]
        lines += [f"  manifest: {folder / backup.id}.json", f"  by: {backup.program.name} {backup.program.version}"]
    if backup.recipients:
        lines.append(f"  encrypted to: {', '.join(backup.recipients)}")
    lines.append(f"  proof: {backup.proof.reason}" + (f" ({backup.proof.server})" if backup.proof.server else ""))
    return "\n".join([*lines, *(f"    {detail}" for detail in backup.proof.details)])


def pruning(value: Pruning) -> str:
    """What retention deletes, and why it keeps the others."""
    lines = [f"delete  {summary(backup)}" for backup in value.delete]
    lines += [f"keep    {id_}: {reason}" for id_, reason in value.keep]
    return "\n".join(lines) or "no backups"


def amount(size: int) -> str:
    """A number of bytes for people, in powers of 1000."""
    value, unit = float(size), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if value < 1000:  # noqa: PLR2004 - the step of the units
            break
        value, unit = value / 1000, bigger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - two minutes
