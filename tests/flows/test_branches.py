"""Histories with branches, merges and depends_on: the version table holds what Alembic itself would write."""

from __future__ import annotations

import subprocess

import pytest
from workbench import Workbench

_STEP = '"""Step {name}."""\n\nfrom alembic import op\nimport sqlalchemy as sa\n\nrevision = {name!r}\n'
_HEADER = "down_revision = {parent!r}\ndepends_on = {depends_on!r}\nbranch_labels = {labels!r}\n"
_BODIES = (
    '\n\ndef upgrade():\n    op.create_table("t_{name}", sa.Column("id", sa.Integer))\n'
    '\n\ndef downgrade():\n    op.drop_table("t_{name}")\n'
)


class Branches:
    """A project whose revisions each make a table of their own name."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def revision(
        self,
        name: str,
        parent: str | tuple[str, ...] | None,
        depends_on: str | None = None,
        labels: str | None = None,
    ) -> None:
        text = (_STEP + _HEADER + _BODIES).format(name=name, parent=parent, depends_on=depends_on, labels=labels)
        (self.bench.versions / f"{name}_step.py").write_text(text)

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed."""
        done = self.bench.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done

    def assert_at(self, *heads: str, tables: str) -> None:
        """The version table holds those rows, and the tables of those revisions are there, no others."""
        assert self.bench.rows("select version_num from alembic_version order by 1") == [(head,) for head in heads]
        names = "sqlite_master where type = 'table'" if self.bench.url.startswith("sqlite") else "pg_tables"
        column = "name" if self.bench.url.startswith("sqlite") else "tablename"
        found = {name for (name,) in self.bench.rows(f"select {column} from {names}")}
        assert {name for name in found if name.startswith("t_")} == {f"t_{name}" for name in tables.split()}
        latest = self.bench.json("log")["entries"][0]
        assert latest["heads_after"] == list(heads)


@pytest.fixture
def fork(bench: Workbench) -> Branches:
    """r1, and two that follow it: r2 and r3."""
    branches = Branches(bench)
    branches.revision("r1", None)
    branches.revision("r2", "r1")
    branches.revision("r3", "r1")
    return branches


@pytest.fixture
def dependent(bench: Workbench) -> Branches:
    """Two bases: a1 and a2 after it; b1, which depends on a1 by its label, and b2 after it."""
    branches = Branches(bench)
    branches.revision("a1", None, labels="alpha")
    branches.revision("a2", "a1")
    branches.revision("b1", None, depends_on="alpha", labels="beta")
    branches.revision("b2", "b1")
    return branches


def test_rolling_two_branches_back_to_where_they_part_leaves_the_database_there(fork: Branches) -> None:
    fork.done("apply", "heads", "--yes")
    fork.assert_at("r2", "r3", tables="r1 r2 r3")
    back = fork.done("rollback", "r1", "--yes")
    assert "back at r1" in back.stdout
    fork.assert_at("r1", tables="r1")
    fork.done("apply", "heads", "--yes", "--verify", "--verify-after")
    fork.assert_at("r2", "r3", tables="r1 r2 r3")


def test_one_branch_is_rolled_back_alone(fork: Branches) -> None:
    fork.done("apply", "r2", "--yes")
    fork.done("apply", "r3", "--yes")
    fork.done("rollback", "--yes")
    fork.assert_at("r2", tables="r1 r2")


def test_a_rollback_without_target_does_not_undo_what_was_applied_behind_its_back(fork: Branches) -> None:
    fork.done("apply", "r2", "--yes")
    fork.done("apply", "r3", "--yes")
    fork.revision("r4", "r2")
    fork.bench.execute("update alembic_version set version_num = 'r4' where version_num = 'r2'")
    back = fork.bench.run("rollback", "--yes")
    assert back.returncode == 2
    assert "r4 came to be applied since the last run that the log tells of" in back.stderr
    assert "handrail rollback TARGET" in back.stderr


def test_a_merge_makes_one_row_of_two_and_its_downgrade_two_of_one(fork: Branches) -> None:
    fork.revision("r4", ("r2", "r3"))
    fork.revision("r5", "r4")
    fork.done("apply", "--yes", "--verify-after")
    fork.assert_at("r5", tables="r1 r2 r3 r4 r5")
    fork.done("rollback", "r4", "--yes")
    back = fork.done("rollback", "r2", "--yes")
    assert "back at r2, r3" in back.stdout
    fork.assert_at("r2", "r3", tables="r1 r2 r3")
    fork.done("apply", "--yes")
    fork.assert_at("r5", tables="r1 r2 r3 r4 r5")


def test_a_release_that_merged_two_branches_is_rolled_back_to_both(fork: Branches) -> None:
    fork.done("apply", "heads", "--yes")
    fork.revision("r4", ("r2", "r3"))
    fork.done("apply", "--yes")
    fork.done("rollback", "--yes")
    fork.assert_at("r2", "r3", tables="r1 r2 r3")


def test_a_dependency_has_no_row_beside_what_depends_on_it(dependent: Branches) -> None:
    dependent.done("apply", "b1", "--yes")
    dependent.assert_at("b1", tables="a1 b1")
    dependent.done("verify", "--at", "b1")
    dependent.done("apply", "heads", "--yes", "--verify", "--verify-after")
    dependent.assert_at("a2", "b2", tables="a1 a2 b1 b2")
    dependent.done("verify")
    dependent.done("rollback", "b1", "--yes")
    dependent.assert_at("a2", "b1", tables="a1 a2 b1")


def test_a_head_that_another_branch_depends_on_is_not_expected_as_a_row(dependent: Branches) -> None:
    (dependent.bench.versions / "a2_step.py").unlink()
    dependent.done("apply", "heads", "--yes", "--verify-after")
    dependent.assert_at("b2", tables="a1 b1 b2")
    dependent.done("verify")
    assert "nothing to do" in dependent.done("apply", "heads", "--yes").stdout


def test_what_depends_on_another_branch_is_rolled_back_without_it(dependent: Branches) -> None:
    dependent.done("apply", "a1", "--yes")
    dependent.done("apply", "b2", "--yes")
    dependent.done("rollback", "--yes")
    dependent.assert_at("a1", tables="a1")


def test_an_independent_branch_is_rolled_back_alone(dependent: Branches) -> None:
    dependent.done("apply", "a2", "--yes")
    dependent.done("apply", "b1", "--yes")
    dependent.done("rollback", "--yes")
    dependent.assert_at("a2", tables="a1 a2")


@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_an_interrupted_run_over_branches_is_resumed_to_its_end(dependent: Branches, stopped_after: int) -> None:
    dependent.bench.die_at("Committed", stopped_after, "apply", "heads", "--yes")
    dependent.done("resume", "--yes")
    dependent.assert_at("a2", "b2", tables="a1 a2 b1 b2")
    assert "nothing to resume" in dependent.done("resume", "--yes").stdout


def test_a_run_that_died_after_its_last_revision_has_nothing_to_resume(dependent: Branches) -> None:
    dependent.bench.die_at("Committed", 2, "apply", "b1", "--yes")
    looked = dependent.done("status")
    assert "resume" not in looked.stdout
    assert "nothing to resume" in dependent.done("resume", "--yes").stdout


def test_an_interrupted_rollback_over_branches_is_resumed_to_its_end(fork: Branches) -> None:
    fork.done("apply", "heads", "--yes")
    fork.bench.die_at("Committed", 1, "rollback", "r1", "--yes")
    fork.done("resume", "--yes")
    fork.assert_at("r1", tables="r1")
