"""`handrail demo`: a tour of the reference application, in three environments, with its releases at work.

Every step is a command that a person could type in the demo's folder; it is shown, then run as a process of its own.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import handrail
from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import start
from handrail.errors import Exit, SandboxUnavailable
from handrail.flows.demo_stage import Say, Stage, Traffic

_NEEDS = ("flask", "flask_migrate", "flask_sqlalchemy")
_RELEASED = "59c0d7e8b4f1"  # the schema that v2 shipped with
_HEAD = "8ce6b1d49f37"
_DATABASES = {"development": "htstatus", "staging": "htstatus_staging", "production": "htstatus_production"}
_WARM_UP_S = 2
_REPORT_S = 8
_LOOK_S = 3

_RENAME = '''\
"""Rename players.form to shape.

Impact: The column form of players is called shape.
Risk: High - every release that is deployed reads form.
Rollback: Simple - rename it back.
Testing: none yet.
"""

from alembic import op

revision = "d00dfeed0010"
down_revision = "{parent}"
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("players", "form", new_column_name="shape")


def downgrade():
    op.alter_column("players", "shape", new_column_name="form")
'''

_ENDING = """
In your own project:
  handrail init
  handrail status
  handrail apply -e development --dry-run"""


def demo(say: Say) -> Exit:
    """Show it all; return FAILED_CLEAN when a step did not do what it should, or a request failed that should not."""
    _refuse_without_example()
    with scene(say) as stage:
        report = _play(stage)
        say(f"\nThe report of the run on production: {report}")
        say(_ENDING)
    return Exit.FAILED_CLEAN if stage.astray else Exit.DONE


@contextmanager
def scene(say: Say) -> Iterator[Stage]:
    """Give a copy of the example and a server with its three databases; both are gone at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handrail-demo-"))) / "htstatus"
        shutil.copytree(_example(), folder, ignore=shutil.ignore_patterns(".handrail", "backups", "__pycache__"))
        _check_out(folder / "migrations" / "versions")
        say("A PostgreSQL of the demo's own is starting; it ends with the demo.")
        server = stack.enter_context(start(find_any()))
        first, *others = _DATABASES.values()
        server.create_database(first)
        stage = Stage(folder=folder, urls={name: server.url(base) for name, base in _DATABASES.items()}, say=say)
        say("\nHTStatus stands at its release v2, with about 100,000 rows.")
        stage.run("alembic", "upgrade", _RELEASED)
        stage.run("python", "generate.py", "--size", "tour")
        for name in others:
            server.copy_database(name, of=first)
        say("Staging and production are copies of that database.")
        yield stage


def _check_out(revisions: Path) -> None:
    """Take the copy back to the release that the tour brings: its later revisions are not written yet."""
    later = {path.name.partition("_")[0]: path for path in revisions.glob("*.py")}
    revision = _HEAD
    while revision:
        parent = re.search(r"^down_revision = '(\w+)'", later.pop(revision).read_text(), re.MULTILINE)
        revision = parent[1] if parent else ""
    for path in later.values():
        path.unlink()


def _play(stage: Stage) -> Path:
    """Go through the tour; return where the report lies."""
    stage.say("\n== 1. Where does everything stand?")
    stage.run("handrail", "status")
    _dry_run(stage)
    stage.say("\n== 3. Staging first. A backup is made, restored and compared before anything is changed.")
    stage.run("handrail", "apply", "-e", "staging", "--yes")
    _production(stage)
    _blocked(stage)
    _mistake(stage)
    stage.say("\n== 7. And back, on staging: with the downgrades that were deployed.")
    stage.run("handrail", "rollback", _RELEASED, "-e", "staging", "--yes")
    stage.say("\n== 8. All of it is in the log, each entry chained to the one before.")
    stage.run("handrail", "log", "-e", "production")
    report = Path(tempfile.mkdtemp(prefix="handrail-report-")) / "report.html"
    stage.run("handrail", "report", "-e", "production", "--format", "html", "--output", str(report))
    return report


def _dry_run(stage: Stage) -> None:
    stage.say(
        "\n== 2. Release v3 brings three revisions. What would they do? Two digests prove that looking changes nothing."
    )
    digest = ("python", "digest.py", "--environment", "production")
    before = stage.read(*digest)
    stage.run("handrail", "apply", "-e", "production", "--dry-run")
    stage.expect(stage.read(*digest) == before, "both digests are the same: the dry run changed nothing")


def _production(stage: Stage) -> None:
    stage.say("\n== 4. Production, while v1 and v2 read and write the tables that change.")
    with stage.traffic("v1", "production") as v1, stage.traffic("v2", "production") as v2:
        stage.run("sleep", str(_WARM_UP_S))
        words = ("handrail", "apply", "-e", "production", "--backup-first", "--verify-after")
        stage.run(*words, "--confirm", _DATABASES["production"])
        met = [v1.end(), v2.end()]
    stage.say("\nWhat the two releases met meanwhile; nothing was tried twice:")
    for figures in met:
        stage.expect(figures.failed == 0 and figures.ok > 0, figures.sentence())


def _blocked(stage: Stage) -> None:
    stage.say(
        "\n== 5. Development, where somebody's report has read users and does not end. An ALTER TABLE would queue"
    )
    stage.say("for it, and everybody else behind the ALTER TABLE; Handrail looks first and waits outside the queue.")
    with (
        stage.traffic("v2", "development") as v2,
        stage.background("python", "long_report.py", "--seconds", str(_REPORT_S)),
    ):
        stage.run("handrail", "apply", "-e", "development", "--yes")
        figures = v2.end()
    stage.expect(figures.failed == 0 and figures.ok > 0, figures.sentence())


def _mistake(stage: Stage) -> None:
    stage.say(
        "\n== 6. A mistake: a column that deployed releases read is renamed. It is told by the review, by exercising"
    )
    stage.say("every release on every revision, and, where it is applied all the same, by a release that meets it.")
    file = stage.folder / "migrations" / "versions" / "d00dfeed0010_rename_players_form.py"
    file.write_text(_RENAME.format(parent=_HEAD))
    stage.run("handrail", "review", "d00dfeed0010", ends=Exit.FAILED_CLEAN)
    stage.run("handrail", "versions", "register", "v2", "--models", "versions.v2.models:db", "--at", _RELEASED)
    stage.run("handrail", "compat", "-e", "development", "--revisions", f"{_HEAD}:", ends=Exit.FAILED_CLEAN)
    stage.run("handrail", "apply", "-e", "development", "--yes")
    broken = _look(stage)
    stage.expect(broken.failed > 0, f"with the new column name  {broken.sentence()}")
    stage.run("handrail", "rollback", _HEAD, "-e", "development", "--yes")
    healed = _look(stage)
    stage.expect(healed.failed == 0 and healed.ok > 0, f"after the rollback        {healed.sentence()}")
    file.unlink()


def _look(stage: Stage) -> Traffic:
    """Let v2 work on development for a while."""
    with stage.traffic("v2", "development") as process:
        stage.run("sleep", str(_LOOK_S))
        return process.end()


def _example() -> Path:
    """Return the example: data of the wheel, or the checkout's own folder."""
    package = Path(handrail.__file__).parent
    candidates = (package / "data" / "htstatus", package.parents[1] / "examples" / "htstatus")
    return next((path for path in candidates if path.is_dir()), candidates[0])


def _refuse_without_example() -> None:
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing or not _example().is_dir():
        raise SandboxUnavailable(
            what="the demo cannot be shown; nothing was touched",
            why=f"not installed: {', '.join(missing) or 'the example application'}",
            fix='pip install "handrail[all,example]"',
        )
