"""A run that waited for the lease while the database went on: it does what is left of its own plan, nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from standing import wait_until
from workbench import Workbench

_TABLE = 'op.create_table("t_{name}", sa.Column("id", sa.Integer))'
_DROP = 'op.drop_table("t_{name}")'
# Not while the revision is read: then nothing is executed.
_WAITS = """
import pathlib, time
if op.get_bind().engine.pool.__class__.__name__ == "NullPool":
    pathlib.Path("here").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
"""


def deploy(bench: Workbench, *names: str, waits: bool = False) -> None:
    """One release of these revisions, in one chain; `waits` makes the downgrade of its last one wait."""
    for name in names:
        number = int(name[1:])
        waiting = _WAITS if waits and name == names[-1] else ""
        parent = f"c{number - 1}" if number > 1 else None
        bench.revision(name, parent, _TABLE.format(name=name), waiting + _DROP.format(name=name))
    done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr


@contextmanager
def standing_in(bench: Workbench, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run that stands in the middle of a revision, until the test says go."""
    run = bench.start(*arguments)
    try:
        wait_until((bench.root / "here").exists, "the revision waits")
        yield run
    finally:
        run.kill()
        with suppress(ValueError):  # it was heard out already
            run.communicate()


def waiting_for_it(bench: Workbench, *arguments: str) -> subprocess.Popen[str]:
    """Start a run and return it when it waits for the lease."""
    run = bench.start(*arguments)
    assert run.stderr is not None
    told = []
    while "waiting for the lease" not in "".join(told):
        line = run.stderr.readline()
        assert line, f"it ended: {told}"
        told.append(line)
    return run


def ends(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = run.communicate(timeout=60)
    return run.returncode, out, err


def at(bench: Workbench) -> list[str]:
    return [row for (row,) in bench.rows("select version_num from alembic_version order by 1")]


@pytest.mark.parametrize("target", [(), ("-2",)], ids=["implicit", "relative"])
def test_two_rollbacks_at_once_undo_one_release(bench: Workbench, target: tuple[str, ...]) -> None:
    deploy(bench, "c1", "c2")
    deploy(bench, "c3", "c4")
    deploy(bench, "c5", "c6", waits=True)
    with standing_in(bench, "rollback", *target, "--yes") as first:
        second = waiting_for_it(bench, "rollback", *target, "--yes")
        (bench.root / "go").touch()
        status, _, told = ends(first)
        assert status == 0, told
        status, out, told = ends(second)
    assert status == 0, told
    assert at(bench) == ["c4"]
    assert "nothing to do: main is at c4" in out


def test_a_rollback_whose_goal_was_undone_meanwhile_is_refused(bench: Workbench) -> None:
    deploy(bench, "c1", "c2")
    deploy(bench, "c3", "c4", waits=True)
    with standing_in(bench, "rollback", "c1", "--yes") as first:
        second = waiting_for_it(bench, "rollback", "c3", "--yes")
        (bench.root / "go").touch()
        status, _, told = ends(first)
        assert status == 0, told
        status, _, told = ends(second)
    assert status == 2, told
    assert "it stands at c1, this run was to go from c4 to c3" in told
    assert at(bench) == ["c1"]


def test_a_rollback_that_waited_for_a_shorter_one_goes_the_rest_of_its_way(bench: Workbench) -> None:
    deploy(bench, "c1", "c2")
    deploy(bench, "c3", "c4", waits=True)
    with standing_in(bench, "rollback", "c3", "--yes") as first:
        second = waiting_for_it(bench, "rollback", "c1", "--yes")
        (bench.root / "go").touch()
        status, _, told = ends(first)
        assert status == 0, told
        status, out, told = ends(second)
    assert status == 0, told
    assert at(bench) == ["c1"]
    assert "back at c1" in out


def test_an_apply_that_waited_for_a_rollback_does_not_bring_back_what_it_undid(bench: Workbench) -> None:
    deploy(bench, "c1", "c2")
    deploy(bench, "c3", "c4", waits=True)
    bench.revision("c5", "c4", _TABLE.format(name="c5"))
    with standing_in(bench, "rollback", "c2", "--yes") as first:
        second = waiting_for_it(bench, "apply", "+1", "--yes")
        (bench.root / "go").touch()
        status, _, told = ends(first)
        assert status == 0, told
        status, _, told = ends(second)
    assert status == 2, told
    assert "the database was changed while this run waited; nothing was touched" in told
    assert "it stands at c2" in told
    assert at(bench) == ["c2"]


def test_the_checks_after_a_run_that_waited_are_made_where_the_database_is(bench: Workbench) -> None:
    deploy(bench, "c1")
    bench.revision("c2", "c1", _WAITS + _TABLE.format(name="c2"))
    bench.revision("c3", "c2", _TABLE.format(name="c3"))
    with standing_in(bench, "apply", "--yes") as first:
        second = waiting_for_it(bench, "apply", "c2", "--yes", "--verify-after", "--format", "json")
        (bench.root / "go").touch()
        status, _, told = ends(first)
        assert status == 0, told
        status, out, told = ends(second)
    assert status == 0, told
    assert at(bench) == ["c3"]
    assert '"goal":["c3"]' in out.replace(" ", "").replace("\n", "")
