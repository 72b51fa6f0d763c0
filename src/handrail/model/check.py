"""The shape of a check: something asserted about a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from handrail.model.relation import Looked
from handrail.model.run import Judgement
from handrail.model.schema import Snapshot
from handrail.model.sequence import ServingSequence
from handrail.model.verdict import Unsupported


class Sight(Enum):
    """What has to be found out for a check, beyond the version table and the schema; each costs time."""

    EXPECTED = "the schema that the revisions make"
    MODELS = "the schema that the models make"
    ORPHANS = "rows without their parent"
    SEQUENCES = "sequences beside their columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAsked:
    """Why a question cannot be put to this project or revision; nothing is wrong with that, and nothing is known."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsFacts:
    """The schema that the models make and the live one, both without what env.py tells autogenerate to leave alone.

    `types_compared` is False where env.py switches the comparison of types off, or has one of its own.
    """

    of_models: Snapshot
    live: Snapshot
    types_compared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphansFacts:
    """Every relation that was looked at. `trusted` counts the validated keys that were not.

    `unread` is one line for each relationship() whose rows its columns do not tell; `of_models` is why none of the
    models' relations could be read, None where they were.
    """

    looked: tuple[Looked, ...]
    trusted: int = 0
    unread: tuple[str, ...] = ()
    of_models: Unsupported | NotAsked | None = None


_NOT_LOOKED = Unsupported(reason="it was not looked at")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """All that a check may look at: the version table's rows, those expected, the schema found, and what it asks for.

    What a check does not name in `looks_at` may be there or be Unsupported.
    """

    heads: tuple[str, ...] | Unsupported
    expected_heads: tuple[str, ...]
    snapshot: Snapshot
    expected_snapshot: Snapshot | Unsupported = _NOT_LOOKED
    models: ModelsFacts | NotAsked | Unsupported = _NOT_LOOKED
    orphans: OrphansFacts | Unsupported = _NOT_LOOKED
    sequences: tuple[ServingSequence, ...] | Unsupported = _NOT_LOOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name (= its file's name with dashes), the pure function that judges, and what it has to see.

    `drift` is whether FAIL says that the schema is not what it should be, rather than the rows.
    """

    name: str
    judge: Callable[[CheckFacts], Judgement]
    drift: bool = False
    looks_at: frozenset[Sight] = frozenset(Sight)
