"""`handrail explain`: the page of a rule, made from its file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from difflib import get_close_matches
from textwrap import dedent

from handrail import registry
from handrail.errors import UsageRefused
from handrail.model.rule import Example, Rule
from handrail.model.verdict import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A rule's page in Markdown; `title` is its first line."""

    name: str
    group: str
    severity: Severity
    engines: tuple[str, ...]
    style: bool
    title: str
    text: str


def index() -> tuple[Page, ...]:
    """Return the page of every rule, by group and name."""
    return tuple(_page(rule) for _, rule in sorted(registry.rules().items()))


def explain(name: str) -> Page:
    """Return the page of that rule. Raises UsageRefused."""
    rules = registry.rules()
    if name not in rules:
        near = get_close_matches(name, rules, n=1)
        raise UsageRefused(
            what=f"there is no rule {name!r}",
            why="`handrail explain` lists the rules",
            fix=f"did you mean {near[0]!r}?" if near else "handrail explain",
        )
    return _page(rules[name])


def _page(rule: Rule) -> Page:
    function = rule.of_graph if rule.findings.__module__ == Rule.__module__ else rule.findings
    title, _, body = (sys.modules[function.__module__].__doc__ or rule.name).strip().partition("\n")
    for part in ("What happens:", "Why:", "The safe way:"):
        body = body.replace(f"\n{part}", f"\n**{part}**")
    where = ", ".join(sorted(rule.engines))
    off = " Off by default: a rule of style." if rule.style else ""
    lines = [
        f"# {rule.name}",
        "",
        title,
        "",
        f"Severity: {rule.severity.value}. Engines: {where}.{off} Source: <{rule.source}>",
        body.rstrip(),
        "",
        *_example("Flagged", next((e for e in rule.examples if e.flagged), None)),
        *_example("Clean", next((e for e in rule.examples if not e.flagged), None)),
    ]
    return Page(
        name=rule.name,
        group=rule.group,
        severity=rule.severity,
        engines=tuple(sorted(rule.engines)),
        style=rule.style,
        title=title,
        text="\n".join(lines).rstrip() + "\n",
    )


def _example(claim: str, example: Example | None) -> list[str]:
    if example is None or dedent(example.body).strip() == "pass":
        return []
    return [f"{claim}:", "", "```python", *dedent(example.body).strip().splitlines(), "```", ""]
