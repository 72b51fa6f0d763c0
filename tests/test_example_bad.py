"""Each chain of mistakes of the reference application is told as its `expected.json` says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from htstatus import SOURCE, Example

BAD = SOURCE / "bad"
EXPECTED = json.loads((BAD / "expected.json").read_text())


def test_every_chain_has_an_expectation_and_a_line_in_the_readme() -> None:
    chains = {path.parent.name for path in BAD.glob("*/pyproject.toml")}
    assert set(EXPECTED) == chains
    assert set(re.findall(r"^\| `(\w+)`", (BAD / "README.md").read_text(), re.MULTILINE)) == chains


@pytest.mark.slow
@pytest.mark.parametrize("chain", EXPECTED)
def test_a_chain_is_told_as_expected(tmp_path: Path, postgresql_url: str, chain: str) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)
    for step in EXPECTED[chain]:
        if "sql" in step:
            execute(postgresql_url, step["sql"])
            continue
        done = example.try_to(f"cd bad/{chain} && {step['run']}")
        told = f"$ {step['run']}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == step["exit"], told
        for sentence in step["says"]:
            assert sentence in told


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
