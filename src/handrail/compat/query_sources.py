"""Finds the statements in a file of SQL or a log of an application or server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from handrail.model.query import Query

#: What a statement begins with that reads or writes rows; everything else is left out.
_ROWS = re.compile(r"\s*\(*\s*(?:select|insert|update|delete|merge|values|with|table)\b", re.IGNORECASE)
#: What is one piece: strings, quoted names, comments, dollar quotes, casts.
_WHOLE = r"""
    [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
  | --[^\n]* | /\*.*?\*/ | (?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag) | ::
"""
_PIECE = re.compile(
    rf"(?P<whole>{_WHOLE}) | (?P<named>%\((?P<name>\w+)\)s | (?<![\w:]):(?P<word>[A-Za-z_]\w*)) "
    r"| (?P<mark>%s) | (?P<question>\?) | (?<!\w)\$(?P<number>\d+) | (?P<end>;)",
    re.VERBOSE | re.DOTALL,
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_BEFORE = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
#: How records of a log begin, so that the other lines belong to the record above.
_RECORD = re.compile(
    r"\[?\d{4}[-/]\d\d[-/]\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:|\{"
    r"|\[?(?:DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|FATAL|LOG|STATEMENT|DETAIL|HINT|CONTEXT)\b"
)
_IN_RECORD = re.compile(
    r"\b(?:select\s|insert\s+into\s|update\s+[^\s]+\s+set\s|delete\s+from\s|merge\s+into\s"
    r"|with\s+(?:recursive\s+)?[\w\"]+\s*(?:\([^)]*\)\s*)?as\s)",
    re.IGNORECASE,
)
#: What SQLAlchemy writes behind a statement.
_BEHIND = re.compile(r"\n?\[(?:parameters|generated in|cached since|no key|raw sql|caching disabled)\b.*", re.DOTALL)


def in_sql(text: str, file: str) -> Iterator[Query]:
    """Yield every statement of a file of SQL, also those that read or write no rows."""
    text = re.sub(r"(?m)^\\.*$", "", text)  # psql's own commands
    start = 0
    for found in _PIECE.finditer(text + ";"):
        if found["end"]:
            first = _BEFORE.match(text, start, found.start())
            begin = first.end() if first else start
            statement = text[begin : found.start()].strip()
            if statement:
                yield Query(text=statement, place=f"{file}:{text.count(chr(10), 0, begin) + 1}")
            start = found.end()


def in_log(text: str, file: str) -> Iterator[Query]:
    """Yield what looks like a statement in each record of a log, of a PostgreSQL server, SQLAlchemy, or JSON lines."""
    for line, record in _records(text):
        for said in _texts(record):
            found = _IN_RECORD.search(said)
            if found:
                statement = _BEHIND.sub("", said[found.start() :]).strip().rstrip(";").rstrip()
                yield Query(text=statement, place=f"{file}:{line}")


def about_rows(query: Query) -> bool:
    """Return whether it reads or writes rows, by its first word."""
    return _ROWS.match(_COMMENTS.sub("", query.text)) is not None


def numbered(text: str, placeholder: Callable[[int], str], *, question_marks: bool) -> tuple[str, int]:
    """Return the statement with its placeholders, of any driver's style, as the engine numbers them, and how many."""
    names: dict[str, int] = {}
    highest = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal highest
        if found["number"]:
            number = int(found["number"])
        elif found["named"]:
            number = names.setdefault(found["name"] or found["word"], highest + 1)
        elif found["mark"] or (found["question"] and question_marks):
            number = highest + 1
        else:
            return found[0]
        highest = max(highest, number)
        return placeholder(number)

    return _PIECE.sub(replace, text), highest


def without_literals(message: str, sql: str) -> str:
    """Return a server's message without the strings that it quotes from the statement."""
    for found in _PIECE.finditer(sql):
        literal = (found["whole"] or "").lstrip("eE")
        if literal.startswith("'"):
            value = literal[1:-1].replace("''", "'")
            message = message.replace(f'"{value}"', '"?"').replace(f"'{value}'", "'?'")
    return message


def _records(text: str) -> Iterator[tuple[int, str]]:
    """Yield each record of a log with the number of its first line."""
    first, lines = 1, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if lines and _RECORD.match(line):
            yield first, "\n".join(lines)
            lines = []
        if not lines:
            first = number
        lines.append(line)
    if lines:
        yield first, "\n".join(lines)


def _texts(record: str) -> Iterator[str]:
    """Yield the texts in a record: of one in JSON every string, else the record itself."""
    if not record.startswith("{"):
        yield record
        return
    try:
        todo: list[object] = [json.loads(record)]
    except ValueError:
        yield record
        return
    while todo:
        match todo.pop(0):
            case str(text):
                yield text
            case dict() as parts:
                todo += parts.values()
            case list() as parts:
                todo += parts
