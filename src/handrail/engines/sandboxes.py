"""What every engine offers to work on databases of our own, beside `base`."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from handrail.model.needs import Needs

if TYPE_CHECKING:
    from handrail.engines.base import Engine, Refusal


class Sandbox(Protocol):
    """A server of ours that nobody else uses."""

    def lacks(self, needs: Needs) -> tuple[Refusal, ...]:
        """Return what a database with those needs would miss here, each with the way out; () where nothing."""

    def database(self, like: Needs | None = None, *, role: str | None = None) -> AbstractContextManager[Engine]:
        """Create one empty database, dropped at the end; with locale, owner, roles and settings of the one it is like.

        Its sessions are those of `role`, one of the roles of `like`; None is the sandbox's own user, who may do
        everything. A role that is a superuser in the original is that user too: none is made.
        Raises SandboxUnavailable where the server cannot make it, which `lacks` tells beforehand.
        """

    def free_bytes(self) -> int | None:
        """Return how much room is left where its databases are, None where only their own server can tell."""

    def way_out(self, exc: BaseException) -> str:
        """Return what to add to a failure that another server may not have met, '' where this one is not the reason."""

    def drop_roles(self, names: Collection[str]) -> None:
        """Drop the roles that revisions made in databases of ours, as soon as no database needs them."""
