"""Reads `# handrail: ignore[rule] reason, until DATE` in revision files."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from datetime import date

from handrail.model.reviewed import Suppression

_MARK = re.compile(r"#\s*handrail\s*:\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_IGNORE = re.compile(r"ignore\[(?P<rules>[^\]]*)\](?P<tail>.*)", re.DOTALL)
_UNTIL = re.compile(r",?\s*\buntil\s+(?P<date>\S+)\s*$")
_CODE = frozenset({tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING})


def suppressions(source: str) -> tuple[Suppression, ...]:
    """Return every suppression of a file.

    A comment behind code stands for its line, one on a line of its own for the next line of code, one above all code
    but the docstring for the whole file.
    """
    if not _MARK.search(source):
        return ()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return ()
    code = sorted({line for token in _coding(tokens) for line in range(token.start[0], token.end[0] + 1)})
    ends = _statement_ends(tokens)
    found = []
    for token in tokens:
        mark = _MARK.match(token.string) if token.type == tokenize.COMMENT else None
        if mark:
            found.append(_read(mark["rest"], token.start[0], code, ends))
    return tuple(found)


def _coding(tokens: list[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of code, without the docstring of the file."""
    first = True
    for token in tokens:
        if token.type in _CODE:
            if not (first and token.type == tokenize.STRING):
                yield token
            first = False


def _statement_ends(tokens: list[tokenize.TokenInfo]) -> dict[int, int]:
    """Return the last line of the logical line that each line belongs to."""
    ends: dict[int, int] = {}
    begin = 0
    for token in tokens:
        if token.type in _CODE and not begin:
            begin = token.start[0]
        if token.type == tokenize.NEWLINE and begin:
            ends.update(dict.fromkeys(range(begin, token.start[0] + 1), token.start[0]))
            begin = 0
    return ends


def _read(text: str, line: int, code: list[int], ends: dict[int, int]) -> Suppression:
    match = _IGNORE.fullmatch(text.strip())
    if match is None:
        return Suppression(rules=(), reason="", until=None, line=line, malformed=f"`{text.strip()}` is not understood")
    rules = tuple(name.strip() for name in match["rules"].split(",") if name.strip())
    tail = match["tail"].strip()
    until, malformed = None, "" if rules else "it names no rule"
    if found := _UNTIL.search(tail):
        tail = tail[: found.start()].strip()
        try:
            until = date.fromisoformat(found["date"])
        except ValueError:
            malformed = f"{found['date']} is not a date such as 2027-01-31"
    return Suppression(
        rules=rules,
        reason=tail.strip(" ,:-"),
        until=until,
        line=line,
        lines=_lines(line, code, ends),
        malformed=malformed,
    )


def _lines(line: int, code: list[int], ends: dict[int, int]) -> tuple[int, ...]:
    """Return the lines that a comment stands for, () for the whole file."""
    if line in code:
        return tuple(range(line, ends.get(line, line) + 1))
    if not code or line < code[0]:
        return ()
    following = next((number for number in code if number > line), line)
    return tuple(range(following, ends.get(following, following) + 1))
