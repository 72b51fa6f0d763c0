from __future__ import annotations

from workbench import Workbench

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))'


def test_apply_brings_the_database_to_head_and_logs_each_revision(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS, 'op.drop_table("users")')
    bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("email", sa.String(50)))')
    done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa2",)]
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa2", "aaa1"]
    assert log["broken"] == ""


def test_apply_with_nothing_pending_writes_nothing(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.run("apply", "--yes")
    before = len(bench.json("log")["entries"])
    again = bench.run("apply", "--yes")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    assert len(bench.json("log")["entries"]) == before


def test_a_failing_revision_leaves_the_database_as_it_was_before_it(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("email", sa.String(50)))\n1 / 0')
    done = bench.run("apply", "--yes")
    assert done.returncode == 1
    assert "aaa2 failed; the database is as it was before this revision" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_a_failing_revision_tells_what_the_run_committed_before_it_and_apply_goes_on(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("email", sa.String(50)))')
    bench.revision("aaa3", "aaa2", "1 / 0")
    done = bench.run("apply", "--yes")
    assert done.returncode == 1
    assert "as it was before this revision, at aaa2; before it this run committed aaa1, aaa2" in done.stderr
    assert "then: handrail apply -e main" in done.stderr
    bench.revision("aaa3", "aaa2", "pass")
    assert bench.run("apply", "--yes").returncode == 0
    assert bench.rows("select version_num from alembic_version") == [("aaa3",)]


def test_rollback_goes_back_to_where_the_last_run_began(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS, 'op.drop_table("users")')
    bench.run("apply", "--yes")
    bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))', 'op.drop_table("b")')
    bench.revision("aaa3", "aaa2", 'op.create_table("c", sa.Column("id", sa.Integer))', 'op.drop_table("c")')
    bench.run("apply", "--yes")
    back = bench.run("rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_rollback_runs_the_downgrade_that_was_deployed_also_when_the_file_is_gone(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS, 'op.drop_table("users")')
    path = bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))', 'op.drop_table("b")')
    bench.run("apply", "--yes")
    path.unlink()
    back = bench.run("rollback", "aaa1", "--yes")
    assert back.returncode == 0, back.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_a_failing_downgrade_is_a_failed_rollback(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS, "raise RuntimeError('no way back')")
    bench.run("apply", "--yes")
    back = bench.run("rollback", "--yes")
    assert back.returncode == 11
    assert "no way back" in back.stderr


def test_a_protected_environment_wants_the_databases_name(pg_bench: Workbench) -> None:
    pg_bench.settings("protected = true")
    pg_bench.revision("aaa1", None, _USERS)
    name = pg_bench.rows("select current_database()")[0][0]
    silent = pg_bench.run("apply", "--yes")
    assert silent.returncode == 2
    assert f"--confirm {name}" in silent.stderr
    assert f"HANDRAIL_CONFIRM={name}" in silent.stderr
    assert pg_bench.run("apply", "--confirm", "other").returncode == 2
    assert pg_bench.run("apply", env={"HANDRAIL_CONFIRM": name}).returncode == 0


def test_a_closed_window_stops_before_anything_is_run(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.settings('requires = ["window"]')
    done = bench.run("apply", "--yes")
    assert done.returncode == 3
    assert "the environment states no window" in done.stderr
    bench.settings('requires = ["window"]\nwindow = "Mon-Sun 00:00-23:59"')
    assert bench.run("apply", "--yes").returncode in {0, 3}  # 3 in the last minute of the day


def test_verify_is_clean_after_apply_and_names_a_column_added_by_hand(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.run("apply", "--yes")
    assert bench.run("verify").returncode == 0
    bench.execute("alter table users add column smuggled integer")
    found = bench.run("verify")
    assert found.returncode == 4
    assert "column users.smuggled is not expected" in found.stdout


def test_apply_verify_stops_on_drift_before_anything_is_touched(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.run("apply", "--yes")
    bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    bench.execute("alter table users add column smuggled integer")
    done = bench.run("apply", "--verify", "--yes")
    assert done.returncode == 4
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_apply_verify_after_tells_when_the_result_is_not_what_the_revisions_make(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.run("apply", "--yes")
    bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    bench.execute("alter table users add column smuggled integer")
    done = bench.run("apply", "--verify-after", "--yes")
    assert done.returncode == 10
    assert bench.rows("select version_num from alembic_version") == [("aaa2",)]


def test_another_database_behind_the_same_environment_is_refused_until_it_is_bound_again(
    pg_bench: Workbench, sqlite_url: str
) -> None:
    pg_bench.revision("aaa1", None, _USERS)
    pg_bench.run("apply", "--yes")
    pg_bench.url = sqlite_url
    refused = pg_bench.run("apply", "--yes")
    assert refused.returncode == 2
    assert "handrail status --rebind main" in refused.stderr
    assert pg_bench.run("status", "--rebind", "main").returncode == 0
    assert pg_bench.run("apply", "--yes").returncode == 0
