"""What the header of a revision claims: its risk, how it is undone, and whether anybody has filled it in."""

from __future__ import annotations

import re
from enum import Enum

from handrail.model.revision import Header, Revision


class Risk(Enum):
    """The levels a header may claim: additive, data-dependent, breaking."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Rollback(Enum):
    """How a header says that the revision is undone."""

    SIMPLE = "simple"
    COMPLEX = "complex"
    MANUAL = "requires manual intervention"


_LEVEL = re.compile(r"\W*(low|medium|high)\b", re.IGNORECASE)
_ALTERNATIVE = re.compile(
    r"[/|]|\b(?:to|or)\b|(?:(?<=low)|(?<=medium)|(?<=high))[-\u2013\u2014&+](?=(?:low|medium|high)\b)", re.IGNORECASE
)
_WAYS = {
    Rollback.SIMPLE: re.compile(
        r"\W*(?:simple|easy|trivial|straightforward|automatic"
        r"|(?:(?:fully|completely|easily|safely|trivially) )?reversible"
        r"|(?:just |simply )?(?:run |use )?(?:the |alembic )?`?downgrade)\b",
        re.IGNORECASE,
    ),
    Rollback.COMPLEX: re.compile(r"\W*complex\b", re.IGNORECASE),
    Rollback.MANUAL: re.compile(r"\W*(?:requires\s+)?manual\b", re.IGNORECASE),
}
_NO_WAY = re.compile(
    r"\b(?:irreversible|not (?:reversible|possible|supported)|cannot be (?:undone|reversed|rolled back)|impossible"
    r"|none|restore|forward[- ]only|one[- ]way|backup)\b",
    re.IGNORECASE,
)
_WHAT_IS_LOST = re.compile(
    r"\b(?:back-?ups?|dump|archive\w*|restor\w+|los[est]\w*|empty|gone|forgotten|discard\w*|thrown|drop\w*|delet\w*"
    r"|remov\w*|stays?|kept|keeps?|irreversible|cannot|not|null|cut|truncat\w*|shorten\w*|round\w*|first|before)\b",
    re.IGNORECASE,
)
_NO_LOSS = re.compile(
    r"\b(?:no|without(?: any)?|zero) (?:data[- ]|row )?loss(?:es)?\b|\b(?:no (?:data|rows?|values?)|nothing)"
    r" (?:is|are|gets?|will be|can be) (?:lost|deleted|removed|dropped|touched)\b|\bnon-?destructive\b|\bloss-?less\b",
    re.IGNORECASE,
)
_GAP = re.compile(
    r"<[^\W\d][^<>\n]*>|\{\{.*?\}\}|\$\{.*?\}|\[(?:describe|fill|insert|todo|your)\b[^\]]*\]|_{3,}", re.IGNORECASE
)
_MENU = re.compile(r"simple\s*[/|]\s*complex", re.IGNORECASE)
_MARK = re.compile(r"\b(?:TODO|TBD|TBA|TBC|FIXME|XXX+)\b")
_NOTHING_SAID = re.compile(
    r"\W*(?:(?:to ?do|tbd|tba|tbc|fix ?me|x{2,}|n/?a|not applicable|placeholder|unknown|pending|later|wip"
    r"|same(?: as above)?|see above|foo|bar|test|asdf|blah|none given|description of (?:the )?change"
    r"|add (?:a )?description(?: here)?"
    r"|(?:please )?(?:fill|describe|explain|write)(?: (?:me|this|it))?(?: in| out)?(?: here| later)?"
    r"|to be (?:done|filled|decided|defined|determined|added|written|completed|confirmed)\b.*"
    r"|lorem ipsum.*|what (?:changes for users and applications|was verified)|why this change was needed)\W*)?",
    re.IGNORECASE | re.DOTALL,
)


def risk_level(header: Header) -> Risk | None:
    """Return the level the risk begins with; None where it names none, or leaves several to choose from."""
    levels = [_LEVEL.match(part) for part in _ALTERNATIVE.split(header.risk)]
    named = {level[1].lower() for level in levels if level}
    if levels[0] is None or len(named) != 1:
        return None
    return Risk(named.pop())


def rollback_way(header: Header) -> Rollback | None:
    """Return the way that the rollback begins with, None where it names none."""
    return next((way for way, pattern in _WAYS.items() if pattern.match(header.rollback)), None)


def denies_loss(text: str) -> bool:
    """Return whether a field promises that nothing which is stored is lost."""
    return _NO_LOSS.search(text) is not None


def first_words(text: str) -> str:
    """Return the part of a field that makes its claim: `Simple` of `Simple - drop the column`."""
    return re.split(r"\s-|[.,;:(\n\u2013\u2014]", text.strip(), maxsplit=1)[0].strip()


def owns_up(header: Header) -> bool:
    """Return whether the header says itself that the downgrade alone does not bring everything back."""
    way = rollback_way(header)
    return way in (Rollback.COMPLEX, Rollback.MANUAL) or (
        way is None and not is_placeholder(header.rollback) and _NO_WAY.search(header.rollback) is not None
    )


def says_what_is_lost(header: Header) -> bool:
    """Return whether the rollback tells of what does not come back, or where it is kept; `Complex` alone does not."""
    return _WHAT_IS_LOST.search(header.rollback) is not None


def is_placeholder(text: str) -> bool:
    """Return whether a text is a gap to be filled, or says nothing; an empty one does."""
    return (
        _NOTHING_SAID.fullmatch(text.strip()) is not None
        or _GAP.search(text) is not None
        or _MARK.search(text) is not None
        or _MENU.search(text) is not None
    )


def line_of(revision: Revision, field: str) -> int:
    """Return the line of a field in the revision's file, 1 where it is not found."""
    pattern = re.compile(rf"\W*{field}(?:[ _-]level)?\W*:", re.IGNORECASE)
    lines = revision.source.splitlines()
    return next((number for number, line in enumerate(lines, start=1) if pattern.match(line)), 1)
