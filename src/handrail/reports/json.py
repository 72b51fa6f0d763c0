"""One JSON document with a `schema` number: a value in, text out."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import HandrailError
from handrail.model.plan import Plan, Step

if TYPE_CHECKING:
    from handrail.model.backup import Manifest

SCHEMA = 1


def document(kind: str, **content: object) -> str:
    """Return the document of that kind; dataclasses become objects, times RFC 3339 in UTC."""
    return json.dumps({"schema": SCHEMA, "kind": kind, **{k: _plain(v) for k, v in content.items()}}, indent=2)


def error(problem: HandrailError) -> dict[str, object]:
    """Return the three parts of an error, its exit status, and where a run was begun, what to type for its report."""
    parts = {"what": problem.what, "why": problem.why, "fix": problem.fix, "exit": int(problem.exit)}
    return parts | ({"report": problem.report} if problem.report else {})


def plan(value: Plan) -> dict[str, object]:
    """Return a plan without the sources of its revisions."""
    return {
        "environment": value.environment,
        "target": value.target,
        "start": value.start,
        "goal": value.goal,
        "digest": value.digest,
        "steps": [_step(step) for step in value.steps],
        "findings": value.findings,
        "counted": value.counted,
    }


def backup(value: Manifest) -> dict[str, object]:
    """Return what is known of a backup, of its rows only how many there are."""
    image = value.image
    rows = {t.name: t.rows for t in image.rows.tables} if image else {}
    told = {name: item for name, item in _dataclass(value).items() if name not in {"image", "schema"}}
    return {**told, "rows": rows}


def _step(step: Step) -> dict[str, object]:
    return {
        "revision": step.revision.id,
        "title": step.revision.title,
        "file": step.revision.path,
        "file_digest": step.revision.digest,
        "direction": step.direction,
        "reading": step.recorded.reading,
        "reason": step.recorded.reason,
        "transactions": step.recorded.transactions,
        "operations": step.recorded.operations,
        "statements": [
            {**_dataclass(statement), "effects": effects}
            for statement, effects in zip(step.recorded.statements, step.effects, strict=True)
        ],
    }


def _plain(value: object) -> object:
    """Return the value in JSON's own types."""
    plain: object = value
    match value:
        case HandrailError():
            plain = error(value)
        case Plan():
            plain = _plain(plan(value))
        case Enum():
            plain = value.name.lower() if isinstance(value.value, int) else value.value
        case datetime():
            plain = value.isoformat().replace("+00:00", "Z")
        case Path():
            plain = str(value)
        case dict():
            plain = {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            plain = [_plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            plain = {name: _plain(item) for name, item in _dataclass(value).items()}
    return plain


def _dataclass(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in _names(type(value))}  # type: ignore[arg-type]  # a class is hashable


@cache
def _names(kind: type) -> tuple[str, ...]:
    hidden = {"code", "source"}  # a revision's text; its digest and path tell it
    return tuple(f.name for f in fields(kind) if f.name not in hidden)
