"""The matrix as one HTML file: a heat map that is read by eye, by keyboard, aloud, on paper and without colours."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from mako.template import Template

from handrail.model.compatibility import Compatibility
from handrail.model.matrix import Cell, Matrix, Result, Trouble
from handrail.model.verdict import Verdict
from handrail.reports import breaks, compat_text, text
from handrail.reports.html import SIGNS

_TEMPLATES = Path(__file__).parent / "templates"
#: Word, class of the page's style sheet, and what it says.
_FACES = {
    Result.READ_FAILS: ("READ", "read", "read fails"),
    Result.WRITE_FAILS: ("WRITE", "write", "write fails"),
    Result.MINIMAL_INSERT_FAILS: ("INSERT", "insert", "an INSERT of only what is required fails"),
    Result.DELETE_FAILS: ("DELETE", "delete", "delete fails"),
    Result.UNKNOWN: ("?", "unknown", "could not be exercised"),
    Result.WORKS: ("\N{CHECK MARK}", "works", "works"),
}
#: With more versions than that their names stand upright, and cells show the first letter of their word.
_NARROW = 8
_TOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One cell as it is shown: its mark, its classes, what it says, and the reasons, the worst first.

    `predicted` says what contract and schema alone tell, where that is something else.
    """

    mark: str
    classes: str
    says: str
    predicted: str = ""
    reasons: tuple[Trouble, ...] = ()
    more: int = 0


def page(value: Compatibility) -> str:
    """Return the whole page; everything that is put into it is escaped."""
    template = Template(  # noqa: S702 - `h` escapes every expression
        filename=str(_TEMPLATES / "compat.html.mako"),
        default_filters=["h"],
        strict_undefined=True,
        input_encoding="utf-8",
    )
    script = (_TEMPLATES / "compat.js").read_text(encoding="utf-8")
    matrix = value.matrix or Matrix(versions=(), rows=())
    rendered: str = template.render_unicode(
        value=value,
        matrix=matrix,
        css="".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("run.css", "compat.css")),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        headline=headline(value),
        how=compat_text.how(matrix) if value.matrix else [],
        figures=figures(value),
        breaks=breaks.breaks(matrix),
        faces=[(_mark(word, matrix), style, said) for word, style, said in _FACES.values()],
        rows=_rows(matrix),
        sign=SIGNS.__getitem__,
        where=where,
        text=text,
        narrow=len(matrix.versions) > _NARROW,
        failing=matrix.verdict is Verdict.FAIL,
        passed=Verdict.PASS,
    )
    return rendered.strip()


def headline(value: Compatibility) -> str:
    """Return the one sentence that counts."""
    if value.matrix and value.matrix.verdict is Verdict.FAIL:
        broken = {cell.version for cell in value.matrix.cells() if cell.result.broken}
        number, verb = text.count(len(value.matrix.versions), "version"), "breaks" if len(broken) == 1 else "break"
        return f"Of {number} {len(broken)} {verb} at a revision that can be met"
    if value.queries and value.queries.newly:
        return f"{text.count(len(value.queries.newly), 'statement')} of {value.queries.source} will fail that worked"
    failed = [suite.version for suite in value.suites if suite.verdict is Verdict.FAIL]
    if failed:
        return f"The tests of {', '.join(failed)} fail on the migrated database"
    if value.verdict is Verdict.UNKNOWN:
        return "What could not be exercised is not known to work"
    return "Nothing that was looked at breaks"


def figures(value: Compatibility) -> list[tuple[str, str]]:
    """Return the numbers a person asks for first, with their names."""
    found = []
    if value.matrix:
        found += _of_matrix(value.matrix)
    if value.queries:
        found += [(str(value.queries.asked), "statements"), (str(len(value.queries.newly)), "of them fail newly")]
    return found


def _of_matrix(value: Matrix) -> list[tuple[str, str]]:
    cells = tuple(value.cells())
    failing = sum(cell.result.broken for cell in cells)
    unknown = sum(cell.result is Result.UNKNOWN for cell in cells)
    return [
        (str(len(value.versions)), "versions"),
        (str(len(value.rows)), "revisions"),
        (str(len(cells)), "pairs that can meet"),
        (str(failing), "of them fail"),
        (str(unknown), "of them are unknown"),
    ]


def where(table: str, column: str) -> str:
    """Return a table, and its column where one is known."""
    return f"{table}.{column}" if column else table


def _rows(value: Matrix) -> list[tuple[str, str, list[Shown]]]:
    opens, closes = breaks.opening(value), breaks.closing(value)
    return [
        (
            row.revision,
            row.title,
            [_shown(c, value, begins=(c.version, c.revision) in opens, ends=(c.version, c.revision) in closes)
             for c in row.cells],
        )
        for row in value.rows
    ]  # fmt: skip


def _mark(word: str, value: Matrix) -> str:
    return word[:1] if len(value.versions) > _NARROW else word


def _predicted(cell: Cell, matrix: Matrix) -> str:
    if not matrix.executed or cell.predicted in {cell.result, Result.UNKNOWN}:
        return ""
    return f"prediction alone says: {cell.predicted.value}"


def _shown(cell: Cell, matrix: Matrix, *, begins: bool, ends: bool) -> Shown:
    if not cell.judged:
        return Shown(mark="", classes="never", says="never meet")
    word, style, said = _FACES[cell.result]
    marks = [(begins, "opens", "a break begins here"), (ends, "closes", "a break ends here")]
    return Shown(
        mark=_mark(word, matrix),
        classes=" ".join([style, *(name for given, name, _ in marks if given)]),
        says="; ".join([said, *(words for given, _, words in marks if given)]),
        predicted=_predicted(cell, matrix),
        reasons=cell.troubles[:_TOLD],
        more=max(0, len(cell.troubles) - _TOLD),
    )
