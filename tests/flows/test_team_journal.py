from __future__ import annotations

from workbench import Workbench

from handrail.engines.base import Purpose, for_url

_TABLE = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


def test_a_team_keeps_its_journal_in_a_database_named_by_a_variable(lite_bench: Workbench, postgresql_url: str) -> None:
    settings = lite_bench.root / "pyproject.toml"
    settings.write_text('[tool.handrail]\njournal = "env:JOURNAL_URL"\n' + settings.read_text())
    lite_bench.revision("aaa1", None, _TABLE)
    done = lite_bench.run("apply", "--yes", env={"JOURNAL_URL": postgresql_url})
    assert done.returncode == 0, done.stderr
    with for_url(postgresql_url).connect(Purpose.READ) as conn:
        runs = conn.exec_driver_sql("select command, state from handrail_runs").all()
    assert runs == [("apply", "done")]
    assert not (lite_bench.root / ".handrail").exists()
    shown = lite_bench.run("status", env={"JOURNAL_URL": postgresql_url})
    assert "last run  apply done" in shown.stdout
