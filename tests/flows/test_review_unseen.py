"""Histories of applications that are not installed: what they use is stood in for, and told where it matters."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from tests.flows.test_review import Project, of, reading

from handrail.model.operation import Reading

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.Text))'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def module(project: Project, name: str, text: str) -> None:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
@pytest.mark.parametrize(
    "look",
    [
        '"email" in {c["name"] for c in sa.inspect(op.get_bind()).get_columns("users")}',
        'sa.inspect(op.get_bind()).has_table("users")',
        '"users" in sa.inspect(op.get_bind()).get_table_names()',
        '"email" in sa.Table("users", sa.MetaData(), autoload_with=op.get_bind()).c',
        'sa.inspect(op.get_bind()).get_pk_constraint("users")["constrained_columns"] == ["id"]',
        'not sa.inspect(op.get_bind()).has_table("teams")',
        'any(i["name"] == "ix_users_email" for i in sa.inspect(op.get_bind()).get_indexes("users"))',
    ],
)
def test_a_look_at_the_schema_finds_what_the_revisions_before_have_made(tmp_path: Path, engine: str, look: str) -> None:
    project = Project(tmp_path, engine)
    project.revision("a1", f'{_USERS}\nop.create_index("ix_users_email", "users", ["email"])')
    project.revision("b2", f'if {look}:\n    op.execute("DELETE FROM users")', parent="a1")
    found = project.review()
    assert of(found, "data-delete-all")
    assert reading(found, "b2")[0] is Reading.DATA_DEPENDENT
    assert "as the revisions before it leave it" in reading(found, "b2")[1]


def test_a_downgrade_finds_the_schema_after_its_own_upgrade(project: Project) -> None:
    project.revision("a1", _USERS)
    back = (
        'if sa.inspect(op.get_bind()).has_table("teams"):\n    op.drop_table("teams")\nop.execute("DELETE FROM users")'
    )
    project.revision("b2", 'op.create_table("teams", sa.Column("id", sa.Integer))', parent="a1", back=back)
    project.revision("c3", 'op.drop_table("teams")', parent="b2")
    assert not [f for f in of(project.review(), "sym-missing-op") if f.revision == "b2"]


def test_the_schema_is_known_though_a_revision_before_ended_the_process(project: Project) -> None:
    project.revision("a1", _USERS)
    project.revision("b2", "import faulthandler, os\nfaulthandler.disable()\nos.abort()", parent="a1")
    look = 'if sa.inspect(op.get_bind()).has_table("users"):\n    op.execute("DELETE FROM users")'
    project.revision("c3", look, parent="b2")
    found = project.review()
    assert reading(found, "b2")[0] is Reading.FAILED
    assert of(found, "data-delete-all")


def test_a_batch_is_read_after_a_revision_that_reads_rows(tmp_path: Path) -> None:
    project = Project(tmp_path, "sqlite")
    project.revision("a1", _USERS)
    project.revision("b2", 'op.get_bind().execute(sa.text("SELECT id FROM users")).fetchall()', parent="a1")
    batch = 'with op.batch_alter_table("users", recreate="always") as b:\n    b.drop_column("email")'
    project.revision("c3", batch, parent="b2")
    found = project.review()
    assert reading(found, "c3")[0] is Reading.DATA_DEPENDENT
    assert [f for f in of(found, "data-drop-column") if f.revision == "c3"]


@pytest.mark.parametrize(
    ("imports", "body"),
    [
        ("from app.kinds import GUID", 'op.add_column("users", sa.Column("x", GUID()))'),
        ("from app.kinds import JSONText", 'op.add_column("users", sa.Column("x", sa.ARRAY(JSONText(40))))'),
        ("import app.kinds", 'op.add_column("users", sa.Column("x", app.kinds.UUID))'),
        ("from app import db", 'op.add_column("users", db.Column("x", db.Integer))'),
        (
            "from app.errors import NotFoundError",
            'try:\n    op.execute("DELETE FROM users")\nexcept NotFoundError: raise',
        ),
        ("import structlog\nlog = structlog.get_logger()", 'log.info("hello")\nop.execute("DELETE FROM users")'),
        ("from app.mixins import Audit\nclass Row(Audit): pass", 'op.execute("DELETE FROM users")'),
    ],
)
def test_what_stands_in_for_a_type_or_a_name_leaves_the_reading_exact(
    project: Project, imports: str, body: str
) -> None:
    project.revision("a1", _USERS)
    project.revision("b2", body, parent="a1", imports=imports)
    assert reading(project.review(), "b2") == (Reading.EXACT, "")


@pytest.mark.parametrize(
    ("imports", "body"),
    [
        ("from app.settings import LIMIT", 'op.add_column("users", sa.Column("x", sa.String(int(LIMIT))))'),
        ("from app.settings import PREFIX", 'op.execute("DELETE FROM " + PREFIX + "users")'),
        ("from app.settings import PREFIX", 'op.execute(f"DELETE FROM {PREFIX}users")'),
        ("from app.settings import Flags", "if Flags.on == 1:\n    pass"),
        ("from app.settings import FLAG", 'if FLAG:\n    pass\nop.execute("DELETE FROM users")'),
        ("from app.settings import names", "for name in names:\n    op.drop_table(name)"),
        ("from app.settings import default", 'op.add_column("users", sa.Column("x", sa.Text, server_default=default))'),
        ("from app.models import Kind", 'op.add_column("users", sa.Column("x", sa.Enum(Kind.A, Kind.B, name="k")))'),
        ("from app.models import User", "op.get_bind().execute(sa.delete(User))"),
        ("from app.models import User", 'op.add_column(User.__tablename__, sa.Column("x", sa.Text))'),
        ("from app.models import User", 'sa.Column("x", sa.ForeignKey(User.id))\nop.drop_table(User.__tablename__)'),
    ],
)
def test_a_value_that_is_not_known_makes_the_reading_doubtful(project: Project, imports: str, body: str) -> None:
    project.revision("a1", _USERS)
    project.revision("b2", body, parent="a1", imports=imports)
    kind, reason = reading(project.review(), "b2")
    assert kind is Reading.DATA_DEPENDENT
    assert "cannot be imported here" in reason


def test_a_model_on_a_base_that_is_not_here_is_mapped(project: Project) -> None:
    imports = """
    from app.db import Base
    from sqlalchemy.orm import Session

    class User(Base):
        __tablename__ = "users"
        id = sa.Column(sa.Integer, primary_key=True)
        email = sa.Column(sa.Text)
    """
    body = """
    session = Session(bind=op.get_bind())
    session.query(User).delete()
    session.add(User(email="x"))
    session.flush()
    """
    project.revision("a1", _USERS)
    path = project.revision("b2", body, parent="a1")
    path.write_text(path.read_text().replace("\nrevision =", dedent(imports) + "\nrevision ="))
    found = project.review()
    assert [f for f in of(found, "data-delete-all") if f.revision == "b2"], reading(found, "b2")


def test_a_helper_that_fails_without_its_application_is_stood_in_for(project: Project) -> None:
    module(project, "app/__init__.py", "")
    module(project, "app/secret.py", "def kind():\n    raise RuntimeError('not set up')\n")
    project.revision("a1", _USERS)
    body = 'from app.secret import kind\nkind()\nop.execute("DELETE FROM users")'
    project.revision("b2", body, parent="a1")
    found = project.review()
    assert reading(found, "b2")[0] is Reading.DATA_DEPENDENT
    assert of(found, "data-delete-all")


def test_the_table_of_a_model_whose_module_fails_is_the_one_its_file_names(project: Project) -> None:
    module(project, "app/__init__.py", "")
    text = "raise RuntimeError('no')\nclass Person(Base):\n    __tablename__ = 'users'\n"
    module(project, "app/models.py", text)
    project.revision("a1", _USERS)
    body = "from app.models import Person\nop.drop_table(Person.__tablename__)"
    project.revision("b2", body, parent="a1")
    drops = of(project.review(), "data-drop-table")
    assert [f for f in drops if "users" in f.what]


def test_helpers_beside_the_migrations_are_found_under_the_applications_name(project: Project) -> None:
    helper = "from alembic import op\n\ndef empty(table):\n    op.execute(f'DELETE FROM {table}')\n"
    module(project, "migrations/shared/helpers.py", helper)
    project.revision("a1", _USERS)
    project.revision("b2", 'empty("users")', parent="a1", imports="from shop.migrations.shared.helpers import empty")
    found = project.review()
    assert reading(found, "b2") == (Reading.EXACT, "")
    assert of(found, "data-delete-all")


@pytest.mark.parametrize(
    "body",
    [
        'op.get_bind().execute("DELETE FROM users")',
        """
        users = sa.table("users", sa.column("id"))
        op.get_bind().execute(sa.select([users.c.id], users.c.id == 1))
        op.execute("DELETE FROM users")
        """,
        'sa.case([(sa.column("id") == 1, 2)], else_=3)\nop.execute("DELETE FROM users")',
        'sa.Table("users", sa.MetaData(bind=op.get_bind()), autoload=True)\nop.execute("DELETE FROM users")',
        """
        users = sa.table("users", sa.column("id"))
        op.execute(users.delete(users.c.id > 0))
        op.execute("DELETE FROM users")
        """,
    ],
)
def test_idioms_of_sqlalchemy_1_are_read_and_told(project: Project, body: str) -> None:
    project.revision("a1", _USERS)
    project.revision("b2", body, parent="a1")
    found = project.review()
    assert reading(found, "b2")[0] is Reading.DATA_DEPENDENT
    assert of(found, "data-delete-all")


@pytest.mark.parametrize("look", ["SELECT count(*) FROM users", "SELECT count(id), max(id) FROM users"])
def test_a_count_over_nothing_is_a_row(project: Project, look: str) -> None:
    project.revision("a1", _USERS)
    body = (
        f'n = op.get_bind().execute(sa.text("{look}")).fetchone()[0]\nprint("%d" % n)\nop.execute("DELETE FROM users")'
    )
    project.revision("b2", body, parent="a1")
    found = project.review()
    assert "on an empty answer" not in reading(found, "b2")[1]
    assert of(found, "data-delete-all")


def test_a_variant_of_a_type_does_not_tell_the_engine(tmp_path: Path) -> None:
    project = Project(tmp_path, "")
    imports = "from sqlalchemy.dialects import mysql"
    project.revision("a1", 'sa.Text().with_variant(mysql.LONGTEXT(), "mysql")\n' + _USERS, imports=imports)
    assert {e.name for e in project.review().engines} >= {"postgresql", "sqlite"}


@pytest.mark.parametrize(
    "body",
    [
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "import sys\nsys.exit(0)",
        "import os\nos.fork()",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nraise RuntimeError('x')",
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nsignal.alarm(1)\nraise RuntimeError('x')",
        "input()",
        "x = bytearray(1 << 40)",
        "import os\nos.chdir('/')\nraise RuntimeError('x')",
        "raise KeyboardInterrupt",
        "def f():\n    f()\nf()",
    ],
    ids=["kill", "exit", "fork", "thread", "signal", "stdin", "memory", "chdir", "interrupt", "recursion"],
)
def test_code_that_hurts_is_not_read_and_the_others_are(
    project: Project, body: str, capfd: pytest.CaptureFixture[str]
) -> None:
    project.revision("a1", _USERS)
    project.revision("b2", body, parent="a1")
    project.revision("c3", 'op.execute("DELETE FROM users")', parent="b2")
    found = project.review()
    assert reading(found, "b2")[0] is Reading.FAILED
    assert reading(found, "c3")[0] is Reading.EXACT
    assert capfd.readouterr() == ("", "")
