"""`handrail review` and `handrail explain` as a person and a CI system meet them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from handrail import registry
from handrail.cli.main import main

_REVISION = '''"""Index | the users.

Impact: none.
"""

from alembic import op

revision = "{id}"
down_revision = {parent}


def upgrade():
    {body}


def downgrade():
    pass
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two revisions for PostgreSQL: one makes a table, the next an index on it."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text('URL = "postgresql://nobody@nowhere.invalid/app"\n')
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    made = 'op.execute("CREATE TABLE users (id integer PRIMARY KEY, email text)")'
    index = 'op.create_index("ix_users_email", "users", ["email"])'
    (versions / "a1_users.py").write_text(_REVISION.format(id="a1", parent=None, body=made))
    (versions / "a2_index.py").write_text(_REVISION.format(id="a2", parent="'a1'", body=index))
    return tmp_path


def review(project: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    status = main(["review", "-C", str(project), *options])
    return status, capsys.readouterr().out


def test_the_text_shows_the_line_and_what_to_write_instead(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = review(project, capsys)
    assert status == 1
    assert "migrations/versions/a2_index.py:13: error lock-index-create: index ix_users_email" in out
    assert '  13 |     op.create_index("ix_users_email", "users", ["email"])\n     |     ^^^^' in out
    assert "postgresql_concurrently=True" in out
    assert out.splitlines()[-1] == "2 of 2 upgrades read exactly, 2 of 2 downgrades read exactly"


def test_json_has_every_part_of_a_finding(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = review(project, capsys, "--all", "--format", "json")
    document = json.loads(out)
    assert status == 1
    assert isinstance(document["schema"], int)
    (finding,) = [f for f in document["findings"] if f["rule"] == "lock-index-create"]
    assert finding.keys() == {
        "rule", "severity", "confidence", "revision", "file", "line", "direction", "what", "why", "fix",
        "rows", "estimate", "dependants",
    }  # fmt: skip
    assert (finding["file"], finding["line"], finding["direction"]) == (
        "migrations/versions/a2_index.py",
        13,
        "upgrade",
    )
    assert document["coverage"]["steps"] == document["coverage"]["exact"] == 4


def test_fail_on_decides_the_exit_status(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = project / "migrations" / "versions" / "a2_index.py"
    index.unlink()
    users = project / "migrations" / "versions" / "a1_users.py"
    body = "pass  # handrail: ignore[no-such-rule] a warning, whatever else"
    users.write_text(_REVISION.format(id="a1", parent=None, body=body))
    found = {f["severity"] for f in json.loads(review(project, capsys, "--format", "json")[1])["findings"]}
    assert "error" not in found
    assert "warning" in found
    assert review(project, capsys, "--fail-on", "error")[0] == 0
    assert review(project, capsys, "--fail-on", "warning")[0] == 1
    assert review(project, capsys, "--fail-on", "note")[0] == 1


def test_sarif_has_the_structure_that_code_hosts_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = project / "migrations" / "versions" / "a2_index.py"
    index.write_text(index.read_text().replace('["email"])', '["email"])  # handrail: ignore[lock-index-create] small'))
    log = json.loads(review(project, capsys, "--format", "sarif")[1])
    assert log["version"] == "2.1.0"
    assert "sarif-schema-2.1.0" in log["$schema"]
    (run,) = log["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert len(rules) == len(run["tool"]["driver"]["rules"])
    hidden = [r for r in run["results"] if r["ruleId"] == "lock-index-create"]
    assert [r["suppressions"] for r in hidden] == [[{"kind": "inSource"}]]
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["region"]["startLine"] >= 1
    for rule in rules.values():
        assert rule["shortDescription"]["text"]
        assert "What happens" in rule["help"]["markdown"]


def test_github_gets_one_command_a_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = review(project, capsys, "--format", "github")[1]
    (line,) = [line for line in out.splitlines() if "lock-index-create" in line]
    assert line.startswith("::error file=migrations/versions/a2_index.py,line=13,title=lock-index-create::index")
    assert "%0Afix: " in line


def test_gitlab_gets_a_code_quality_report_with_fingerprints_of_their_own(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads(review(project, capsys, "--format", "gitlab")[1])
    assert entries
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    for entry in entries:
        assert entry["description"]
        assert entry["check_name"] in registry.rules()
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["path"]
        assert entry["location"]["lines"]["begin"] >= 1


def test_junit_has_a_case_for_each_revision(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suites = ET.fromstring(review(project, capsys, "--format", "junit")[1])  # noqa: S314 - written by us
    (suite,) = suites
    cases = {case.get("name"): case for case in suite}
    assert cases.keys() == {"a1", "a2"}
    assert (suite.get("tests"), int(suite.get("failures", ""))) == ("2", len(suites.findall(".//failure")))
    failure = cases["a2"].find("failure")
    assert failure is not None
    assert "lock-index-create" in (failure.text or "")


def test_markdown_is_one_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = review(project, capsys, "--format", "markdown")[1]
    rows = [line for line in out.splitlines() if line.startswith("| ")]
    assert any("`lock-index-create`" in row for row in rows)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_an_unknown_target_and_a_folder_without_alembic_are_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(project, capsys, "no-such-revision")[0] == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert review(empty, capsys)[0] == 2


def test_static_runs_nothing_and_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    canary = project / "canary"
    path = project / "migrations" / "versions" / "a2_index.py"
    path.write_text(
        path.read_text().replace("    op.create_index", f"    open({str(canary)!r}, 'w')\n    op.create_index")
    )
    path.write_text(f"open({str(canary)!r}, 'w')\n{path.read_text()}")
    out = review(project, capsys, "--static")[1]
    assert out.splitlines()[-1] == "nothing was executed: only the files' text was reviewed"
    assert not canary.exists()


def test_explain_shows_a_page_and_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "lock-index-create"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# lock-index-create\n")
    assert "**The safe way:**" in page
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in registry.rules())
    assert main(["explain", "lock-index-craete"]) == 2
    assert "did you mean 'lock-index-create'" in capsys.readouterr().err


def test_explain_imports_neither_alembic_nor_sqlalchemy() -> None:
    code = (
        "import sys; from handrail.cli.main import main; main(['explain', 'lock-index-create']); "
        "sys.exit(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_html_is_one_page_that_needs_nothing_else_and_runs_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = 'op.drop_table("<script>alert(1)</script>")'
    (project / "migrations" / "versions" / "a3_drop.py").write_text(_REVISION.format(id="a3", parent="'a2'", body=body))
    status, page = review(project, capsys, "--format", "html", "--all")
    assert status == 1
    assert page.startswith("<!DOCTYPE html>")
    assert "lock-index-create" in page
    assert "a2_index.py:13" in page
    assert "read exactly" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert page.count("<h1>") == 1


def test_html_says_that_nothing_was_executed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = review(project, capsys, "a1", "--format", "html", "--static")[1]
    assert "only the files&#39; text was reviewed" in page
