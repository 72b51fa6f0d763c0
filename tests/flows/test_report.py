"""A report tells what happened in a run, to its end, from the journal alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from load import DEADLINE_S, holding, until
from workbench import Workbench

from handrail.engines.base import Purpose, for_url

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))'
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_FOR_REAL = 'type(op.get_bind().connection.dbapi_connection).__module__.startswith("psycopg")'


def report(bench: Workbench, *arguments: str) -> dict[str, Any]:
    document = bench.json("report", *arguments)
    assert (document["schema"], document["kind"]) == (1, "report")
    told: dict[str, Any] = document["report"]
    return told


def runs(bench: Workbench) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = bench.json("report", "--list")["runs"]
    return listed


def hear(process: subprocess.Popen[str], words: str) -> None:
    """Read what a running command tells on stderr up to those words."""
    assert process.stderr is not None
    assert any(words in line for line in process.stderr), words


def end(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=DEADLINE_S)
    return process.returncode


@pytest.fixture
def two(bench: Workbench) -> Workbench:
    """A project with two revisions, of which the second changes rows too."""
    bench.revision("aaa1", None, _USERS, 'op.drop_table("users")')
    rows = "op.execute(\"update users set name = 'canary' where id = 7\")"
    bench.revision("bbb2", "aaa1", f"{_EMAIL}\n{rows}", 'op.drop_column("users", "email")')
    return bench


def test_a_run_that_is_done_is_told_with_its_steps_statements_locks_and_log_entries(two: Workbench) -> None:
    assert two.run("apply", "--yes").returncode == 0
    told = report(two)
    assert (told["verdict"], told["headline"]) == ("pass", "2 revisions applied")
    assert told["standing"] == "main is at bbb2, where this run was to lead"
    assert told["heads"] == ["bbb2"]
    assert [(s["revision"], s["direction"], s["ending"]) for s in told["steps"]] == [
        ("aaa1", "upgrade", "committed"),
        ("bbb2", "upgrade", "committed"),
    ]
    (attempt,) = told["steps"][1]["attempts"]
    statements = [s for s in attempt["statements"] if s["ours"]]
    assert statements[0]["sql"].upper().startswith("ALTER TABLE USERS ADD COLUMN EMAIL")
    assert all(s["done"] and s["span"]["end_s"] >= s["span"]["start_s"] for s in statements)
    assert [s["locks"] for s in statements] == [s["locks"] for s in told["plan"]["steps"][1]["statements"] if s["ours"]]
    log = two.json("log")["entries"]
    assert [(s["log_hash"], s["log_follows"]) for s in reversed(told["steps"])] == [
        (e["hash"], e["prev_hash"]) for e in log
    ]


def test_the_moments_of_a_run_are_in_order(two: Workbench) -> None:
    two.run("apply", "--yes")
    told = report(two)
    moments = [told["lease"]["end_s"]]
    for step in told["steps"]:
        (attempt,) = step["attempts"]
        spans = [s["span"] for s in attempt["statements"]]
        moments += [attempt["span"]["start_s"], *(m for s in spans for m in (s["start_s"], s["end_s"]))]
        moments += [attempt["commit"]["start_s"], attempt["commit"]["end_s"]]
    assert all(early <= late + 0.002 for early, late in pairwise(moments)), moments
    assert moments[-1] <= told["length_s"]


def test_no_value_of_a_statement_is_kept_or_told(two: Workbench) -> None:
    two.run("apply", "--yes")
    for format_ in ("text", "json", "html"):
        done = two.run("report", "--format", format_)
        assert "where id = ?" in done.stdout.lower()
        assert "canary" not in done.stdout
    assert b"canary" not in (two.root / ".handrail" / "journal.db").read_bytes()


def test_nobody_waits_for_what_a_step_itself_creates(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, f"{_USERS}\n{_EMAIL}")
    pg_bench.revision("bbb2", "aaa1", 'op.add_column("users", sa.Column("phone", sa.String(50)))')
    pg_bench.run("apply", "--yes")
    first, second = report(pg_bench)["steps"]
    assert first["attempts"][0]["held"] == []
    (held,) = second["attempts"][0]["held"]
    assert held["start_s"] == second["attempts"][0]["statements"][0]["span"]["start_s"]
    assert held["end_s"] == second["attempts"][0]["span"]["end_s"]


def test_gates_are_told_as_they_were_judged(two: Workbench) -> None:
    hour = datetime.now(UTC).hour
    two.settings(f'requires = ["window"]\nwindow = "Mon-Sun {(hour + 12) % 24:02}:00-{(hour + 11) % 24:02}:00"')
    assert two.run("apply", "--yes").returncode == 0
    (gate,) = report(two)["gates"]
    assert (gate["name"], gate["verdict"]) == ("window", "pass")
    assert f"ok      window: {gate['reason']}" in two.run("report").stdout


def test_a_revision_that_fails_is_told_with_what_why_fix_and_where_the_database_stands(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.revision(
        "bbb2", "aaa1", f'op.execute("insert into users (id) values (1)")\nop.drop_table("nobody")\n{_EMAIL}'
    )
    bench.revision("ccc3", "bbb2", "pass")
    done = bench.run("apply", "--yes")
    assert done.returncode == 1
    told = report(bench)
    assert (told["verdict"], told["headline"]) == ("fail", "apply failed at bbb2")
    assert told["standing"] == "main is at aaa1, 1 of 3 steps committed; nothing is half applied"
    failure = told["failure"]
    assert f"handrail: {failure['what']}\n  why: {failure['why']}\n  fix: {failure['fix']}\n" in done.stderr
    assert failure["exit"] == 1
    assert [s["ending"] for s in told["steps"]] == ["committed", "rolled back", "not begun"]
    sent = told["steps"][1]["attempts"][0]["statements"]
    assert [s["done"] for s in sent] == [True, False]
    assert [a["command"] for a in told["next"]] == ["handrail status -e main", "handrail apply -e main"]


def test_a_wait_is_told_with_its_blocker(pg_bench: Workbench) -> None:
    pg_bench.execute("create table users (id integer primary key)")
    pg_bench.revision("aaa1", None, _EMAIL)
    with holding(pg_bench.url, "select 'canary' from users", application_name="night<report>") as holder:
        pid = holder.info.backend_pid
        process = pg_bench.start("apply", "--yes")
        hear(process, "waits, holding nothing")
    assert end(process) == 0
    (step,) = report(pg_bench)["steps"]
    (wait,) = step["waits"]
    assert wait["span"]["end_s"] > wait["span"]["start_s"]
    assert wait["span"]["end_s"] <= step["attempts"][0]["span"]["start_s"]
    (blocker,) = wait["blockers"]
    assert (blocker["pid"], blocker["application"]) == (pid, "night<report>")
    page = pg_bench.run("report", "--format", "html").stdout
    assert f"pid {pid} holds ACCESS SHARE on users" in page
    assert "night&lt;report&gt;" in page
    assert "night<report>" not in page


def test_an_attempt_that_missed_its_lock_is_told_and_then_the_one_that_went_through(
    pg_bench: Workbench, tmp_path: Path
) -> None:
    pg_bench.execute("create table users (id integer primary key)")
    meeting = (
        f"import pathlib, time\nmeeting = pathlib.Path({str(tmp_path)!r})\nif {_FOR_REAL}:\n"
        f'    meeting.joinpath("here").touch()\n    ends = time.monotonic() + {DEADLINE_S}\n'
        '    while not meeting.joinpath("go").exists() and time.monotonic() < ends:\n        time.sleep(0.01)\n'
    )
    pg_bench.revision("aaa1", None, f"{meeting}{_EMAIL}")
    process = pg_bench.start("apply", "--yes")
    until(tmp_path.joinpath("here").exists, "the meeting")
    with holding(pg_bench.url, "select 1 from users", application_name="batch"):
        tmp_path.joinpath("go").touch()
        hear(process, "lock timeout in attempt 1")
    assert end(process) == 0
    (step,) = report(pg_bench)["steps"]
    missed = step["attempts"][0]
    assert (missed["number"], missed["ending"], missed["why"]) == (1, "rolled back", "lock timeout")
    assert missed["blockers"][0]["application"] == "batch"
    assert (step["ending"], step["attempts"][-1]["ending"]) == ("committed", "committed")
    pause = step["waits"][0]
    assert pause["why"] == "pause before the next attempt"
    assert pause["span"]["start_s"] >= missed["span"]["end_s"]


def test_a_killed_run_is_told_as_not_known_until_it_is_resumed(two: Workbench) -> None:
    two.die_at("Committed", 1, "apply", "--yes")
    told = report(two)
    assert told["verdict"] == "unknown"
    assert told["headline"] == "apply did not tell its end: it is still at work, or was killed"
    assert told["standing"].startswith("where main stands is not known from here")
    assert [a["command"] for a in told["next"]] == ["handrail status -e main", "handrail resume -e main"]
    assert {s["ending"] for s in told["steps"]} == {"unknown"}
    assert len(told["plan"]["steps"]) == 2, "the plan is in the journal before the first step"
    assert two.run("resume", "--yes").returncode == 0
    resumed, killed = runs(two)
    assert (report(two)["run"]["id"], report(two)["headline"]) == (resumed["id"], "1 revision finished")
    later = report(two, killed["id"])
    assert [r["id"] for r in later["later"]] == [resumed["id"]]
    assert later["next"][-1]["command"] == f"handrail report {resumed['id']}"
    assert f"began at aaa1, handrail report {resumed['id']}" in two.run("report", killed["id"]).stdout


def test_a_run_that_was_asked_to_stop_is_told_as_stopped_where_it_stands(pg_bench: Workbench) -> None:
    pg_bench.execute("create table users (id integer primary key)")
    pg_bench.revision("aaa1", None, _EMAIL)
    with holding(pg_bench.url, "select 1 from users"):
        process = pg_bench.start("apply", "--yes")
        hear(process, "waits, holding nothing")
        process.send_signal(signal.SIGTERM)
        assert end(process) == 143
    told = report(pg_bench)
    assert (told["verdict"], told["headline"]) == ("fail", "apply was stopped before aaa1 was done")
    assert told["standing"] == "main is at base, this run changed nothing; nothing is half applied"
    assert told["failure"]["exit"] == 143
    assert len(told["steps"][0]["waits"]) == 1


def test_a_revision_that_stands_half_applied_is_told_so(pg_bench: Workbench) -> None:
    pg_bench.revision(
        "aaa1",
        None,
        f'{_USERS}\nwith op.get_context().autocommit_block():\n    op.execute("create index a on users (id)")\n'
        '    op.execute("create index a on users (id)")',
    )
    assert pg_bench.run("apply", "--yes").returncode == 5
    told = report(pg_bench)
    assert told["standing"] == "main stands half-way: aaa1 is half applied, the version table says base"
    assert told["steps"][0]["ending"] == "half applied"
    assert told["next"][-1]["command"] == "handrail resume -e main"


def test_a_run_that_was_stopped_at_once_between_two_transactions_does_not_know_where_it_stands(
    pg_bench: Workbench,
) -> None:
    pg_bench.execute("create table users (id integer primary key)")
    indexes = "".join(f'    op.execute("create index concurrently {name} on users (id)")\n' for name in "ab")
    pg_bench.revision("aaa1", None, f"with op.get_context().autocommit_block():\n{indexes}")
    with holding(pg_bench.url, "insert into users values (1)"):
        process = pg_bench.start("apply", "--yes")
        hear(process, "upgrade aaa1")
        until(lambda: bool(pg_bench.rows("select 1 from pg_locks where not granted")), "the index waits")
        process.send_signal(signal.SIGINT)
        hear(process, "once more to stop now")
        process.send_signal(signal.SIGINT)
        assert end(process) == 130
    told = report(pg_bench)
    assert told["standing"] == "where main stands is not known from here, the last that was told is base"
    assert told["steps"][0]["ending"] == "unknown"
    assert told["next"][-1]["command"] == "handrail resume -e main"


def test_a_rollback_is_told_as_one(two: Workbench) -> None:
    two.run("apply", "--yes")
    assert two.run("rollback", "-1", "--yes").returncode == 0
    told = report(two)
    assert (told["verdict"], told["headline"], told["heads"]) == ("pass", "1 revision rolled back", ["aaa1"])
    assert [(s["revision"], s["direction"]) for s in told["steps"]] == [("bbb2", "downgrade")]


@pytest.mark.slow
def test_checks_before_and_after_are_told_and_a_result_that_is_not_verified(bench: Workbench) -> None:
    bench.revision("aaa1", None, _USERS)
    bench.run("apply", "--yes")
    bench.revision("bbb2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))')
    assert bench.run("apply", "--verify", "--verify-after", "--yes").returncode == 0
    told = report(bench)
    assert told["verdict"] in {"pass", "warn"}
    for side in ("before", "after"):
        assert {"revision-at-head", "schema-matches"} <= {j["name"] for j in told[side]}
    assert len(told["checked"]) == 2
    began, ended = (datetime.fromisoformat(m) for m in (told["began_at"], told["run"]["ended_at"]))
    assert (ended - began).total_seconds() == pytest.approx(told["length_s"], abs=0.01)
    bench.revision("ccc3", "bbb2", 'op.create_table("c", sa.Column("id", sa.Integer, primary_key=True))')
    bench.execute("alter table users add column smuggled integer")
    done = bench.run("apply", "--verify-after", "--yes")
    assert done.returncode == 10
    told = report(bench)
    assert (told["verdict"], told["headline"]) == ("fail", "1 revision applied, but the result is not verified")
    assert told["standing"] == "main is at ccc3, where this run was to lead"
    assert told["failure"]["exit"] == 10
    assert "fail" in {j["verdict"] for j in told["after"]}


def test_the_journal_alone_is_enough(two: Workbench, tmp_path: Path) -> None:
    two.run("apply", "--yes")
    before = two.run("report").stdout
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copytree(two.root / ".handrail", alone / ".handrail")
    shutil.copy(two.root / "pyproject.toml", alone)
    two.root, two.url = alone, "postgresql://nobody@localhost:1/nowhere"
    assert two.run("report").stdout == before


def test_of_very_many_statements_the_first_ones_and_the_last_one_are_told(lite_bench: Workbench) -> None:
    many = 'for n in range(2000):\n    op.execute(f"insert into users (id) values ({n})")\n'
    lite_bench.revision("aaa1", None, f"{_USERS}\n{many}op.execute('insert into nobody values (1)')")
    assert lite_bench.run("apply", "--yes").returncode == 1
    (attempt,) = report(lite_bench)["steps"][0]["attempts"]
    assert attempt["statements"][-1]["sql"].startswith("INSERT INTO nobody")
    assert attempt["statements"][-1]["done"] is False
    assert attempt["left_out"] > 1000
    assert attempt["left_out"] + len(attempt["statements"]) in {2002, 2003}
    assert "statements before the last one not kept" in lite_bench.run("report").stdout
    assert "statements before the last one not kept" in lite_bench.run("report", "--format", "html").stdout


def test_nothing_is_written_by_telling(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _USERS)
    lite_bench.run("apply", "--yes")
    files = {p: p.stat().st_mtime_ns for p in lite_bench.root.rglob("*") if "__pycache__" not in p.parts}
    for format_ in ("text", "json", "html"):
        lite_bench.run("report", "--format", format_)
    lite_bench.run("report", "--list")
    assert {p: p.stat().st_mtime_ns for p in lite_bench.root.rglob("*") if "__pycache__" not in p.parts} == files


def test_events_of_another_version_are_counted_not_tripped_over(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _USERS)
    lite_bench.run("apply", "--yes")
    with for_url(f"sqlite:///{lite_bench.root / '.handrail' / 'journal.db'}").connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("update handrail_events set kind = 'Renamed' where kind = 'LeaseTaken'")
        other = json.dumps({"other": 1})
        conn.exec_driver_sql("update handrail_events set payload = ? where kind = 'Planned'", (other,))
    told = report(lite_bench)
    assert (told["unread"], told["plan"], told["heads"]) == (2, None, ["aaa1"])
    assert "2 events" in lite_bench.run("report").stdout
    assert "2 events" in lite_bench.run("report", "--format", "html").stdout


def test_the_backup_is_told_with_its_proof(lite_bench: Workbench) -> None:
    lite_bench.settings('requires = ["backup-proved"]\nbackup = { directory = "backups" }')
    lite_bench.execute("create table kept (id integer primary key)", "insert into kept values (1)")
    lite_bench.revision("aaa1", None, _USERS)
    assert lite_bench.run("apply", "--yes").returncode == 0
    backup = report(lite_bench)["backup"]
    assert (backup["proof"]["verdict"], backup["bytes"] > 0) == ("pass", True)
    assert 0 < backup["seconds"] <= backup["span"]["end_s"] - backup["span"]["start_s"]
    for form in ("text", "html"):
        said = lite_bench.run("report", "--format", form).stdout
        assert backup["id"] in said
        assert backup["proof"]["reason"] in said
