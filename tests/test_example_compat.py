"""The matrix of the reference application: which of its versions survives which of its revisions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from htstatus import SHIPPED, SOURCE, Example

from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server

#: Written by reasoning from the table of the releases in the example's README, never from what `compat` says.
_EXPECTED = json.loads((SOURCE / "expected-matrix.json").read_text())


#: The first cell that each breaking change spoils, and the operation whose absence would heal it.
_CAUSES = {
    ("3e41f0c9d6a7", "v1"): {"create_table teams"},
    ("6a2e94b7c015", "v2"): {"create_table squad_groups", "create_table player_marks"},
    ("e42c17a3f59b", "v3"): {"drop_column players.form"},
    ("f53d28b406ac", "v4"): {"drop_column matches.weather"},
    ("39716cf84ae0", "v6"): {"alter_column matches.type"},
    ("6ca49f2b7d13", "v7"): {"create_index player_marks.uq_player_marks_user_id_player_id"},
}
Cells = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, handrail_postgresql: Server) -> Iterator[Cells]:
    """Every cell as it was executed, by revision and version."""
    with fresh_database(handrail_postgresql) as url:
        example = Example(tmp_path_factory.mktemp("matrix") / "htstatus", DATABASE_URL=url)
        for name, revision in SHIPPED.items():
            example.run(f"handrail versions register {name} --models versions.{name}.models:db --at {revision}")
        done = example.try_to("handrail compat -e development --all --format json")
        assert done.returncode == 1, done.stderr
        rows = json.loads(done.stdout)["matrix"]["rows"]
        yield {(row["revision"], cell["version"]): cell for row in rows for cell in row["cells"]}


def test_the_expected_matrix_has_a_cell_for_each_version_and_revision() -> None:
    files = {path.name.split("_")[0] for path in (SOURCE / "migrations" / "versions").glob("*.py")}
    assert set(_EXPECTED) == files
    assert {tuple(cells) for cells in _EXPECTED.values()} == {tuple(SHIPPED)}
    assert all(_EXPECTED[revision][name] == "works" for name, revision in SHIPPED.items())


@pytest.mark.slow
def test_every_cell_of_the_example_is_as_expected(cells: Cells) -> None:
    found = {name: cell["result"] for name, cell in cells.items()}
    expected = {(revision, name): each for revision, row in _EXPECTED.items() for name, each in row.items()}
    assert found == expected


@pytest.mark.slow
def test_a_cell_names_the_operation_that_broke_it(cells: Cells) -> None:
    said = {
        name: {trouble["operation"].rpartition(" at ")[0] for trouble in cells[name]["troubles"]} for name in _CAUSES
    }
    assert said == _CAUSES


@pytest.mark.slow
def test_a_cell_carries_what_the_server_said(cells: Cells) -> None:
    [trouble] = cells["3e41f0c9d6a7", "v1"]["troubles"]
    assert 'foreign key constraint "fk_teams_user_id_users"' in trouble["trial"]["message"]
