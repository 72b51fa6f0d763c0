"""A review speaks of each hazard, by a rule that is about it, and is quiet about what is safe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import labelled_case
import pytest
from labelled_case import Case

from handrail import registry
from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest, review
from handrail.model.finding import Finding
from handrail.model.verdict import Severity

CASES = {str(case): case for case in labelled_case.cases()}
#: What all branches of one project have in common: several heads.
_OF_THE_WHOLE = "graph-broken"
#: Alembic makes a table anew after a look at an empty copy of the schema, which is one for all branches.
_ALONE = frozenset({"sqlite"})


def found(case: Case) -> list[Finding]:
    """Return what is said of the case."""
    together = tuple(c for c in CASES.values() if (c.group, c.engine) == (case.group, case.engine))
    return _reviewed((case,) if case.engine in _ALONE else together)[str(case)]


@lru_cache(maxsize=64)
def _reviewed(some: tuple[Case, ...]) -> Mapping[str, list[Finding]]:
    """Return what one review of these cases says of each."""
    names = {_id(number, case): case for number, case in enumerate(some)}
    with TemporaryDirectory() as folder:
        labelled_case.write(Path(folder), names, some[0].engine)
        outcome = review(review_ports(Path(folder)), ReviewRequest(everything=True))
    said: dict[str, list[Finding]] = defaultdict(list)
    for finding in outcome.findings:
        if finding.rule != _OF_THE_WHOLE and finding.revision in names:
            said[str(names[finding.revision])].append(finding)
    return said


def _id(number: int, case: Case) -> str:
    """Return a revision id; the one that is too long is what its case is about."""
    return f"c{number:03}" + "x" * 40 * ("name-revision-too-long" in case.rules)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rules])
def test_a_hazard_is_told_by_a_rule_about_it(name: str) -> None:
    case = CASES[name]
    said = {finding.rule for finding in found(case) if not (case.loud and finding.severity is Severity.NOTE)}
    assert case.rules & said, f"{sorted(case.rules)} expected, {sorted(said)} said"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.rules])
def test_what_is_safe_is_left_alone(name: str) -> None:
    loud = [f"{f.rule}: {f.what}" for f in found(CASES[name]) if f.severity is not Severity.NOTE]
    assert loud == []


def test_labels_name_rules_that_are_there_and_each_group_has_both_kinds() -> None:
    assert len(CASES) == len(list(labelled_case.cases()))  # a title is a case's name
    named = {rule for case in CASES.values() for rule in case.rules}
    assert named <= set(registry.rules())
    assert {case.group for case in CASES.values() if not case.rules} | {"reading"} == {c.group for c in CASES.values()}
