"""The shape of a graph of revisions: what follows what, where it is torn, and the order to tell it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from handrail.history.files.problem import Problem, ProblemKind
from handrail.model.revision import Revision

Revisions = Mapping[str, Revision]
#: Revision id -> the ids it must come after, those without a file left out.
Edges = Mapping[str, tuple[str, ...]]


def children(revisions: Revisions) -> dict[str, tuple[str, ...]]:
    """Return, for every id, those that name it as a parent, in the order of their files."""
    following: dict[str, list[str]] = {identity: [] for identity in revisions}
    for revision in revisions.values():
        for parent in revision.parents:
            if parent in following:
                following[parent].append(revision.id)
    return {identity: tuple(ids) for identity, ids in following.items()}


def near(name: str, revisions: Revisions) -> str:
    """Return `; did you mean ...?` with the ids and labels closest to a name, or ''."""
    names = [*revisions, *(label for revision in revisions.values() for label in revision.branch_labels)]
    close = get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def problems(revisions: Revisions) -> Iterator[Problem]:
    """Yield what is wrong with the graph as a whole; each names the files concerned."""
    labels = _labels(revisions)
    for revision in revisions.values():
        for parent in revision.parents:
            if parent not in revisions:
                yield _missing(ProblemKind.MISSING_PARENT, revision, parent, revisions)
        for dependency in revision.depends_on:
            if dependency not in revisions and dependency not in labels:
                yield _missing(ProblemKind.MISSING_DEPENDENCY, revision, dependency, revisions)
    yield from _label_problems(revisions)
    for loop in _loops(needs(revisions)):
        yield Problem(
            kind=ProblemKind.CYCLE,
            what="the revisions go in a circle",
            why=" -> ".join((*loop, loop[0])) + " (each needs the next one first)",
            fix=f"correct down_revision or depends_on in {' or '.join(revisions[i].path.name for i in loop)}",
            files=tuple(revisions[identity].path for identity in loop),
            revisions=loop,
        )
    following = children(revisions)
    heads = [revision for revision in revisions.values() if not following[revision.id]]
    bases = [revision for revision in revisions.values() if not revision.parents]
    if len(heads) > 1:
        fix = 'handrail apply heads, or join them: alembic merge -m "merge" heads'
        yield _several(ProblemKind.SEVERAL_HEADS, heads, fix)
    if len(bases) > 1:
        fix = "right for independent branches; otherwise give the later ones their down_revision"
        yield _several(ProblemKind.SEVERAL_BASES, bases, fix)


def walk(revisions: Revisions) -> list[str]:
    """Return all ids, each before what it comes after, in the order of `alembic history`.

    Circles are cut where they close. Source of the order: alembic/script/revision.py, RevisionMap._topological_sort;
    several dependencies of one revision stand as written, where Alembic's order changes from run to run.
    """
    edges = _normalized(revisions, _without_loops(needs(revisions)))
    ancestors = _ancestors(edges)
    number = {identity: position for position, identity in enumerate(revisions)}
    needed = {before for parents in edges.values() for before in parents}
    tips = [identity for identity in revisions if identity not in needed]
    told: dict[str, None] = {}
    at = 0
    while tips:
        candidate = tips[at]
        later = (i for i, tip in enumerate(tips) if i != at and ancestors[tip] >> number[candidate] & 1)
        if (blocking := next(later, None)) is not None:
            at = blocking
            continue
        told.setdefault(candidate)
        further = [before for before in edges[candidate] if before not in told and before not in tips]
        if further:
            tips[at] = further[0]
            tips.extend(further[1:])
        else:
            del tips[at]
            at = max(at - 1, 0)
    return list(told)


def _labels(revisions: Revisions) -> dict[str, str]:
    return {label: revision.id for revision in revisions.values() for label in revision.branch_labels}


def needs(revisions: Revisions) -> dict[str, tuple[str, ...]]:
    """Return, for every id, those it must come after: its parents, then what it depends on, labels resolved."""
    labels = _labels(revisions)
    return {
        revision.id: tuple(
            dict.fromkeys(
                before
                for before in (*revision.parents, *(labels.get(name, name) for name in revision.depends_on))
                if before in revisions
            )
        )
        for revision in revisions.values()
    }


def _in_order(edges: Edges) -> list[str]:
    """Return the ids, each after what it needs; without those on a circle or behind one."""
    waiting = {identity: len(before) for identity, before in edges.items()}
    following: dict[str, list[str]] = {identity: [] for identity in edges}
    for identity, before in edges.items():
        for needed in before:
            following[needed].append(identity)
    ready = [identity for identity in edges if not waiting[identity]]
    for identity in ready:
        for later in following[identity]:
            waiting[later] -= 1
            if not waiting[later]:
                ready.append(later)
    return ready


def _loops(edges: Edges) -> Iterator[tuple[str, ...]]:
    """Yield a circle for every edge that closes one, found in depth-first order."""
    settled = set(_in_order(edges))
    for start in edges:
        trail = {} if start in settled else {start: iter(edges[start])}
        while trail:
            before = next(trail[next(reversed(trail))], None)
            if before is None:
                settled.add(trail.popitem()[0])
            elif before in trail:
                ids = list(trail)
                yield tuple(ids[ids.index(before) :])
            elif before not in settled:
                trail[before] = iter(edges[before])


def _without_loops(edges: Edges) -> Edges:
    closing = {(loop[-1], loop[0]) for loop in _loops(edges)}
    if not closing:
        return edges
    return {
        identity: tuple(before for before in needed if (identity, before) not in closing)
        for identity, needed in edges.items()
    }


def _normalized(revisions: Revisions, edges: Edges) -> Edges:
    """Leave out dependencies that an ancestor by down_revision has too, as Alembic does."""
    if not any(revision.depends_on for revision in revisions.values()):
        return edges
    labels = _labels(revisions)
    inherited: dict[str, frozenset[str]] = {}
    thinned: dict[str, tuple[str, ...]] = {}
    for identity in _in_order(edges):
        named = {labels.get(name, name) for name in revisions[identity].depends_on}
        parents = [before for before in edges[identity] if before in revisions[identity].parents]
        above = frozenset[str]().union(*(inherited[parent] for parent in parents))
        own = [before for before in edges[identity] if before in named]
        thinned[identity] = tuple(dict.fromkeys((*parents, *(before for before in own if before not in above))))
        inherited[identity] = above.union(own)
    return {identity: thinned[identity] for identity in edges}


def _ancestors(edges: Edges) -> dict[str, int]:
    """Return for each id the set of itself and all before it, as bits numbered by position in `edges`."""
    bit = {identity: 1 << position for position, identity in enumerate(edges)}
    reached: dict[str, int] = {}
    for identity in _in_order(edges):
        mask = bit[identity]
        for before in edges[identity]:
            mask |= reached[before]
        reached[identity] = mask
    return reached


def _missing(kind: ProblemKind, revision: Revision, name: str, revisions: Revisions) -> Problem:
    setting = "down_revision" if kind is ProblemKind.MISSING_PARENT else "depends_on"
    return Problem(
        kind=kind,
        what=f"revision {revision.id} follows {name}, which no file defines",
        why=f"{setting} in {revision.path} names it{near(name, revisions)}",
        fix=f"bring the file of {name} back from version control, or correct {setting} in {revision.path.name}",
        files=(revision.path,),
        revisions=(revision.id, name),
    )


def _label_problems(revisions: Revisions) -> Iterator[Problem]:
    owners: dict[str, Revision] = dict(revisions)
    for revision in revisions.values():
        for label in dict.fromkeys(revision.branch_labels):
            owner = owners.setdefault(label, revision)
            if owner is not revision or label == revision.id:
                yield Problem(
                    kind=ProblemKind.DUPLICATE_LABEL,
                    what=f"the branch label {label} is not unique",
                    why=f"{revision.path.name} and {owner.path.name} both use it",
                    fix=f"take {label} out of branch_labels in one of them",
                    files=tuple(dict.fromkeys((owner.path, revision.path))),
                    revisions=tuple(dict.fromkeys((owner.id, revision.id))),
                )


def _several(kind: ProblemKind, ends: Sequence[Revision], fix: str) -> Problem:
    return Problem(
        kind=kind,
        what=f"the history has {len(ends)} {'heads' if kind is ProblemKind.SEVERAL_HEADS else 'bases'}",
        why=", ".join(f"{revision.id} ({revision.path.name})" for revision in ends),
        fix=fix,
        files=tuple(revision.path for revision in ends),
        revisions=tuple(revision.id for revision in ends),
    )
