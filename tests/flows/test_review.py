"""`handrail review` in a folder with nothing but an alembic.ini: no settings, no database, no application."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from handrail.errors import SettingsInvalid, UsageRefused
from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest, review
from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.review import Review, Scope
from handrail.model.revision import Direction
from handrail.model.verdict import Severity

_REVISION = '''"""{title}"""

{imports}
from alembic import op
import sqlalchemy as sa

revision = "{id}"
down_revision = {parent}


def upgrade():
{body}


def downgrade():
{back}
'''
_INDEX = 'op.create_index("ix_users_email", "users", ["email"])'
_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.Text))'


class Project:
    """A folder that an author has just begun; `engine` is all that its alembic.ini tells."""

    def __init__(self, root: Path, engine: str = "postgresql") -> None:
        self.root = root
        self.versions = root / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (root / "migrations" / "env.py").write_text("raise SystemExit('the application is not installed')\n")
        url = f"sqlalchemy.url = {engine}://nobody@nowhere.invalid/app\n" if engine else ""
        (root / "alembic.ini").write_text(f"[alembic]\nscript_location = %(here)s/migrations\n{url}")

    def revision(
        self,
        id_: str,
        body: str,
        *,
        parent: str | None = None,
        back: str = "pass",
        imports: str = "",
        title: str = "T.",
    ) -> Path:
        path = self.versions / f"{id_}_change.py"
        path.write_text(
            _REVISION.format(
                title=title,
                imports=imports,
                id=id_,
                parent=repr(parent),
                body=indent(dedent(body).strip(), "    "),
                back=indent(dedent(back).strip(), "    "),
            )
        )
        return path

    def review(self, **request: object) -> Review:
        return review(review_ports(self.root), ReviewRequest(**{"everything": True, **request}))  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def of(found: Review, rule: str) -> list[Finding]:
    return [f for f in found.findings if f.rule == rule]


def reading(found: Review, id_: str, direction: Direction = Direction.UPGRADE) -> tuple[Reading, str]:
    return next((c.reading, c.reason) for c in found.coverage if (c.revision, c.direction) == (id_, direction))


def test_a_folder_without_settings_is_reviewed_with_the_schema_of_its_own_history(project: Project) -> None:
    project.revision("a1", _USERS)
    path = project.revision("a2", _INDEX, parent="a1")
    found = project.review()
    (finding,) = of(found, "lock-index-create")
    assert (finding.revision, finding.direction, finding.severity) == ("a2", Direction.UPGRADE, Severity.ERROR)
    assert finding.place is not None
    assert finding.place.file == str(path)
    assert found.line(finding.place.file, finding.place.line).strip() == _INDEX
    assert found.scope is Scope.ALL
    assert all(c.reading is Reading.EXACT for c in found.coverage)
    assert [e.name for e in found.engines] == ["postgresql"]


def test_a_type_that_the_application_would_bring_is_stood_in_for(project: Project) -> None:
    body = 'op.add_column("users", sa.Column("at", TZDateTime()))'
    project.revision("a1", _USERS)
    project.revision("a2", body, parent="a1", imports="from shop.types import TZDateTime")
    assert reading(project.review(), "a2") == (Reading.EXACT, "")


def test_a_helper_that_is_not_here_makes_the_reading_doubtful(project: Project) -> None:
    project.revision("a1", "helpers.prepare(op)", imports="from shop import helpers")
    how, reason = reading(project.review(), "a1")
    assert how is Reading.DATA_DEPENDENT
    assert "shop.helpers.prepare" in reason


def test_a_helper_of_the_project_is_seen_though_the_application_around_it_cannot_be_imported(project: Project) -> None:
    package = project.root / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("import not_installed_anywhere\nnot_installed_anywhere.App().run(1 / 0)\n")
    (package / "helpers.py").write_text('def index(op):\n    op.create_index("ix_users_email", "users", ["email"])\n')
    project.revision("a1", _USERS)
    project.revision("a2", "helpers.index(op)", parent="a1", imports="from shop import helpers")
    found = project.review()
    assert reading(found, "a2") == (Reading.EXACT, "")
    assert [f.revision for f in of(found, "lock-index-create")] == ["a2"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("while True:\n    pass", "did not come to an end|CPU time"),
        ("import os\nos._exit(3)", "it called sys.exit"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "os.kill"),
        ("raise SystemExit(0)", "it called sys.exit"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        ("import os\nos.system('true')", "os.system"),
        ("import os\nos.remove('/tmp/nothing-of-the-kind')", "os.remove"),
    ],
)
@pytest.mark.slow
def test_code_that_does_more_than_migrate_hurts_nobody_and_is_told(project: Project, body: str, told: str) -> None:
    project.revision("a1", body)
    project.revision("a2", _USERS, parent="a1")
    found = project.review()
    how, reason = reading(found, "a1")
    assert how is Reading.FAILED
    assert any(part in reason for part in told.split("|")), reason
    assert [f.revision for f in of(found, "not-reviewed") if f.severity is Severity.WARNING] == ["a1"]
    assert reading(found, "a2") == (Reading.EXACT, "")


def test_a_file_is_not_written_and_a_socket_is_not_opened(project: Project) -> None:
    canary = project.root / "canary.txt"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        project.revision("a1", f"open({str(canary)!r}, 'w').write('x')")
        project.revision("a2", f"import socket\nsocket.create_connection(('127.0.0.1', {port}))", parent="a1")
        found = project.review()
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not canary.exists()
    assert "for writing" in reading(found, "a1")[1]
    assert "socket." in reading(found, "a2")[1]


def test_a_print_reaches_nobody(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.revision("a1", "import os\nprint('canary')\nos.write(1, b'canary')")
    project.review()
    assert "canary" not in "".join(capfd.readouterr())


def test_rows_that_are_read_make_the_rest_data_dependent(project: Project) -> None:
    project.revision("a1", "rows = op.get_bind().execute(sa.text('SELECT id FROM users')).fetchall()")
    found = project.review()
    how, reason = reading(found, "a1")
    assert how is Reading.DATA_DEPENDENT
    assert "SELECT id FROM users" in reason
    assert [f.severity for f in of(found, "not-reviewed")] == [Severity.NOTE]


def test_two_heads_and_a_missing_parent_are_findings_and_the_rest_is_reviewed(project: Project) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", _INDEX, parent="a1")
    project.revision("a3", "pass", parent="a1")
    project.revision("a4", "pass", parent="gone")
    found = project.review()
    told = " ".join(f.what for f in of(found, "graph-broken"))
    assert "gone" in told or "parent" in told
    assert "heads" in told
    assert len(of(found, "lock-index-create")) == 1
    assert {c.revision for c in found.coverage} == {"a1", "a2", "a3", "a4"}


def test_revisions_that_go_in_a_circle_and_files_that_do_not_parse_hide_nothing(project: Project) -> None:
    project.revision("a1", _INDEX, parent="a2")
    project.revision("a2", "pass", parent="a1")
    (project.versions / "broken.py").write_text("def upgrade(:\n")
    found = project.review()
    assert len(of(found, "graph-broken")) >= 2
    assert len(of(found, "lock-index-create")) == 1


def test_a_range_and_a_revision_choose_what_is_reviewed(project: Project) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", "pass", parent="a1")
    project.revision("a3", "pass", parent="a2")
    assert project.review(everything=False, target="a1:a2").revisions == ("a2",)
    assert project.review(everything=False, target="a1:").revisions == ("a2", "a3")
    assert project.review(everything=False, target="head").revisions == ("a3",)


def test_since_a_git_ref_the_changed_files_are_reviewed(project: Project) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=project.root, check=True, capture_output=True)

    project.revision("a1", _USERS)
    project.revision("a2", "pass", parent="a1")
    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "begin")
    project.revision("a2", _INDEX, parent="a1")
    project.revision("a3", "pass", parent="a2")
    assert project.review(everything=False, since="main").revisions == ("a2", "a3")
    with pytest.raises(UsageRefused, match="does not exist"):
        project.review(everything=False, since="no-such-ref")


def test_a_folder_that_is_no_checkout_says_so_where_a_ref_is_named(project: Project) -> None:
    project.revision("a1", _USERS)
    with pytest.raises(UsageRefused, match="is in no git repository"):
        project.review(everything=False, since="main")


@pytest.mark.parametrize(
    "comment",
    [
        f"{_INDEX}  # handrail: ignore[lock-index-create] twelve rows",
        f"# handrail: ignore[lock-index-create] twelve rows, until 2999-01-31\n{_INDEX}",
    ],
)
def test_a_suppression_hides_the_finding_at_its_line_and_no_other(project: Project, comment: str) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", f'{comment}\nop.create_index("ix_other", "users", ["id"])', parent="a1")
    found = project.review()
    assert [f.what.split()[1] for f in of(found, "lock-index-create")] == ["ix_other"]
    assert [f.rule for f in found.suppressed] == ["lock-index-create"]
    assert not [f for f in found.findings if f.rule.startswith("suppression-")]


@pytest.mark.parametrize(
    ("comment", "rule"),
    [
        ("# handrail: ignore[lock-index-creat] a typo", "suppression-unknown"),
        ("# handrail: ignore[lock-index-create]", "suppression-without-reason"),
        ("# handrail: ignore[lock-index-create] old, until 2020-01-01", "suppression-expired"),
        ("# handrail: ignore[lock-index-create] bad, until tomorrow", "suppression-unknown"),
        ("# handrail: ignore lock-index-create because", "suppression-unknown"),
    ],
)
def test_a_suppression_that_is_not_right_hides_nothing(project: Project, comment: str, rule: str) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", f"{comment}\n{_INDEX}", parent="a1")
    found = project.review()
    assert len(of(found, "lock-index-create")) == 1
    assert len(of(found, rule)) == 1


def test_one_at_the_top_stands_for_the_file(project: Project) -> None:
    project.revision("a1", _USERS)
    path = project.revision("a2", _INDEX, parent="a1")
    path.write_text(f"# handrail: ignore[lock-index-create, hdr-missing] twelve rows\n{path.read_text()}")
    found = project.review()
    assert sorted(f.rule for f in found.suppressed) == ["hdr-missing", "lock-index-create"]


def test_rules_about_headers_begin_after_rules_from(project: Project) -> None:
    (project.root / "handrail.toml").write_text('rules_from = "a1"\n')
    project.revision("a1", _USERS)
    project.revision("a2", "pass", parent="a1")
    assert [f.revision for f in of(project.review(), "hdr-missing")] == ["a2"]


def test_a_rule_that_is_switched_off_is_silent_and_a_name_that_is_none_is_refused(project: Project) -> None:
    project.revision("a1", _USERS)
    (project.root / "handrail.toml").write_text('[review]\ndisable = ["hdr-missing"]\n')
    assert of(project.review(), "hdr-missing") == []
    (project.root / "handrail.toml").write_text('[review]\ndisable = ["hdr-misssing"]\n')
    with pytest.raises(SettingsInvalid, match="no rule"):
        project.review()


def test_a_batch_on_sqlite_is_read_with_the_schema_of_the_history(tmp_path: Path) -> None:
    project = Project(tmp_path, engine="sqlite")
    project.revision("a1", _USERS)
    body = 'with op.batch_alter_table("users") as batch:\n    batch.alter_column("email", nullable=False)'
    project.revision("a2", body, parent="a1")
    found = project.review()
    assert reading(found, "a2") == (Reading.EXACT, "")


def test_a_lock_counts_where_its_table_is_not_small(project: Project) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", _INDEX, parent="a1")
    assert of(project.review(sizes={"users": 12}), "lock-index-create") == []
    large = of(project.review(sizes={"users": 2_000_000}), "lock-index-create")
    assert [f.severity for f in large] == [Severity.ERROR]


def test_an_engine_that_is_not_known_is_refused(project: Project) -> None:
    project.revision("a1", _USERS)
    with pytest.raises(UsageRefused, match="cannot be reviewed"):
        project.review(engine="oracle")


def test_without_the_parser_of_postgresql_it_says_what_to_install(project: Project, tmp_path: Path) -> None:
    project.revision("a1", _USERS)
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "postgast.py").write_text("raise ModuleNotFoundError('No module named postgast')")
    command = [sys.executable, "-m", "handrail", "review", "--all", "--no-cache", "-C", str(project.root)]
    env = {"PYTHONPATH": str(tmp_path / "absent"), "PATH": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "pip install 'handrail[postgresql]'" in done.stderr


def test_where_nothing_tells_the_engine_all_are_read_and_the_others_are_never_sure(tmp_path: Path) -> None:
    project = Project(tmp_path, engine="")
    project.revision("a1", _USERS)
    project.revision("a2", 'op.create_check_constraint("ck", "users", "id > 0")', parent="a1")
    found = project.review()
    assert [e.name for e in found.engines][:2] == ["postgresql", "sqlite"]
    assert not any(e.told_by for e in found.engines)
    others = [f for f in found.findings if "if it is used" in f.what]
    assert others
    assert all(f.severity is Severity.NOTE for f in others)


def test_what_another_engine_refuses_is_not_said_to_be_unreviewed_too(tmp_path: Path) -> None:
    project = Project(tmp_path, engine="")
    either = 'sa.Integer().with_variant(sa.BigInteger(), "sqlite")'
    project.revision("a1", f'op.create_table("users", sa.Column("id", {either}), sa.Column("age", sa.Integer))')
    project.revision("a2", 'op.alter_column("users", "age", nullable=False)', parent="a1")
    found = project.review()
    assert len(of(found, "sqlite-alter-unsupported")) == 1
    assert of(found, "not-reviewed") == []


@pytest.mark.parametrize(
    "body",
    [
        'op.execute("CREATE INDEX CONCURRENTLY ix ON users (id)")',
        'op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (id > 0) NOT VALID")',
        'op.execute("DO $$ BEGIN END $$")',
    ],
)
def test_sql_that_only_one_engine_understands_tells_which_it_is(body: str, tmp_path: Path) -> None:
    project = Project(tmp_path, engine="")
    project.revision("a1", _USERS)
    project.revision("a2", body, parent="a1")
    assert [(e.name, e.told_by) for e in project.review().engines] == [("postgresql", "the revisions")]


def test_the_example_application_has_no_error() -> None:
    root = Path(__file__).parents[2] / "examples" / "htstatus"
    found = review(review_ports(root), ReviewRequest(everything=True, engine="postgresql"))
    assert [f for f in found.findings if f.severity is not Severity.NOTE] == []
    assert of(found, "suppression-unused") == []
    upgrades = [c for c in found.coverage if c.direction is Direction.UPGRADE]
    # Whose hashes no SQL can make.
    assert [c.revision for c in upgrades if c.reading is not Reading.EXACT] == ["9df7c25ea046"]


def test_a_missing_header_is_a_note_until_the_project_has_settings(project: Project) -> None:
    project.revision("a1", _USERS)
    [before] = of(project.review(), "hdr-missing")
    settings = '[environments.main]\nurl = "sqlite:///absent.db"\n'
    (project.root / "handrail.toml").write_text(settings)
    [after] = of(project.review(), "hdr-missing")
    assert (before.severity, after.severity) == (Severity.NOTE, Severity.WARNING)


def test_a_missing_header_is_a_warning_once_a_revision_below_has_one(project: Project) -> None:
    project.revision("a1", _USERS)
    project.revision("a2", _INDEX, parent="a1", title="T.\n\nImpact: users.\nRisk: Low.\n")
    project.revision("a3", "op.drop_index('ix_users_email')", parent="a2")
    found = of(project.review(), "hdr-missing")
    assert [(f.revision, f.severity) for f in found] == [("a1", Severity.NOTE), ("a3", Severity.WARNING)]
