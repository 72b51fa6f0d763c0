"""Statements that applications send, and from which revision on they cannot be sent any more."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One statement as it was found `calls` times; `place` is the file with the line of the first, or what counted it.

    `parameters` are those of its placeholders, which are numbered from 1.
    """

    text: str
    place: str
    calls: int = 1
    parameters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingQuery:
    """A statement, its literals hidden, that the server does not accept from the revision `since` on.

    `operation` is what did it there; `healed_by` is the first revision at which it is accepted again, '' where none is.
    """

    text: str
    place: str
    calls: int
    since: str
    message: str
    operation: str = ""
    healed_by: str = ""

    def describe(self) -> str:
        """Return what fails, since when, by what and why, in one line."""
        told = f"{self.place}: fails since {self.since}"
        if self.operation:
            told += f" ({self.operation})"
        if self.healed_by:
            told += f" until {self.healed_by}"
        return f"{told}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswers:
    """What became of the statements of one source at the revisions `first` to `last`.

    `newly` were accepted before they failed. `from_start` were not accepted at the first revision: nothing is known of
    what a revision does to them. `left_out` are the places of what is neither a query nor a write of rows, or cannot be
    read.
    """

    source: str
    first: str
    last: str
    asked: int
    newly: tuple[FailingQuery, ...] = ()
    from_start: tuple[FailingQuery, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """FAIL where one fails that worked, UNKNOWN where none could be asked, else PASS."""
        if self.newly:
            return Verdict.FAIL
        return Verdict.PASS if self.asked > len(self.from_start) else Verdict.UNKNOWN
