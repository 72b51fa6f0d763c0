"""What a function of a revision touches, by name, and whether a text speaks of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from handrail.model import action as act
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStep

_TEMPORARY = "_alembic_tmp_"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
#: Shorter words are left as they are: `ies`, `bus`.
_LONG = 4


def does_nothing(step: ReviewedStep | None) -> bool:
    """Return whether all of that function was read, and it does nothing."""
    return step is not None and step.read and not step.operations and not step.statements


def only_joins(revision: ReviewedRevision) -> bool:
    """Return whether the revision only joins branches, or is an empty beginning: there is nothing to tell of it."""
    return len(revision.revision.parents) != 1 and does_nothing(revision.upgrade)


@lru_cache(maxsize=2)  # several rules ask, one after the other
def tables(step: ReviewedStep) -> frozenset[str]:
    """Return the tables that it alters, makes, drops or writes, without their schemas; '' is never among them."""
    named = {operation.table or "" for operation in step.operations}
    for statement, action in step.actions():
        match action:
            case act.RenameTable(table=table, new_name=new):
                named |= {table, new}
            case act.DropIndex(name=name, table="") | act.RenameIndex(name=name):
                owner = statement.before.table_of_index(name)
                named.add(owner.name if owner else "")
            case act.CreateObject(reads=reads, table=table):
                named |= {*reads, table}
            case _:
                named.add(getattr(action, "table", ""))
    plain = {bare(name).rpartition(".")[2].removeprefix(_TEMPORARY) for name in named}
    return frozenset(plain - {""})


def referred(step: ReviewedStep) -> frozenset[str]:
    """Return the tables, without their schemas, that foreign keys it makes point at."""
    found: set[str] = set()
    for _, action in step.actions():
        match action:
            case act.CreateTable(constraints=made) | act.AddColumn(constraints=made):
                found |= {constraint.referenced_table for constraint in made}
            case act.AddConstraint(constraint=constraint):
                found.add(constraint.referenced_table)
    return frozenset(bare(name).rpartition(".")[2] for name in found - {""})


@lru_cache(maxsize=2)  # see tables
def names(step: ReviewedStep) -> frozenset[str]:
    """Return the names of all that it touches: tables, columns, constraints, indexes, types, views."""
    found = set(tables(step)) | {operation.subject or "" for operation in step.operations}
    for statement, action in step.actions():
        found.update(_inside(action))
        if isinstance(action, act.Other):
            found.update(_WORD.findall(statement.statement.sql))
    return frozenset(found - {""})


def _inside(action: act.Action) -> Iterator[str]:
    match action:
        case act.CreateTable(columns=columns):
            yield from (column.name for column in columns)
        case act.AddColumn(column=column):
            yield column.name
        case act.AddConstraint(constraint=constraint):
            yield from (constraint.name, *constraint.columns)
        case act.CreateIndex(index=index):
            yield from (index.name, *index.columns)
        case act.WriteRows(columns=written):
            yield from written
        case _:
            for field in ("column", "name", "new_name"):
                value = getattr(action, field, "")
                if isinstance(value, str):
                    yield value


@lru_cache(maxsize=256)  # the same names, in revision after revision
def words(text: str) -> frozenset[str]:
    """Return the words of a text or a name, in lower case and without an s of the plural."""
    return frozenset(_singular(word.lower()) for word in _WORD.findall(_CAMEL.sub(" ", text)))


def speaks_of(text: str, things: frozenset[str]) -> bool:
    """Return whether a word of the text is a word of one of these names."""
    told = words(text)
    joined = re.sub(r"[\W_]+", "", text.lower())
    return any(told & words(name) or _runs_through(name, joined) for name in things)


def _runs_through(name: str, joined: str) -> bool:
    """Return whether a name, written in one word, is in the text: `playerskill` for player_skill."""
    plain = re.sub(r"[\W_]+", "", name.lower())
    return len(plain) >= _LONG and plain in joined


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > _LONG:
        return f"{word[:-3]}y"
    if re.search(r"(?:s|x|z|ch|sh)es$", word) and len(word) > _LONG:
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
