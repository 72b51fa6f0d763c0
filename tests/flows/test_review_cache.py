"""What a review keeps for the next one: the same document, and never one that something has made untrue.

The environment is what nothing can see a revision ask: a reading from the cache does not know of the change, a new one
does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_review import Project

from handrail.cli.main import main
from handrail.history.recording import memory
from handrail.host.cache import Cache
from handrail.model.review import Review

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.Text))'
_LATER = 'if os.environ.get("LATER"):\n    op.drop_table("users")\nelse:\n    op.drop_column("users", "email")'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two revisions; the second one drops more `later`, and imports a module of the project."""
    project = Project(tmp_path / "project")
    (project.root / "ours.py").write_text("LIMIT = 20\n")
    (project.root / "seed.sql").write_text("SELECT 1")
    project.revision("aaa1", _USERS)
    project.revision("bbb2", _LATER, parent="aaa1", imports="import os\nfrom ours import LIMIT")
    return project


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(folder=tmp_path / "cache")


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER", "1")


def drops_table(found: Review) -> bool:
    return "compat-drop-table" in {finding.rule for finding in found.findings}


def kept(cache: Cache) -> list[Path]:
    assert cache.folder is not None
    return sorted(cache.folder.iterdir()) if cache.folder.exists() else []


def test_the_second_review_says_the_same_without_reading(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.review(cache=cache)
    later(monkeypatch)

    assert project.review(cache=cache) == first
    assert drops_table(project.review())


def test_one_revision_of_a_history_that_was_read_is_not_read_again(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.review(cache=cache)
    later(monkeypatch)

    assert not drops_table(project.review(cache=cache, everything=False, target="bbb2"))


def test_a_new_revision_is_read_on_what_is_known_of_those_before_it(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.review(cache=cache)
    later(monkeypatch)
    project.revision("ccc3", 'op.drop_table("users")', parent="bbb2")

    found = project.review(cache=cache)

    assert [f.revision for f in found.findings if f.rule == "compat-drop-table"] == ["ccc3"]
    assert found == project.review(cache=cache)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


CHANGES: dict[str, Callable[[Project], None]] = {
    "the file": lambda project: append(project.versions / "bbb2_change.py", "# more\n"),
    "its parent": lambda project: append(project.versions / "aaa1_change.py", "# more\n"),
    "a module that it imports": lambda project: append(project.root / "ours.py", "# more\n"),
    "Alembic's settings": lambda project: append(project.root / "alembic.ini", "limit = 2\n"),
    "env.py": lambda project: append(project.root / "migrations" / "env.py", "# more\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_reading_rests_on_makes_it_untrue_by_changing(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch, change: Callable[[Project], None]
) -> None:
    project.review(cache=cache)
    change(project)
    later(monkeypatch)

    assert drops_table(project.review(cache=cache))


@pytest.mark.parametrize(
    ("imports", "change"),
    [
        ("import os\nfrom pathlib import Path\nPath('seed.sql').read_text()", "seed.sql"),
        ("import os\nfrom absent import thing", "absent.py"),
        ("import os\nfrom pathlib import Path\nlist(Path('seeds').iterdir())", "seeds/first.sql"),
    ],
    ids=["a file that it reads", "a module that was missing", "a folder that it lists"],
)
def test_what_a_revision_looks_at_makes_it_untrue_by_changing(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch, imports: str, change: str
) -> None:
    monkeypatch.chdir(project.root)
    (project.root / "seeds").mkdir()
    project.revision("bbb2", _LATER, parent="aaa1", imports=imports)
    later_unchanged = project.review(cache=cache)
    later(monkeypatch)
    assert project.review(cache=cache) == later_unchanged

    (project.root / change).write_text("thing = 2\n")

    assert drops_table(project.review(cache=cache))


def test_another_handrail_reads_for_itself(project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    project.review(cache=cache)
    monkeypatch.setattr(memory, "tools", lambda: ("handrail 99",))
    later(monkeypatch)

    assert drops_table(project.review(cache=cache))


def test_other_rules_are_asked_about_what_was_read(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.review(cache=cache)
    later(monkeypatch)
    (project.root / "pyproject.toml").write_text('[tool.handrail]\nreview = { disable = ["compat-drop-column"] }\n')

    found = {finding.rule for finding in project.review(cache=cache).findings}

    assert "compat-drop-column" not in found
    assert "compat-drop-table" not in found
    assert "data-drop-column" in found


def test_a_revision_that_ends_its_reader_is_read_again(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
    import faulthandler, os
    if os.environ.get("LATER") is None:
        faulthandler.disable()
        faulthandler._sigsegv()
    op.drop_table("users")
    """
    project.revision("bbb2", body, parent="aaa1")
    assert not drops_table(project.review(cache=cache))
    later(monkeypatch)

    assert drops_table(project.review(cache=cache))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1] + b"?",
        lambda _: b"\x80\x04." * 40,
    ],
    ids=["empty", "cut off", "one byte", "something else"],
)
def test_a_damaged_cache_is_as_none(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    first = project.review(cache=cache)
    [path] = kept(cache)
    path.write_bytes(damage(path.read_bytes()))

    assert project.review(cache=cache) == first
    later(monkeypatch)
    assert project.review(cache=cache) == first, "it was not written anew"


def test_what_is_whole_and_says_nothing_we_know_is_as_none(project: Project, cache: Cache) -> None:
    first = project.review(cache=cache)
    [path] = kept(cache)
    cache.write(path.name, b'{"paths":{},"modules":{},"readings":[],"judged":{"x":1}}')

    assert project.review(cache=cache) == first


def test_a_folder_that_others_may_write_to_is_not_trusted(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.review(cache=cache)
    assert cache.folder is not None
    cache.folder.chmod(0o777)
    later(monkeypatch)

    assert drops_table(project.review(cache=cache))


@pytest.mark.parametrize("stands", ["a file", "a link"])
def test_a_cache_that_cannot_be_made_is_no_error(project: Project, tmp_path: Path, stands: str) -> None:
    folder = tmp_path / "cache"
    if stands == "a file":
        folder.write_text("")
    else:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")

    assert project.review(cache=Cache(folder=folder)) == project.review()
    assert stands == "a file" or not list((tmp_path / "elsewhere").iterdir())


def test_values_and_secrets_are_not_kept(project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PASSWORD", "correct-horse-battery")
    project.revision(
        "ccc3",
        """
        op.bulk_insert(sa.table("users", sa.column("email")), [{"email": "ada@example.org"}])
        """,
        parent="bbb2",
    )
    project.revision(
        "ddd4",
        "import os\nop.execute(f\"CREATE USER app PASSWORD '{os.environ['APP_PASSWORD']}'\")",
        parent="ccc3",
    )

    first = project.review(cache=cache)

    [path] = kept(cache)
    assert b"ada@example.org" not in path.read_bytes()
    assert b"correct-horse-battery" not in path.read_bytes()
    assert project.review(cache=cache) == first


def test_runs_at_the_same_time_do_not_hurt_one_another(project: Project, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "handrail", "review", "--all", "--format", "json", "-C", str(project.root)]
    env = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}

    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(4)]
    said = [run.communicate()[0] for run in runs]

    assert len({*said, subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False).stdout}) == 1
    [path] = (tmp_path / "handrail").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_is_remembered_is_told_without_a_parser_and_what_is_not_without_alembic(
    project: Project, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from handrail.cli.main import main\n"
        f"main(['review', '--all', '-C', {str(project.root)!r}])\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )

    def loaded() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", program], env={"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, check=True
        )
        return {name.partition(".")[0] for name in done.stderr.decode().split()}

    first, again = loaded(), loaded()

    assert "postgast" in first
    assert first.isdisjoint({"sqlalchemy", "alembic"})  # only the reading child loads them
    assert again.isdisjoint({"sqlalchemy", "alembic", "postgast"})


def test_no_cache_keeps_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HANDRAIL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))

    main(["review", "--all", "--no-cache", "-C", str(project.root)])
    assert not (tmp_path / "home").exists()
    anew = capsys.readouterr().out
    for _ in range(2):
        main(["review", "--all", "-C", str(project.root)])
        assert capsys.readouterr().out == anew
    assert len(list((tmp_path / "home" / "handrail").iterdir())) == 1
