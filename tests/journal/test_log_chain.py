"""The log in the target: what was changed, removed or cut off is noticed by `handrail log`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import Workbench

_LOG = {"postgresql": "handrail.log", "sqlite": "handrail_log"}


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Workbench:
    """A project whose three revisions are applied, on each engine."""
    bench = Workbench(tmp_path / "project", database_url)
    for number, parent in ((1, None), (2, "aaa1"), (3, "aaa2")):
        bench.revision(f"aaa{number}", parent, f'op.create_table("t{number}", sa.Column("id", sa.Integer))')
    assert bench.run("apply", "--yes").returncode == 0
    return bench


def _table(bench: Workbench) -> str:
    return _LOG[bench.url.partition(":")[0].partition("+")[0]]


def test_an_untouched_log_is_sound(bench: Workbench) -> None:
    done = bench.run("log")
    assert done.returncode == 0
    assert done.stdout.endswith("3 entries, chain sound\n")


TAMPERING: dict[str, tuple[Callable[[str], str], str]] = {
    "a changed person": (lambda log: f"update {log} set who = 'nobody' where revision = 'aaa2'", "the entry of aaa2"),
    "a changed time": (lambda log: f"update {log} set at = '2020' where revision = 'aaa1'", "the entry of aaa1"),
    "a changed source": (
        lambda log: (
            f"update {log} set source = (select source from {log} where revision = 'aaa1') where revision = 'aaa3'"
        ),
        "the entry of aaa3",
    ),
    "a removed row": (lambda log: f"delete from {log} where revision = 'aaa2'", "the entry of aaa3"),
    "a removed beginning": (lambda log: f"delete from {log} where revision = 'aaa1'", "the entry of aaa2"),
    "a cut end": (lambda log: f"delete from {log} where revision = 'aaa3'", "missing at the end"),
    "everything gone": (lambda log: f"delete from {log}", "missing at the end"),
    "bytes that are no source": (
        lambda log: (
            f"update {log} set source = cast('x' as {'bytea' if '.' in log else 'blob'}) where revision = 'aaa2'"
        ),
        "the entry of aaa2",
    ),
    "a field that cannot be read": (
        lambda log: f"update {log} set heads_after = 'x' where revision = 'aaa2'",
        "the entry of aaa2",
    ),
}


@pytest.mark.parametrize("case", TAMPERING)
def test_a_log_that_was_tampered_with_is_noticed(case: str, bench: Workbench) -> None:
    spoil, words = TAMPERING[case]
    bench.execute(spoil(_table(bench)))
    done = bench.run("log")
    assert done.returncode == 1, done.stderr
    assert "the chain is broken" in done.stdout
    assert words in done.stdout
    document = bench.json("log")
    assert words in document["broken"]


def test_the_newest_entries_come_first_and_can_be_limited(bench: Workbench) -> None:
    assert [e["revision"] for e in bench.json("log", "-n", "2")["entries"]] == ["aaa3", "aaa2"]


def test_a_database_without_a_log_has_an_empty_one(tmp_path: Path, sqlite_url: str) -> None:
    bench = Workbench(tmp_path / "project", sqlite_url)
    done = bench.run("log")
    assert (done.returncode, done.stdout) == (0, "0 entries, chain sound\n")
