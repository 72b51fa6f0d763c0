"""Statements that SQLite refuses by their words alone, whatever is in the database."""

from __future__ import annotations

import re
from dataclasses import dataclass

# https://www.sqlite.org/lang_altertable.html, https://www.sqlite.org/lang_createindex.html
_TABLE = r"\s*ALTER\s+TABLE\s+(?P<table>\"[^\"]+\"|[\w.]+)\s+"
_UNKNOWN = re.compile(
    _TABLE + r"(?:ALTER|MODIFY|CHANGE|ADD\s+(?:CONSTRAINT|UNIQUE|PRIMARY|FOREIGN|CHECK)"
    r"|DROP\s+(?:CONSTRAINT|PRIMARY|FOREIGN)|(?:ADD|DROP)\s+(?:COLUMN\s+)?IF)\b",
    re.IGNORECASE,
)
_ALTERED = re.compile(_TABLE + r"(?:ADD|DROP)\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What SQLite refuses, and of which table, '' where the statement names none first."""

    what: str
    table: str = ""


def refusal(sql: str) -> Refusal | None:
    """Return what SQLite refuses of a statement, None where its words alone do not tell."""
    if _CONCURRENTLY.match(sql):
        return Refusal(what="CREATE INDEX CONCURRENTLY, which is PostgreSQL's")
    altered = _UNKNOWN.match(sql)
    what = "an ALTER TABLE of"
    if altered is None and (altered := _ALTERED.match(sql)):
        if not _several(sql):
            return None
        what = "several changes in one ALTER TABLE of"
    if altered is None:
        return None
    table = altered["table"].strip('"')
    return Refusal(what=f"{what} {table}", table=table)


def _several(sql: str) -> bool:
    """Return whether a comma stands in no quotes and no parentheses."""
    inner = ""
    while inner != sql:
        inner, sql = sql, re.sub(r"'[^']*'|\"[^\"]*\"|\([^()]*\)", "", sql)
    return "," in sql
