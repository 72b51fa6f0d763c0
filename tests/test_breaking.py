"""What breaks versions is told once for all of them that it breaks alike."""

from __future__ import annotations

from handrail.model.matrix import Cell, Matrix, Result, Row, Trial, Trouble, breaking

_LIMIT = Trial(result=Result.WRITE_FAILS, table="users", column="email", message="value too long")
_GONE = Trial(result=Result.READ_FAILS, table="users", column="name", message="no such column")


def _cell(version: str, revision: str, *trials: Trial) -> Cell:
    troubles = tuple(Trouble(trial=trial, since="r1", operation="alter_column") for trial in trials)
    return Cell(version=version, revision=revision, result=trials[0].result, troubles=troubles)


def test_versions_that_break_alike_share_a_line_and_each_stands_in_it_once() -> None:
    rows = [
        Row(revision=revision, title="", cells=(_cell("v1", revision, _LIMIT), _cell("v2", revision, _LIMIT)))
        for revision in ("r1", "r2")
    ]
    assert breaking(Matrix(versions=("v1", "v2"), rows=tuple(rows))) == (
        "v1, v2: write fails on users.email since r1 (alter_column): value too long",
    )


def test_another_reason_is_another_line() -> None:
    row = Row(revision="r1", title="", cells=(_cell("v1", "r1", _LIMIT), _cell("v2", "r1", _GONE)))
    assert [line.partition(":")[0] for line in breaking(Matrix(versions=("v1", "v2"), rows=(row,)))] == ["v1", "v2"]
