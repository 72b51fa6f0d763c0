"""The hooks for pre-commit, run as it runs them: the entry, with the arguments of the page, in a repository."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_HOOKS = (_ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
_REVISION = '''"""Change | one thing."""

from alembic import op
{imports}

revision = "{id}"
down_revision = {parent}


def upgrade():
    op.{body}


def downgrade():
    op.execute("DROP TABLE IF EXISTS users")
'''


def hook(id_: str, key: str) -> str:
    """One setting of one hook."""
    [block] = [b for b in _HOOKS.split("\n- ")[1:] if re.search(rf"^id: {id_}$", b, re.MULTILINE)]
    [found] = re.findall(rf"^\s*{key}: (.+)$", block, re.MULTILINE)
    return str(found).strip("'")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def write(folder: Path, id_: str, parent: str | None, body: str, imports: str = "") -> None:
    text = _REVISION.format(id=id_, parent=repr(parent), body=body, imports=imports)
    (folder / "backend" / "migrations" / "versions" / f"{id_}_change.py").write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with its project in a folder below; what is wrong in the first revision is committed long since."""
    (tmp_path / "backend" / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "backend" / "migrations" / "env.py").write_text('URL = "postgresql://nobody@nowhere.invalid/app"\n')
    (tmp_path / "backend" / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    write(tmp_path, "a1", None, 'execute("DELETE FROM users")')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def run(repository: Path, id_: str) -> subprocess.CompletedProcess[str]:
    page = (_ROOT / "docs" / "commands" / "review.md").read_text(encoding="utf-8")
    [arguments] = re.findall(r"- id: handrail-review\n\s+args: \[(.+)\]", page)
    name, *entry = shlex.split(hook(id_, "entry"))
    assert name == "handrail"
    command = [sys.executable, "-m", "handrail", *entry, *arguments.split(", ")]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("id_", ["handrail-review", "handrail-review-static"])
def test_what_is_staged_is_reviewed_and_nothing_else(repository: Path, id_: str) -> None:
    write(repository, "a2", "a1", 'execute("TRUNCATE users")')
    git(repository, "add", ".")
    done = run(repository, id_)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a2_change.py" in done.stdout
    assert "a1_change.py" not in done.stdout
    git(repository, "commit", "-q", "-m", "second")
    assert run(repository, id_).returncode == 0


@pytest.mark.parametrize(("id_", "told"), [("handrail-review", True), ("handrail-review-static", False)])
def test_one_runs_the_revision_and_the_other_does_not(repository: Path, id_: str, *, told: bool) -> None:
    write(repository, "a2", "a1", 'execute("SELECT 1")', imports='raise RuntimeError("it was run")')
    git(repository, "add", ".")
    assert ("it was run" in run(repository, id_).stdout) is told


@pytest.mark.parametrize("id_", ["handrail-review", "handrail-review-static"])
def test_the_hooks_look_at_revision_files_only(id_: str) -> None:
    files = re.compile(hook(id_, "files"))
    assert files.search("backend/migrations/versions/a1_change.py")
    assert files.search("versions/a1_change.py")
    assert not files.search("backend/models.py")
    assert not files.search("migrations/versions/notes.txt")
