"""What facts about a database do to findings: they settle, raise or lower what the files alone could only suspect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from handrail.model.demand import Demand
from handrail.model.estimate import Estimate
from handrail.model.finding import Finding
from handrail.model.hazards.waiting import estimate
from handrail.model.portrait import Portrait
from handrail.model.reviewed import ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import Rule
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import Counted

#: The rule that speaks of rows where no other does.
LAST_RESORT = "fail-counted-rows"
#: Groups of rules whose findings are about how long others wait.
_OF_TIME = frozenset({"lock", "rewrite"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found out about one database.

    `wanted` is what pending statements demand of its rows, `counted` what counting has said of each of them;
    `dependants` are what CASCADE would take, by revision and number of the statement.
    """

    portrait: Portrait
    wanted: tuple[Demand, ...] = ()
    counted: Mapping[Demand, Counted] = field(default_factory=lambda: MappingProxyType({}))
    dependants: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


def weighed(
    findings: Iterable[Finding], rules: Mapping[str, Rule], steps: Iterable[ReviewedStep], known: Known
) -> Iterator[Finding]:
    """Yield the findings about those steps with what is known of the database.

    Rows that break it make a finding certain; none make one that only they decide a note; what could not be counted
    changes nothing. What the rule of last resort says is left out where another finding says it.
    """
    by_step = {(step.revision, step.direction): step for step in steps}
    told = [
        _weighed(f, rules.get(f.rule), by_step.get((f.revision, f.direction or Direction.UPGRADE)), known)
        for f in findings
    ]
    said = {(f.revision, c) for f in told if f.rule != LAST_RESORT for c in f.counted}
    yield from (f for f in told if f.rule != LAST_RESORT or not all((f.revision, c) in said for c in f.counted))


def _weighed(finding: Finding, rule: Rule | None, step: ReviewedStep | None, known: Known) -> Finding:
    number = finding.statement
    if rule is None or step is None or number is None:
        return finding
    up = finding.direction is Direction.UPGRADE
    if rule.decided_by is not None and up:
        finding = _settled(finding, rule, known)
    if rule.cascades and up:
        finding = replace(finding, dependants=known.dependants.get((finding.revision, number)))
    if rule.group in _OF_TIME:
        finding = replace(finding, estimate=_estimated(step, number, known.portrait))
    return finding


def _settled(finding: Finding, rule: Rule, known: Known) -> Finding:
    pair = next(
        (
            (demand, counted)
            for demand, counted in known.counted.items()
            if (demand.revision, demand.statement, demand.kind)
            == (finding.revision, finding.statement, rule.decided_by)
            and demand.subject == finding.subject
        ),
        None,
    )
    if pair is None:
        return finding
    demand, counted = pair
    finding = replace(finding, counted=(counted,))
    if counted.unknown or counted.before:
        return finding
    if counted.violation is not None:
        return replace(finding, severity=Severity.ERROR, confidence=Confidence.HIGH)
    return finding if demand.every_row else replace(finding, severity=Severity.NOTE)


def _estimated(step: ReviewedStep, number: int, portrait: Portrait) -> Estimate | None:
    """Return the longest wait that an action of that statement may cause."""
    statement = step.statements[number]
    found = []
    for action in statement.actions:
        size = portrait.size(getattr(action, "table", ""))
        made = estimate(statement, action, size) if size else None
        if made is not None:
            found.append(made)
    return max(found, key=lambda e: e.high_s, default=None)
