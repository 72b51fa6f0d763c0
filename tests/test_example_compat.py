"""The matrix of the reference application: which of its versions survives which of its revisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from htstatus import HEAD, V1, V2, V3, Example

#: Revision by revision; '.' where the two never meet. Revisions 2 and 3 belong to no version of their own.
_EXPECTED = {
    "1d7c35f0a2b8": ("works", ".", "."),
    "3e41f0c9d6a7": ("delete fails", ".", "."),
    "4f8b62d1e953": ("delete fails", ".", "."),
    "59c0d7e8b4f1": ("delete fails", "works", "."),
    "6a2e94b7c015": ("delete fails", "delete fails", "."),
    "7bd5a30f8e26": ("delete fails", "delete fails", "."),
    HEAD: ("delete fails", "delete fails", "works"),
}


@pytest.mark.slow
def test_every_cell_of_the_example_is_as_its_table_says(tmp_path: Path, postgresql_url: str) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)
    for name, revision in (("v1", V1), ("v2", V2), ("v3", V3)):
        example.run(f"handrail versions register {name} --models versions.{name}.models:db --at {revision}")

    done = example.try_to("handrail compat -e development --format json")

    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)["matrix"]["rows"]
    found = {row["revision"]: tuple(c["result"] if c["judged"] else "." for c in row["cells"]) for row in rows}
    assert {revision: found[revision] for revision in _EXPECTED} == _EXPECTED
    [_, broken, *_] = rows
    [trouble] = broken["cells"][0]["troubles"]
    assert trouble["operation"] == "create_table teams at line 19"
    assert 'foreign key constraint "fk_teams_user_id_users"' in trouble["trial"]["message"]
