"""Which operation of a revision made something stop working: its name, and a guess where nothing was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from handrail.model.matrix import Result, Trial
from handrail.model.operation import Operation, Origin, RecordedRevision, Statement, StatementKind

_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"[\"`']([^\"`']+)[\"`']")
_SHOWN = 100
#: Words of servers' messages that name nothing.
_NOISE = frozenset(
    """
    a already an and at be boolean but by cannot character check column constraint
    conflict delete deleted does duplicate exist expression failed foreign for from has in input
    insert integer into invalid is key long missing new no not null numeric of
    on or out primary range referenced relation row still such syntax table text that
    the timestamp to too type unique update value values varying violates view was with
    without
    """.split()  # noqa: SIM905 - a list of sixty strings is sixty lines
)


#: Operations that no SELECT can fail for.
_UNREAD = frozenset({"create_index", "drop_index", "create_table_comment", "drop_table_comment", "bulk_insert"})


class Certainty(Enum):
    """How much an operation has to say of a trial to be taken for its cause: its table, or what the message names."""

    LIKELY = 1
    NAMED = 4


def operation_of(recorded: RecordedRevision, sql: str, place: int) -> str:
    """Return the operation that sent the nth statement of the revision, in Alembic's words with its line.

    The SQL of one sent by itself; of a revision that was recorded with other statements the SQL alone.
    """
    own = recorded.own_statements
    at = own[place] if place < len(own) and own[place].sql == sql else next((s for s in own if s.sql == sql), None)
    if at is None:
        return _cut(sql)
    if at.operation is None:
        return _short(at)
    each = recorded.operations[at.operation]
    return _label(each, sql if each.name == "execute" else "")


def operation(trial: Trial, recorded: RecordedRevision, certainty: Certainty) -> str:
    """Return the operation that most likely did it, in the same words; '' where none says enough of it."""
    score, label = suspect(trial, recorded)
    return label if score >= certainty.value else ""


def suspect(trial: Trial, recorded: RecordedRevision) -> tuple[int, str]:
    """Return how much the operation that most likely did it has to say of it, and that operation.

    What a quoted name of the server's message matches counts more than the table does; of equals the last one counts,
    since it left things as they are, before it one on the table itself. An operation on a table that neither the trial
    nor its message is about says nothing, and nor does a column's name where its table is not mentioned.
    """
    named = {word for text in _QUOTED.findall(trial.message) for word in _WORD.findall(text)}
    named |= {w for w in _WORD.findall(trial.message) if w.lower() not in _NOISE and not w.isdigit()}
    table = set(_WORD.findall(trial.table))
    column = set(_WORD.findall(trial.column))
    best, score = "", (0, False)
    for each in _candidates(recorded):
        about = bool(each.words & table or each.table & named)
        if (each.table and not about) or (trial.result is Result.READ_FAILS and each.name in _UNREAD):
            continue
        told = each.words & ((named | column) - table if about else named - table - column)
        if not each.name.endswith("_table"):
            told -= each.table
        points = 4 * len(told) + 2 * about
        points += 1 if points and each.schema else 0
        rank = (points, not each.table or bool(each.table & table))
        if points and rank >= score:
            best, score = each.label, rank
    return score[0], best


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """An operation or a statement outside of one: its words, those that name its table, whether it is of the schema."""

    label: str
    words: frozenset[str]
    table: frozenset[str] = frozenset()
    name: str = ""
    schema: bool


def _candidates(recorded: RecordedRevision) -> Iterator[_Candidate]:
    """Yield every operation, then every statement that the revision sent by itself."""
    for index, each in enumerate(recorded.operations):
        sent = [s for s in recorded.statements if s.operation == index]
        text = " ".join((each.table or "", each.subject or "", *(v for _, v in each.details), *(s.sql for s in sent)))
        yield _Candidate(
            label=_label(each, sent[-1].sql if sent and each.name == "execute" else ""),
            words=frozenset(_WORD.findall(text)),
            table=frozenset(_WORD.findall(each.table or "")),
            name=each.name,
            schema=any(s.kind is StatementKind.SCHEMA for s in sent) if sent else True,
        )
    for statement in recorded.statements:
        if statement.operation is None and statement.origin is Origin.REVISION:
            yield _Candidate(
                label=_short(statement),
                words=frozenset(_WORD.findall(statement.sql)),
                schema=statement.kind is StatementKind.SCHEMA,
            )


def _label(each: Operation, sql: str) -> str:
    place = f" at line {each.place.line}" if each.place else ""
    if sql:
        return f"execute {_cut(sql)}{place}"
    where = ".".join(filter(None, (each.table, each.subject)))
    return f"{each.name} {where}{place}" if where else f"{each.name}{place}"


def _short(statement: Statement) -> str:
    place = f" at line {statement.place.line}" if statement.place else ""
    return f"{_cut(statement.sql)}{place}"


def _cut(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
