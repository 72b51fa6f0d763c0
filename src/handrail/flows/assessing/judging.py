"""Asks the rules about what was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from handrail import registry
from handrail.config import ReviewPolicy
from handrail.errors import SettingsInvalid
from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedGraph, ReviewedRevision
from handrail.model.rule import Rule, RuleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRules:
    """The rules that are on, and the revisions that those about how a file is written leave alone."""

    rules: tuple[Rule, ...]
    old: frozenset[str] = frozenset()

    @property
    def own(self) -> bool:
        """Whether all that look at revisions are Handrail's, whose version tells what they say."""
        return all(rule.findings.__module__.startswith("handrail.") for rule in self.rules)

    def about_running(self) -> ActiveRules:
        """Return those that say what happens when a revision runs, not how its file is written."""
        return replace(self, rules=tuple(rule for rule in self.rules if not rule.baseline))


def active(policy: ReviewPolicy, old: frozenset[str] = frozenset()) -> ActiveRules:
    """Return the rules that the settings leave on. Raises SettingsInvalid for a name that is no rule."""
    known = registry.rules()
    for name in (*policy.enable, *policy.disable):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise SettingsInvalid(
                what=f"the setting review names {name!r}, which is no rule; nothing was touched",
                why="`handrail explain` lists the rules",
                fix=f"did you mean {near[0]!r}?" if near else f"remove {name!r} from enable or disable",
            )
    on = (r for r in known.values() if (not r.style or r.name in policy.enable) and r.name not in policy.disable)
    return ActiveRules(rules=tuple(on), old=old)


def of_revision(
    on: ActiveRules, revision: ReviewedRevision, facts: RuleFacts, *, last: bool = False
) -> Iterator[Finding]:
    """Yield what the rules say of one revision; `last` asks those that judge the suppressions themselves."""
    for rule in on.rules:
        if facts.engine not in rule.engines or rule.after_suppression is not last:
            continue
        if rule.baseline and revision.id in on.old:
            continue
        yield from rule.findings(revision, facts)


def of_graph(on: ActiveRules, graph: ReviewedGraph, facts: RuleFacts) -> Iterator[Finding]:
    """Yield what the rules say of the whole history."""
    for rule in on.rules:
        yield from rule.of_graph(graph, facts)
