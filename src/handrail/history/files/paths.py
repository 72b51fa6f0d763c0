"""Ways through a history in Alembic's own revision syntax, found by Alembic's own code over our values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from handrail.errors import HistoryBroken
from handrail.history.files import structure
from handrail.model.revision import Revision

if TYPE_CHECKING:
    from alembic.script.revision import RevisionMap

#: `+1`, `ae10-2`, `branch@+1`. Source: alembic/script/revision.py, _relative_destination, which ignores what follows.
_RELATIVE = re.compile(r"(?:(?P<branch>.+?)@)?(?P<symbol>\w+)?(?P<steps>[+-]\d+)(?P<rest>.*)", re.DOTALL)


def revision_map(revisions: Mapping[str, Revision]) -> RevisionMap:
    """Return Alembic's map of these revisions, which must close: no missing parent, no circle, no label twice."""
    from alembic.script import revision as alembic_revision  # noqa: PLC0415 - half a second that reading does not need

    def nodes() -> Iterator[alembic_revision.Revision]:
        for revision in revisions.values():
            yield alembic_revision.Revision(
                revision.id, revision.parents or None, revision.depends_on or None, revision.branch_labels or None
            )

    loaded = alembic_revision.RevisionMap(nodes)
    for node in loaded.get_revisions(tuple(revisions)):
        assert isinstance(node, alembic_revision.Revision)
        # Alembic keeps these in the order of a set, which differs between processes: a plan must not.
        kept = set(node._normalized_resolved_dependencies)  # noqa: SLF001 - no public name
        node._normalized_resolved_dependencies = tuple(  # noqa: SLF001 - no public name
            name
            for name in node._resolved_dependencies  # noqa: SLF001 - no public name
            if name in kept
        )
    return loaded


def upgrade(loaded: RevisionMap, revisions: Mapping[str, Revision], current: tuple[str, ...], target: str) -> list[str]:
    """Return the ids to apply, in order. Source: alembic/script/base.py, ScriptDirectory._upgrade_revs."""
    _check(revisions, current, target)
    with _explained(revisions, current, target):
        found = loaded.iterate_revisions(target, current, implicit_base=True)
        return [node.revision for node in found][::-1]


def downgrade(
    loaded: RevisionMap, revisions: Mapping[str, Revision], current: tuple[str, ...], target: str
) -> list[str]:
    """Return the ids to undo, in order. Source: alembic/script/base.py, ScriptDirectory._downgrade_revs."""
    _check(revisions, current, target)
    _refuse_any_of_several(current, target)
    with _explained(revisions, current, target):
        found = loaded.iterate_revisions(current, target, select_for_downgrade=True)
        return [node.revision for node in found]


def resolve(
    loaded: RevisionMap, revisions: Mapping[str, Revision], current: tuple[str, ...], spec: str
) -> tuple[str, ...]:
    """Return the ids a revision argument means; () for base."""
    _check(revisions, current, spec)
    _refuse_any_of_several(current, spec)
    relative = _RELATIVE.fullmatch(spec)
    with _explained(revisions, current, spec):
        if relative is None:
            found = loaded.get_revisions(spec)
        elif relative["steps"].startswith("+"):
            found = loaded._parse_upgrade_target(current, spec, True)  # noqa: SLF001, FBT003 - no public name
        else:
            found = (loaded._parse_downgrade_target(current, spec, True)[1],)  # noqa: SLF001, FBT003 - no public name
        return tuple(node.revision for node in found if node is not None and node != "base")


def _check(revisions: Mapping[str, Revision], current: tuple[str, ...], spec: str) -> None:
    for identity in current:
        if identity not in revisions:
            raise HistoryBroken(
                what=f"the database is at revision {identity}, which no file defines",
                why=f"revisions read: {len(revisions)}{structure.near(identity, revisions)}",
                fix=f"check out the version of the project that has {identity}; to see what is here: handrail history",
            )
    if ":" in spec:
        raise HistoryBroken(
            what=f"{spec} is no target", why="it is a range", fix=f"name its end: {spec.rpartition(':')[2] or 'head'}"
        )
    relative = _RELATIVE.fullmatch(spec)
    if not spec or (relative and relative["rest"]):
        raise _unknown(spec, revisions)


def _refuse_any_of_several(current: tuple[str, ...], spec: str) -> None:
    heads = tuple(dict.fromkeys(current))
    if len(heads) > 1 and re.fullmatch(r"-\d+", spec):
        raise HistoryBroken(
            what=f"{spec} is ambiguous",
            why=f"the database stands at {len(heads)} revisions: {', '.join(heads)}",
            fix=f"name the branch, e.g. {heads[0]}@{spec}",
        )


@contextmanager
def _explained(revisions: Mapping[str, Revision], current: tuple[str, ...], spec: str) -> Iterator[None]:
    """Turn Alembic's errors into ours."""
    from alembic.script import revision as alembic_revision  # noqa: PLC0415 - loaded with the map

    try:
        yield
    except alembic_revision.MultipleHeads as error:
        heads = ", ".join(f"{head} ({revisions[head].path.name})" for head in error.heads)
        raise HistoryBroken(
            what=f"{spec} is ambiguous",
            why=f"the history has {len(error.heads)} heads: {heads}",
            fix=f'handrail apply heads, or one of them by its id, or join them: alembic merge -m "merge" '
            f"{' '.join(error.heads)}",
        ) from error
    except alembic_revision.RangeNotAncestorError as error:
        raise HistoryBroken(
            what=f"{spec} cannot be reached",
            why=f"it is not below where the database stands: {', '.join(current) or 'base'}",
            fix="choose one of its ancestors: handrail history",
        ) from error
    except alembic_revision.ResolutionError as error:
        raise _unknown(error.argument or spec, revisions) from error
    except (alembic_revision.RevisionError, AssertionError) as error:
        # Alembic asserts where a relative step leaves the graph.
        raise HistoryBroken(
            what=f"{spec} cannot be followed",
            why=f"from {', '.join(current) or 'base'}: {str(error) or 'the history ends before'}",
            fix="see what there is: handrail history",
        ) from error


def _unknown(name: str, revisions: Mapping[str, Revision]) -> HistoryBroken:
    starting = [identity for identity in revisions if identity.startswith(name)] if name else []
    if name in revisions:
        return HistoryBroken(
            what=f"revision {name} is not on that branch",
            why="no path by down_revision joins the two",
            fix="leave the branch out, or see the branches: handrail history",
        )
    if len(starting) > 1:
        return HistoryBroken(
            what=f"{name} is ambiguous",
            why=f"{len(starting)} revisions begin with it: {', '.join(starting[:5])}",
            fix="write more of the id",
        )
    return HistoryBroken(
        what=f"there is no revision or branch {name!r}",
        why=f"revisions read: {len(revisions)}{structure.near(name, revisions)}",
        fix="see what there is: handrail history",
    )
