"""The matrix of versions and revisions, and lists of versions, as text and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from handrail.model.compatibility import Compatibility
from handrail.model.contract import AppVersion
from handrail.model.expansion import GENERAL, ways
from handrail.model.matrix import Cell, Matrix, Result, Trial, breaking
from handrail.model.query import FailingQuery, QueryAnswers
from handrail.model.sighting import Deployment, Presence, Sighting
from handrail.model.suite import SuiteRun
from handrail.model.verdict import Verdict
from handrail.reports import breaks
from handrail.reports.text import count, duration

#: Short enough for a table; none needs colour.
_SHORT = {
    Result.READ_FAILS: "READ",
    Result.WRITE_FAILS: "WRITE",
    Result.MINIMAL_INSERT_FAILS: "INSERT",
    Result.DELETE_FAILS: "DELETE",
    Result.UNKNOWN: "?",
    Result.WORKS: "ok",
}
_NEVER = "."
_LEGEND = (
    "ok works, READ WRITE DELETE fails, INSERT with only what is required fails, ? could not be exercised, . never meet"
)
_TITLE = 48
_PLACES = 3
_WAYS = 5


def text(value: Compatibility) -> str:
    """The matrix, what became of statements, and of tests: those of them that were asked for."""
    parts = [
        matrix(value.matrix) if value.matrix else "",
        "\n".join(_queries(value.queries)) if value.queries else "",
        "\n".join(_suites(value.suites)),
    ]
    return "\n\n".join(filter(None, parts))


def matrix(value: Matrix) -> str:
    """The table, one line for each revision, then what breaks and why, then what could not be exercised."""
    if not value.rows:
        return "no revision that a version could meet"
    wide = [max(len(name), 6) for name in value.versions]
    first = max(len(row.revision) for row in value.rows)
    lines = ["  ".join([" " * first, *(name.ljust(w) for name, w in zip(value.versions, wide, strict=True))]).rstrip()]
    for row in value.rows:
        cells = [_short(cell).ljust(w) for cell, w in zip(row.cells, wide, strict=True)]
        lines.append("  ".join([row.revision.ljust(first), *cells, _cut(row.title)]))
    lines += ["", _LEGEND]
    lines += _told(value)
    return "\n".join(lines)


def markdown(value: Compatibility) -> str:
    """The same as Markdown: the verdict, the table, every break with what the server says, statements, tests."""
    lines = [f"**{value.verdict.name}**"]
    if value.matrix:
        lines += ["", *_matrix_table(value.matrix)]
    if value.queries:
        lines += ["", f"Statements of {value.queries.source}: {_asked(value.queries)}."]
        lines += _queries_table("They fail newly", value.queries.newly)
        lines += _queries_table("They fail already at the first revision", value.queries.from_start)
    if value.suites:
        lines += ["", *_table(["Tests of", "Verdict", "What became of them"])]
        lines += [_line([s.version, s.verdict.name, f"{s.reason} ({duration(s.seconds)})"]) for s in value.suites]
    return "\n".join(lines).rstrip()


def _matrix_table(value: Matrix) -> list[str]:
    lines = [*(f"{line}." for line in how(value)), "", *_table(["Revision", *value.versions, "Title"])]
    lines += [_line([row.revision, *(_word(cell) for cell in row.cells), row.title]) for row in value.rows]
    lines += ["", *(f"{' and '.join(names)} need the same: their contracts are equal." for names in value.alike)]
    found = breaks.breaks(value)
    if found:
        lines += ["", *_table(["Version", "Since", "By", "Until", "What, and what the server says"])]
    for each in found:
        until = _code(each.until) if each.until else "still open"
        lines.append(_line([each.version, _code(each.since), each.operation, until, *_trials(each.trials)]))
    return lines


def _queries_table(title: str, failing: tuple[FailingQuery, ...]) -> list[str]:
    if not failing:
        return []
    rows = [_line([_code(f.text), f.place, _code(f.since), f.operation, f.healed_by, f.message]) for f in failing]
    return ["", f"{title}:", "", *_table(["Statement", "Where", "Since", "By", "Until", "The server says"]), *rows]


def _queries(value: QueryAnswers) -> list[str]:
    lines = [f"statements of {value.source}: {_asked(value)}"]
    if value.newly:
        lines += ["", "what fails newly:", *(line for each in value.newly for line in _failing(each))]
    elif value.verdict is Verdict.PASS:
        lines += ["  no statement fails that worked before"]
    if value.from_start:
        lines += ["", f"what fails already at {value.first}, so that nothing is known of it:"]
        lines += [line for each in value.from_start for line in _failing(each)]
    if value.left_out:
        some = ", ".join(value.left_out[:_PLACES]) + (", ..." if len(value.left_out) > _PLACES else "")
        number = count(len(value.left_out), "text")
        lines += ["", f"left out, for they read or write no rows or cannot be read: {number} ({some})"]
    return lines


def _asked(value: QueryAnswers) -> str:
    between = f"at {value.first}" if value.first == value.last else f"from {value.first} to {value.last}"
    return f"{count(value.asked, 'statement')} {between}, planned and not executed"


def _failing(each: FailingQuery) -> list[str]:
    calls = f"  ({count(each.calls, 'call')})" if each.calls > 1 else ""
    return [f"  {each.text}{calls}", f"    {each.describe()}"]


def _suites(values: Iterable[SuiteRun]) -> list[str]:
    lines = []
    for suite in values:
        log = f", all of its output: {suite.log}" if suite.log else ""
        lines.append(f"tests of {suite.version}: {suite.verdict.name}, {suite.reason} ({duration(suite.seconds)}{log})")
        if suite.verdict is not Verdict.PASS:
            lines += [f"  | {line}" for line in suite.output.splitlines()]
    return lines


def _table(head: list[str]) -> list[str]:
    return [_line(head), f"|{'---|' * len(head)}"]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _word(cell: Cell) -> str:
    return cell.result.value if cell.judged else ""


def _trials(trials: Iterable[Trial]) -> list[str]:
    told = (f"{t.result.value} on {_code('.'.join(filter(None, (t.table, t.column))))}: {t.message}" for t in trials)
    return ["; ".join(told)]


def _code(text: str) -> str:
    return f"`{text}`"


def versions(values: Iterable[AppVersion], deployments: Iterable[Deployment] = ()) -> str:
    """One line for each version, and one below it for who answers for it and when it was last seen."""
    known = tuple(values)
    seen = {each.version: each for each in deployments}
    wide = max((len(v.name) for v in known), default=0)
    lines = []
    for version in known:
        state = "deployed" if version.deployed else f"retired {version.retired_at[:10]}"
        origin = version.ref or version.models or "env.py"
        at = ", ".join(version.revisions) or "base"
        tables = count(len(version.contract.tables), "table")
        lines.append(f"{version.name.ljust(wide)}  {state}  from revision {at}  {tables}  {origin}")
        if version.name in seen:
            lines.append(f"{' ' * wide}  {seen[version.name].describe().partition(': ')[2]}")
    return "\n".join(lines) or "no version is registered; handrail versions register NAME"


def observed(
    environment: str, seen: Iterable[Sighting], unregistered: tuple[str, ...], nameless: Iterable[Presence]
) -> str:
    """One line for each version that is connected, then those that do not say theirs."""
    lines = [f"{environment}:"]
    for each in seen:
        mark = "  not registered" if each.version in unregistered else ""
        wrote = f"wrote {each.wrote_at}" if each.wrote_at else "no write seen"
        lines.append(f"  {each.application}@{each.version}  {count(each.sessions, 'session')}  {wrote}{mark}")
    if len(lines) == 1:
        lines.append("  no session says which version it is of")
    others = Counter((p.name or "(no name)", p.user) for p in nameless)
    lines += [
        f"  {name} of {user}  {count(number, 'session')}  says no version" for (name, user), number in others.items()
    ]
    return "\n".join(lines)


def _told(value: Matrix) -> list[str]:
    lines = [f"{' and '.join(names)} need the same: their contracts are equal" for names in value.alike]
    lines += how(value)
    found = breaking(value)
    if found:
        lines += ["", "what breaks, or is not known:", *(f"  {line}" for line in found)]
    if value.verdict is Verdict.PASS:
        lines += ["", "every version works at every revision that it can meet"]
    elif value.verdict is Verdict.FAIL:
        found = ways(value)
        few = found if len(found) <= _WAYS else (GENERAL,)
        lines += ["", *(f"instead: {each}" for each in few)]
    return lines


def how(value: Matrix) -> list[str]:
    """Say what was executed and what was predicted."""
    cells = tuple(value.cells())
    decided = [cell for cell in cells if cell.predicted is not Result.UNKNOWN]
    if not value.executed:
        why = f": {value.reason}" if value.reason else ""
        return [f"predicted, nothing was executed{why}", f"{len(decided)} of {count(len(cells), 'cell')} could be told"]
    alike = sum(cell.predicted is cell.result for cell in decided)
    kept = [f"{count(value.kept, 'cell')} taken over from the last time"] if value.kept else []
    return [
        *kept,
        f"prediction alone would have told {len(decided)} of {count(len(cells), 'cell')}, {alike} as executed",
    ]


def _short(cell: Cell) -> str:
    return _SHORT[cell.result] if cell.judged else _NEVER


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
