"""The matrix held against life: processes of several releases read and write while `handrail apply` changes the schema.

Arrivals are scheduled beforehand at a fixed rate, nothing is tried twice, and each error is counted by its class.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from htstatus import (
    DEADLINE_S,
    FLAG_CONTRACTED,
    FORM_CONTRACTED,
    HEAD,
    KIND_BY_NAME,
    SOURCE,
    USERS_SPLIT,
    V3,
    V4,
    V5,
    V7,
    Example,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_RATE_PER_S = 20
_EXPECTED = json.loads((SOURCE / "expected-matrix.json").read_text())
Errors = Mapping[str, int]


class Release:
    """One release at work, a process of its own."""

    def __init__(self, version: str, process: subprocess.Popen[str]) -> None:
        self.version = version
        self._process = process

    def end(self) -> tuple[int, Errors]:
        """End it; return how many requests went well, and the errors by class."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=DEADLINE_S)
        figures = json.loads(output.splitlines()[-1])
        return figures["ok"], figures["errors"]


@contextmanager
def at_work(example: Example, version: str) -> Iterator[Release]:
    command = [sys.executable, "traffic.py", "--version", version, "--seconds", "240", "--rate", str(_RATE_PER_S)]
    with subprocess.Popen(
        command,
        cwd=example.folder,
        env=example.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == f"htstatus@{version} is running\n"
            yield Release(version, process)
        finally:
            process.kill()


def met(example: Example, versions: tuple[str, ...], target: str) -> dict[str, Errors]:
    """What each release met while the database went to `target`, and for two seconds after it got there."""
    with ExitStack() as stack:
        releases = [stack.enter_context(at_work(example, version)) for version in versions]
        said = example.run(f"handrail apply {target} -e development --yes")
        assert re.search(rf"development is at {target}", said), said
        example.run("sleep 2")
        ended = {release.version: release.end() for release in releases}
    assert all(ok > _RATE_PER_S for ok, _ in ended.values()), ended
    return {version: errors for version, (_, errors) in ended.items()}


@pytest.fixture
def filled(tmp_path: Path, postgresql_url: str) -> Example:
    """Rows with every planted fault, at the revision that v3 shipped with."""
    example = Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)
    example.run(f"uv run alembic upgrade {V3} && uv run python generate.py --size small")
    return example


def reads_and_writes(version: str, revision: str) -> bool:
    """Whether the matrix says so: traffic deletes nobody, and marks nobody twice."""
    return _EXPECTED[revision][version] in {"works", "delete fails"}


def test_three_releases_meet_no_error_while_a_column_is_renamed_by_expanding(filled: Example) -> None:
    versions = ("v1", "v2", "v3")
    assert all(reads_and_writes(version, V4) for version in versions)
    assert met(filled, versions, V4) == {"v1": {}, "v2": {}, "v3": {}}


def test_an_old_and_a_new_release_meet_no_error_while_a_type_is_changed_by_a_twin(filled: Example) -> None:
    filled.run(f"uv run alembic upgrade {V4}")
    assert met(filled, ("v3", "v4"), V5) == {"v3": {}, "v4": {}}
    unlike = "transfer_listed IS DISTINCT FROM (transfer_flag = 1) OR form IS DISTINCT FROM current_form"
    assert filled.query(f"SELECT count(*) FROM players WHERE {unlike}") == [(0,)]


def test_the_contraction_fails_the_release_that_the_matrix_says_and_no_other(filled: Example) -> None:
    filled.run(f"uv run alembic upgrade {V5}")
    assert not reads_and_writes("v3", FORM_CONTRACTED)
    errors = met(filled, ("v3", "v4", "v5"), FORM_CONTRACTED)
    assert (errors["v4"], errors["v5"]) == ({}, {})
    assert set(errors["v3"]) == {"UndefinedColumn"}


def test_the_change_to_an_enum_fails_those_that_write_codes(filled: Example) -> None:
    filled.run(f"uv run alembic upgrade {FLAG_CONTRACTED}")
    assert not reads_and_writes("v5", KIND_BY_NAME)
    assert not reads_and_writes("v6", KIND_BY_NAME)
    errors = met(filled, ("v5", "v6"), KIND_BY_NAME)
    assert errors["v5"]
    assert errors["v6"]


def test_a_release_goes_on_while_its_table_becomes_a_view_and_with_the_next_one_while_an_index_is_built(
    filled: Example,
) -> None:
    filled.run(f"uv run alembic upgrade {V7}")
    assert met(filled, ("v7",), USERS_SPLIT) == {"v7": {}}
    assert met(filled, ("v7", "v8"), HEAD) == {"v7": {}, "v8": {}}
