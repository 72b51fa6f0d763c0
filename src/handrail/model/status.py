"""Where the environments of a project stand."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.errors import Exit, HandrailError
from handrail.model.revision import Revision
from handrail.model.run import Run
from handrail.model.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """Where one environment stands. `standing` is None where it was not, or could not be, looked at.

    `problem` is why it could not. `interrupted` says where an interrupted run stands, '' where there is none. `next` is
    the command to type next. `last_run` is by the journal; `cut_off` is whether that one never wrote its end and is not
    at work any more, for nobody holds the lease.
    """

    name: str
    protected: bool
    requires: tuple[str, ...]
    standing: Standing | None
    pending: tuple[Revision, ...]
    interrupted: str
    problem: HandrailError | None
    last_run: Run | None
    next: str
    cut_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The files' heads, what is so wrong with them that no path can be trusted, and every environment asked for."""

    heads: tuple[str, ...]
    revisions: int
    problems: tuple[str, ...]
    environments: tuple[EnvironmentStatus, ...]

    @property
    def exit(self) -> Exit:
        """2 when files or an environment could not be read, 5 when one stands half applied, else 0."""
        if any(e.standing and e.standing.half_applied and not e.standing.lease_taken for e in self.environments):
            return Exit.HALFWAY
        return Exit.REFUSED if self.problems or any(e.problem for e in self.environments) else Exit.DONE
