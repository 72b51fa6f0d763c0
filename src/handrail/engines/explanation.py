"""What to tell a person when the server refuses one of our own statements, or goes away while we hold a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Purpose
from handrail.errors import ConnectionLost, HandrailError, LockBudgetSpent, TargetRefused, Unreachable
from handrail.host.secrets import mask
from handrail.model.effect import Blocker


@contextmanager
def explained(
    database: str,
    purpose: Purpose,
    *,
    classify: Callable[[BaseException], Cause],
    blockers: Callable[[], tuple[Blocker, ...]],
) -> Iterator[None]:
    """Turn what the driver raises inside into an error with a way out; a cause without one passes as it is.

    `blockers` is asked after a missed lock. What a migration's own statements raise never comes here.
    """
    try:
        yield
    except DBAPIError as exc:
        said = mask(" ".join(str(exc.orig).split()))
        error = _explain(database, purpose, classify(exc), said, blockers)
        if error is None:
            raise
        raise error from exc


def _explain(
    database: str, purpose: Purpose, cause: Cause, said: str, blockers: Callable[[], tuple[Blocker, ...]]
) -> HandrailError | None:
    state = "nothing was touched" if purpose is Purpose.READ else "the statement that failed changed nothing"
    match cause:
        case Cause.CONNECTION_LOST | Cause.UNREACHABLE:
            return _gone(database, purpose, said)
        case Cause.DENIED:
            return TargetRefused(
                what=f"a right is missing in database {database}; {state}",
                why=said,
                fix="grant it, or name a user who has it in the environment's url; then: handrail status",
            )
        case Cause.READ_ONLY:
            return TargetRefused(
                what=f"database {database} is read-only; {state}",
                why=said,
                fix="name the primary, or a database that may be written, in the environment's url",
            )
        case Cause.DISK_FULL:
            return TargetRefused(
                what=f"the disk of database {database} is full; {state}",
                why=said,
                fix="free disk space, then: handrail status",
            )
        case Cause.MISSING if purpose is not Purpose.MIGRATE:
            return TargetRefused(
                what=f"a table of Alembic's or Handrail's own in database {database} is not as it was made; {state}",
                why=said,
                fix="bring it back from a backup; without Handrail's own tables it starts anew, with an empty log",
            )
        case Cause.LOCK_TIMEOUT | Cause.CANCELED if purpose is not Purpose.MIGRATE:
            names = "; ".join(blocker.describe() for blocker in blockers()[:3])
            return LockBudgetSpent(
                what=f"database {database} is locked; {state}",
                why=names or said,
                fix="end the holder of the lock or wait for it, then run the command again",
            )
        case _:
            return None


def _gone(database: str, purpose: Purpose, said: str) -> HandrailError:
    if purpose is Purpose.READ:
        return Unreachable(
            what=f"the connection to database {database} was lost while it was looked at; looking touched nothing",
            why=said,
            fix="run the command again when the server is back",
        )
    return ConnectionLost(
        what=f"the connection to database {database} was lost; whether the step in flight was committed is not known",
        why=said,
        fix="handrail status looks it up when the server is back",
    )
