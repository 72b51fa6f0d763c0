"""`handrail init` given projects it cannot use, files that are there already, folders it may not write to."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from refusal import told

from handrail.cli.main import main
from handrail.config import load
from handrail.history.files.header import parse
from handrail.history.files.template import with_fields

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "htstatus"
TEMPLATES = ROOT / "src" / "handrail" / "history" / "files" / "templates"

_ENV_PY = """
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
_INI = "[alembic]\nscript_location = %(here)s/migrations\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Alembic project whose env.py reads DATABASE_URL, which is not set."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    root = tmp_path / "project"
    (root / "migrations" / "versions").mkdir(parents=True)
    (root / "migrations" / "env.py").write_text(_ENV_PY)
    (root / "migrations" / "script.py.mako").write_text('"""${message}\n\nRevision ID: ${up_revision}\n"""\n')
    (root / "alembic.ini").write_text(_INI)
    (root / "pyproject.toml").write_text('[project]\nname = "x"\n')
    return root


def _init(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str, exit_: int = 0) -> SimpleNamespace:
    status = main(["init", "-C", str(root), *arguments])
    out, err = capsys.readouterr()
    assert status == exit_, out + err
    return SimpleNamespace(out=out, err=err, returncode=status)


def _refused(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    words = ["init", "-C", str(root), *arguments, "--format", "json"]
    status = main(words)
    out, err = capsys.readouterr()
    return told(subprocess.CompletedProcess(words, status, out, err), root, 2)


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_dry_run_shows_every_line_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(project)
    shown = _init(project, capsys, "--dry-run")
    assert _files(project) == before
    for line in ('+url = "env:DATABASE_URL"', "+protected = true", "+Impact: <what", "+.handrail/", "+backups/"):
        assert line in shown.out.splitlines() or line in shown.out
    assert "+++ b/scripts/apply_migrations.py" in shown.out
    assert "DATABASE_URL is not set here" in shown.err


def test_the_settings_are_added_below_what_stands_there_byte_by_byte(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "pyproject.toml"
    written = b'# ours\r\n[project]\r\nname    =  "x" # odd\r\n[tool.other]\r\na = [\r\n  1, # one\r\n]'
    path.write_bytes(written)
    _init(project, capsys, "--yes")
    after = path.read_bytes()
    assert after.startswith(written)
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert load(project).environments["production"].protected


def test_old_revisions_are_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, parent in (("aaa1", None), ("bbb2", "aaa1"), ("ccc3", "aaa1")):
        text = f'"""x"""\nrevision = {name!r}\ndown_revision = {parent!r}\ndef upgrade(): pass\ndef downgrade(): pass\n'
        (project / "migrations" / "versions" / f"{name}_.py").write_text(text)
    shown = _init(project, capsys, "--yes")
    assert load(project).rules_after == ("bbb2", "ccc3")
    assert "2 heads" in shown.err


def test_settings_that_stand_are_not_touched(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = 'journal = "j.db"\n[environments.live]\nurl = "env:LIVE"\n'
    (project / "handrail.toml").write_text(own)
    before = (project / "pyproject.toml").read_text()
    told = _init(project, capsys, "--yes").err
    assert (project / "handrail.toml").read_text() == own
    assert (project / "pyproject.toml").read_text() == before
    assert '"--environment", "live"]' in (project / "scripts" / "validate_schema.py").read_text()
    assert "handrail apply -e live --dry-run" in told


def test_settings_without_an_environment_get_the_three(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "pyproject.toml"
    path.write_text('[tool.handrail]\njournal = "j.db"\n')
    _init(project, capsys, "--yes")
    assert path.read_text().startswith('[tool.handrail]\njournal = "j.db"\n\n[tool.handrail.environments.development]')
    assert list(load(project).environments) == ["development", "staging", "production"]


@pytest.mark.parametrize("name", ["pyproject.toml", "handrail.toml"])
def test_an_empty_table_is_gone_on_with(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '"""x"""\nrevision = "aaa1"\ndown_revision = None\ndef upgrade(): pass\ndef downgrade(): pass\n'
    (project / "migrations" / "versions" / "aaa1_.py").write_text(text)
    (project / name).write_text("[tool.handrail]\n" if name == "pyproject.toml" else "# settings\n")
    shown = _init(project, capsys, "--yes")
    assert list(load(project).environments) == ["development", "staging", "production"]
    told_ = 'only you can add this to the table [tool.handrail] that is there: rules_from = "aaa1"' in shown.err
    assert told_ is (name == "pyproject.toml")
    assert load(project).rules_from == ("" if told_ else "aaa1")


def test_the_workflow_stays_the_same_when_revisions_come(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".github").mkdir()
    _init(project, capsys, "--yes")
    text = '"""x"""\nrevision = "aaa1"\ndown_revision = None\ndef upgrade(): pass\ndef downgrade(): pass\n'
    (project / "migrations" / "versions" / "aaa1_.py").write_text(text)
    assert "left as it is" not in _init(project, capsys).err
    workflow = (project / ".github" / "workflows" / "migrations.yml").read_text()
    assert "DATABASE_URL: postgresql+psycopg://" in workflow
    server = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"  # of a major that nothing else here is of
    assert f"HANDRAIL_SANDBOX_URL: {server}" in workflow
    assert "- run: pip install -e ." in workflow
    assert "- run: handrail rollback base -e development --yes" in workflow


def test_a_file_somebody_wrote_otherwise_is_shown_and_left_unless_forced(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = project / "scripts" / "apply_migrations.py"
    script.parent.mkdir()
    script.write_text("print('ours')\n")
    script.chmod(0o755)
    shown = _init(project, capsys, "--yes")
    assert script.read_text() == "print('ours')\n"
    assert "left as it is: scripts/apply_migrations.py" in shown.err
    assert "-print('ours')" in shown.err
    assert _init(project, capsys).out == "nothing to do\n"

    _init(project, capsys, "--yes", "--force")
    assert script.read_text() == (TEMPLATES / "apply_migrations.py").read_text()
    assert script.stat().st_mode & 0o777 == 0o755


def test_a_template_that_no_title_begins_is_left_unless_forced(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = project / "migrations" / "script.py.mako"
    template.write_text("# ${message}\n")
    assert "left as it is: migrations/script.py.mako" in _init(project, capsys, "--yes").err
    assert template.read_text() == "# ${message}\n"
    _init(project, capsys, "--yes", "--force")
    assert template.read_text() == (TEMPLATES / "script.py.mako").read_text()


def test_a_missing_template_is_made(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = project / "migrations" / "script.py.mako"
    template.unlink()
    _init(project, capsys, "--yes")
    assert template.read_text() == (TEMPLATES / "script.py.mako").read_text()


@pytest.mark.parametrize(
    "template",
    [
        '"""${message}\n\nRevision ID: ${up_revision}\n\n"""\nimport x\n',
        '"""${message}."""\nimport x\n',
        "'''${message | h}'''\n",
        '# -*- coding: utf-8 -*-\n"""${message}\n\nRisk: <our own words>\n"""\n',
        '"""${message}\r\n\r\nRevision ID: ${up_revision}\r\n"""\r\n',
    ],
)
def test_the_fields_are_put_into_the_template_that_is_there(template: str) -> None:
    extended = with_fields(template)
    assert extended is not None
    quote = "'''" if template.startswith("'") else '"""'
    header = parse(extended.partition(quote)[2].partition(quote)[0])
    assert header.purpose.startswith("${message")
    assert header.impact
    assert header.risk == ("<our own words>" if "own words" in template else "<Low | Medium | High> - <why>")
    assert header.rollback
    assert header.testing
    assert extended.replace("\r\n", "\n").endswith(template.replace("\r\n", "\n").rpartition(quote)[2])
    assert with_fields(extended) == extended


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda root: (root / "pyproject.toml").write_text("x = = 1"), "pyproject.toml"),
        (lambda root: (root / "pyproject.toml").write_text("[tool]\nhandrail = { }"), "[tool.handrail]"),
        (lambda root: (root / "pyproject.toml").write_text("[tool.handrail]\nenvironment = 1"), "unknown key"),
        (lambda root: (root / "handrail.toml").write_text("x = = 1"), "handrail.toml"),
        (lambda root: (root / "alembic.ini").write_text("[alembic\n"), "alembic.ini"),
        (lambda root: (root / "alembic.ini").unlink(), "migrations/env.py is there, and neither an alembic.ini"),
        (lambda root: (root / "migrations" / "env.py").unlink(), "no env.py"),
        (lambda root: (root / "migrations" / "script.py.mako").write_bytes(b"\xff\xfe"), "it is not UTF-8"),
        (lambda root: (root / ".gitignore").mkdir(), ".gitignore"),
    ],
    ids=[
        "invalid TOML",
        "a table that cannot be gone on with",
        "unknown key",
        "invalid handrail.toml",
        "invalid ini",
        "no ini",
        "no env.py",
        "a template that is no text",
        "a folder for a file",
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(
    edit: object, reason: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(edit)
    edit(project)
    before = _files(project)
    assert reason in _refused(project, capsys, "--yes")
    assert _files(project) == before


def test_a_folder_without_alembic_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told_ = _refused(tmp_path, capsys, "--yes")
    assert "there is no Alembic project here" in told_
    assert "alembic init migrations" in told_
    assert list(tmp_path.iterdir()) == []


def test_of_several_projects_one_must_be_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "alembic.ini").unlink()
    for name in ("one", "two"):
        (project / "apps" / name).mkdir(parents=True)
        (project / "apps" / name / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    assert "handrail init --alembic apps/one/alembic.ini" in _refused(project, capsys, "--yes")
    _init(project, capsys, "--yes", "--alembic", "apps/two/alembic.ini")
    assert load(project).alembic == "apps/two/alembic.ini"
    assert "no such file" in _refused(project, capsys, "--alembic", "nowhere.ini")


def test_where_one_file_cannot_be_written_none_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "scripts").symlink_to("/proc/1/no-such-folder")
    before = _files(project)
    assert "could not be written to" in _refused(project, capsys, "--yes")
    assert _files(project) == before


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False)])
def test_at_a_terminal_it_asks(answer: str, project: Path, *, written: bool) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "handrail", "init"], cwd=project, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"Write these" not in said:
            said += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == (0 if written else 2)
    assert (project / "scripts").exists() is written
    assert b"\x1b[32m+" in said


def test_the_document_holds_what_the_text_says(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(_init(project, capsys, "--dry-run", "--format", "json").out)
    assert (document["schema"], document["kind"], document["written"]) == (1, "init", False)
    assert document["found"]["variable"] == "DATABASE_URL"
    assert document["found"]["read_at"] == "migrations/env.py:6"
    actions = {change["path"]: change["action"] for change in document["changes"]}
    assert actions == {
        "pyproject.toml": "change",
        "migrations/script.py.mako": "change",
        "scripts/apply_migrations.py": "create",
        "scripts/validate_schema.py": "create",
        ".gitignore": "create",
    }


def test_the_example_is_what_init_makes() -> None:
    for name in ("apply_migrations.py", "validate_schema.py"):
        assert (EXAMPLE / "scripts" / name).read_text() == (TEMPLATES / name).read_text()
    ours = EXAMPLE / "migrations" / "script.py.mako"
    assert ours.read_text() == (TEMPLATES / "script.py.mako").read_text()
    assert tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["tool"]["handrail"]
