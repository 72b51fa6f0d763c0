"""Writes the fields of a header into the docstring of a revision that a template has made."""

from __future__ import annotations

import ast
import inspect
import re
from functools import partial

from handrail.history.files import header, template
from handrail.model.revision import Header

_FIRST_LINE = re.compile(r"(\s*[^\n]*)\n?(.*)", re.DOTALL)


def with_header(source: str, values: Header) -> str:
    """Return the source with Impact, Risk, Rollback and Testing in its docstring.

    A field that somebody's template has filled stays; one that is missing, or says no more than what to write there,
    gets its value, or our words for what to write. Raises SyntaxError where the source is no Python.
    """
    doc = _docstring(source)
    if doc is None:
        rest = source.lstrip("\n")
        return f'"""{values.purpose}\n\n{_lines(_wanted(Header(), values))}\n"""\n\n{rest}'
    start, end = doc
    inner = source[start:end]
    present = header.parse(inspect.cleandoc(inner))
    wanted = _wanted(present, values)
    for name in list(wanted):
        line = re.compile(rf"^{name} ?:[^\n]*$", re.MULTILINE)
        if line.search(inner):
            inner = line.sub(partial(_with, f"{name}: {wanted.pop(name)}"), inner, count=1)
    if wanted:
        title, rest = _FIRST_LINE.fullmatch(inner).groups()  # type: ignore[union-attr] # it matches any text
        inner = f"{title.rstrip()}\n\n{_lines(wanted)}\n{rest}"
    return f"{source[:start]}{inner}{source[end:]}"


def _wanted(present: Header, values: Header) -> dict[str, str]:
    """Return the fields to write, by name: those that say nothing yet."""
    found = {}
    for name, placeholder in template.fields().items():
        written: str = getattr(present, name.lower())
        value: str = getattr(values, name.lower()) or placeholder
        if not written or (written.startswith("<") and value != written):
            found[name] = value.replace("\\", "\\\\").replace('"""', "'''")
    return found


def _with(value: str, _match: re.Match[str]) -> str:
    return value  # as it is: a template of re.sub would read its backslashes


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _docstring(source: str) -> tuple[int, int] | None:
    """Return where the text between the quotes of the module's docstring begins and ends; None without three."""
    body = ast.parse(source).body
    if not body or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return None
    node = body[0].value
    if not isinstance(node.value, str) or node.end_lineno is None or node.end_col_offset is None:
        return None
    lines = source.splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + _characters(lines[node.lineno - 1], node.col_offset)
    end = sum(map(len, lines[: node.end_lineno - 1])) + _characters(lines[node.end_lineno - 1], node.end_col_offset)
    opening = re.match(r"[rRuU]?(\"\"\"|''')", source[start:end])
    return None if opening is None else (start + opening.end(), end - len(opening[1]))


def _characters(line: str, offset: int) -> int:
    """Return how many characters the first `offset` bytes of a line are: ast counts in UTF-8."""
    return len(line.encode()[:offset].decode())
