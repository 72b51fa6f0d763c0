"""What can go wrong, in three parts: what happened, why, and what to type next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of `handrail`, documented in docs/exit-codes.md."""

    DONE = 0
    FAILED_CLEAN = 1
    REFUSED = 2
    GATE_CLOSED = 3
    DRIFT = 4
    HALFWAY = 5
    LEASE_HELD = 6
    CONNECTION_LOST = 7
    BACKUP_UNPROVED = 9
    VERIFY_FAILED = 10
    ROLLBACK_FAILED = 11
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class HandrailError(Exception):
    """A failure a person can act on.

    `what` says what happened and in which state the database is, `why` gives the reason, `fix` what to type next.
    `report` is what to type for the whole story, '' where no run was begun.
    """

    exit: Exit = Exit.REFUSED
    report: str = ""

    def __init__(self, *, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.fix = fix


class UsageRefused(HandrailError):
    """A flag, environment, revision or confirmation that cannot be accepted."""


class OnlyRead(UsageRefused):
    """A kind of database whose migrations are reviewed, and which is not connected to; `dialect` is its name."""

    def __init__(self, *, what: str, why: str, fix: str, dialect: str = "") -> None:
        super().__init__(what=what, why=why, fix=fix)
        self.dialect = dialect


class SettingsInvalid(HandrailError):
    """[tool.handrail] cannot be used as written."""


class ProjectUnreadable(HandrailError):
    """The Alembic project (ini, env.py, revision files) cannot be read; raised before the target is touched."""

    def __init__(self, *, what: str, why: str, fix: str) -> None:
        state = "" if "nothing was touched" in what else "; nothing was touched"
        super().__init__(what=what + state, why=why, fix=fix)


class HistoryBroken(ProjectUnreadable):
    """The revision graph is not usable: missing parent, cycle, duplicate id, several heads, unknown revision."""


class FenceBreach(HandrailError):
    """Project code tried to open a connection that Handrail did not choose."""


class Unreachable(HandrailError):
    """The database cannot be connected to; nothing was touched."""


class TargetRefused(HandrailError):
    """The database is reachable but must not be migrated as it is: standby, wrong identity, missing right."""


class JournalUnusable(HandrailError):
    """The journal of runs cannot be read or written."""


class SandboxUnavailable(HandrailError):
    """No server of the needed kind can be started to work in."""


class GateClosed(HandrailError):
    """A gate of the environment does not hold; nothing was run."""

    exit = Exit.GATE_CLOSED


class Drift(HandrailError):
    """The database is not what its revision says, or not at the expected revision."""

    exit = Exit.DRIFT


class NotVerified(HandrailError):
    """What the schema should be is not to be had, so nothing can be said about it; nothing was touched."""

    exit = Exit.FAILED_CLEAN


class StepFailed(HandrailError):
    """A revision failed and was rolled back: the database is as it was before that revision."""

    exit = Exit.FAILED_CLEAN


class LockBudgetSpent(StepFailed):
    """The locks were not to be had within the budget; nobody was stalled, nothing was changed."""


class LockHoldSpent(StepFailed):
    """A transaction held a lock that others wait for longer than lock.hold, and was rolled back."""


class Halfway(HandrailError):
    """A revision of several transactions stands between start and goal."""

    exit = Exit.HALFWAY


class LeaseHeld(HandrailError):
    """Another run holds the lease of this database."""

    exit = Exit.LEASE_HELD


class LeaseLost(HandrailError):
    """Our lease was taken over by another run; the step in flight was rolled back."""

    exit = Exit.LEASE_HELD


class ConnectionLost(HandrailError):
    """The connection broke after the first statement; whether the step was committed is looked up on the next call."""

    exit = Exit.CONNECTION_LOST


class BackupUnproved(HandrailError):
    """A backup failed, or could not be proved by restoring it; nothing was applied."""

    exit = Exit.BACKUP_UNPROVED


class VerificationFailed(HandrailError):
    """Applied, and the result is not what it should be."""

    exit = Exit.VERIFY_FAILED


class RollbackFailed(HandrailError):
    """A downgrade failed; the message says where the database stands."""

    exit = Exit.ROLLBACK_FAILED


class Interrupted(HandrailError):
    """Stopped by a signal at a safe point."""

    exit = Exit.INTERRUPTED
