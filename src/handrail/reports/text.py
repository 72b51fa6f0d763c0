"""Plain text for people: a value in, lines out. Nothing here needs colour to be understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from handrail.errors import HandrailError
from handrail.model.verdict import Confidence, Verdict

if TYPE_CHECKING:
    from handrail.model.effect import Effect
    from handrail.model.log import LogEntry
    from handrail.model.revision import Revision
    from handrail.model.run import Judgement
    from handrail.model.status import EnvironmentStatus, Status

#: How many pending revisions a status names.
_SHOWN = 5
_LONG_S = 10.0
_MINUTE_S = 60
_MARK = {Verdict.PASS: "ok", Verdict.WARN: "warn", Verdict.UNKNOWN: "unknown", Verdict.FAIL: "FAIL"}


def error(problem: HandrailError) -> str:
    """What happened, why, what to type next, and where a run was begun, how to read its report."""
    report = f"\n  report: {problem.report}" if problem.report else ""
    return f"handrail: {problem.what}\n  why: {problem.why}\n  fix: {problem.fix}{report}"


def heads(rows: tuple[str, ...]) -> str:
    """Rows of the version table, `base` for none."""
    return ", ".join(rows) or "base"


def lock(effect: Effect) -> str:
    """Which lock on what, whom it blocks, and how long the work under it takes."""
    if effect.guessed:
        return "may lock anything; not looked at beforehand, bounded by lock.timeout"
    where = "every table" if effect.relation == "*" else effect.relation
    whom = effect.blocks.name.lower().replace("_", " ")
    worst = "" if effect.confidence is Confidence.HIGH else " at worst"
    return f"{effect.lock} on {where}, blocks {whom}, {effect.cost.value}{worst}"


def judgements(values: Iterable[Judgement]) -> str:
    """One line for each gate or check, its details below."""
    lines: list[str] = []
    for value in values:
        lines.append(f"{_MARK[value.verdict]:8}{value.name}: {value.reason}")
        lines += [f"        - {detail}" for detail in value.details]
    return "\n".join(lines)


def status(value: Status) -> str:
    """Each environment: where it stands, what is pending, what to type next."""
    lines = [f"files: {count(value.revisions, 'revision')}, head {heads(value.heads)}"]
    lines += [f"problem: {problem}" for problem in value.problems]
    for environment in value.environments:
        lines += ["", *_environment(environment)]
    return "\n".join(lines)


def _environment(value: EnvironmentStatus) -> Iterator[str]:
    policy = ["protected" if value.protected else "not protected"]
    if value.requires:
        policy.append(f"requires {', '.join(value.requires)}")
    yield f"{value.name}  ({', '.join(policy)})"
    standing = value.standing
    if standing:
        target = standing.target
        yield f"  database  {target.database} on {target.host or 'this machine'}, {target.engine} {target.server}"
        yield f"  revision  {heads(standing.heads)}"
        if standing.unreadable:
            yield f"  hidden    identity, lease and interrupted runs: {standing.unreadable.why}"
            yield f"            {standing.unreadable.fix}"
    if value.problem:
        yield f"  problem   {value.problem.what}"
        yield f"            {value.problem.why}"
    elif standing:
        yield from _pending(value.pending)
    if value.interrupted:
        yield f"  run       {value.interrupted}"
    if value.last_run:
        run = value.last_run
        yield f"  last run  {run.command} {_ended(value)}, {moment(run.started_at)} ({run.id})"
    if value.next:
        yield f"  next      {value.next}"


def _ended(value: EnvironmentStatus) -> str:
    """How the last run ended, for one that the journal knows."""
    if not value.cut_off:
        return value.last_run.state.value if value.last_run else ""
    return "was cut off" if value.interrupted else "was cut off, and left nothing half done"


def _pending(pending: tuple[Revision, ...]) -> Iterator[str]:
    yield f"  pending   {count(len(pending), 'revision') if pending else 'nothing'}"
    yield from (f"            {revision.id}  {revision.title}" for revision in pending[:_SHOWN])
    if len(pending) > _SHOWN:
        yield f"            and {len(pending) - _SHOWN} more"


def history(revisions: tuple[Revision, ...], current_heads: tuple[str, ...], problems: tuple[str, ...]) -> str:
    """One line for each revision, newest first."""
    lines = []
    for revision in revisions:
        marks = " (head)" if revision.id in current_heads else ""
        parents = ", ".join(revision.parents) or "<base>"
        lines.append(f"{parents} -> {revision.id}{marks}, {revision.title}")
    lines += [f"problem: {problem}" for problem in problems]
    return "\n".join(lines) or "no revisions"


def log(entries: tuple[LogEntry, ...], broken: str) -> str:
    """One line for each entry, newest first; whether the chain is sound comes last."""
    lines = [
        f"{e.at}  {e.direction.value:9}  {e.revision}  {e.duration_ms:>6} ms  {e.who}  run {e.run}  {e.file}"
        for e in entries
    ]
    lines.append(
        f"the chain is broken: {broken}" if broken else f"{count(len(entries), 'entry', 'entries')}, chain sound"
    )
    return "\n".join(lines)


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A length of time, in the unit a person would choose."""
    if seconds < 0.0995:  # noqa: PLR2004 - from here on seconds are easier to read
        return f"{seconds * 1000:.1f} ms" if 0 < seconds < 0.00095 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004 - 1 ms
    if seconds < _MINUTE_S:
        return f"{seconds:.2f} s" if seconds < _LONG_S else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest:02} s" if minutes < _MINUTE_S else f"{minutes // 60} h {minutes % 60:02} min"


def moment(value: datetime) -> str:
    """A time to the second, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M:%SZ")
