"""Every command and every piece of Python of the workflow document runs in the reference application, word for word.

The document is `examples/htstatus/docs/workflow.md`. Chapter by chapter its lines run in its order, on three databases
in the state the chapter speaks of. What a line leaves open in angle brackets, and what is no command or does not do
what the document expects, stands in the tables below; an entry that fits nothing in the document fails.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pty
import re
import secrets
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import pytest
import sqlalchemy as sa
from document import blocks
from htstatus import DEADLINE_S, HEAD, SOURCE, V2, Example
from sqlalchemy import make_url

from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server

PAGE = SOURCE / "docs" / "workflow.md"
#: Of the document as it was given: the example is made to fit it, never the other way round.
SHA256 = "518790008cf45427dd4831faf496799ed5d78fc42bb8e7877bade908f545c713"
DOCUMENT = [block for block in blocks(PAGE) if block.language in {"bash", "python"}]
VARIABLES = {
    "development": "DATABASE_URL",
    "staging": "STAGING_DATABASE_URL",
    "production": "PRODUCTION_DATABASE_URL",
}
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "dev@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a chapter begins: the revision of all databases, the deployed release; and where it leaves them.

    `backups` are the environments of which it leaves a proved backup of the state it began with.
    """

    begins: str = HEAD
    release: str = "v8"
    ends: Mapping[str, str] = field(default_factory=dict)
    backups: tuple[str, ...] = ()


STATES = {
    "Alembic Best Practices": State(),
    "Pre-Migration Validation": State(begins=V2, ends=dict.fromkeys(VARIABLES, V2), backups=("development",)),
    "Safe Migration Application": State(
        begins=V2, ends=dict.fromkeys(VARIABLES, HEAD), backups=("staging", "production")
    ),
    "Rollback Procedures": State(release="v2", ends={"development": V2, "staging": HEAD, "production": HEAD}),
    "Post-Migration Verification": State(ends=dict.fromkeys(VARIABLES, HEAD)),
    "Multi-Version Compatibility": State(),
    "Documentation and Tracking": State(),
}

#: What the document leaves to its reader. `<previous_id>` is the newest revision file's.
PLACEHOLDERS = {
    "<target_revision>": V2,
    "<unique_id>": "b7d2f4a6c811",
    "<new_migration>": "c4e9a15d7f20_add_user_email_column",
    "<description>": "add_user_email_column",
}

#: Lines of bash blocks that are sentences, the steps of what the document calls a manual procedure, and who takes them.
PROSE = {
    "1. Create backup of development database": "uv run handrail backup create -e development",
    "2. Apply migration to backup": (
        "uv run handrail backup restore latest -e development --into env:COPY_URL"
        " && DATABASE_URL=$COPY_URL uv run alembic upgrade head"
    ),
    "3. Run test suite against migrated database": "DATABASE_URL=$COPY_URL uv run make test",
    "4. Verify all tests pass": "",  # the exit status of step 3
    "5. Confirm data integrity": "DATABASE_URL=$COPY_URL uv run python scripts/validate_schema.py",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A line that cannot end as the document expects: how it ends, why, and the command that does what is meant."""

    exit: int
    says: str
    why: str
    instead: str


FINDINGS = {
    ("Rollback Procedures", "uv run alembic log"): Finding(
        exit=2,
        says="invalid choice: 'log'",
        why="Alembic has no such command, and `alembic branches`, one line above, lists branch points only",
        instead="uv run alembic history",
    ),
    ("Rollback Procedures", "uv run python scripts/validate_schema.py"): Finding(
        exit=4,
        says=f"at {V2}, expected {HEAD}",
        why="the files still hold the revisions that were taken back, so the database is not at their head",
        instead=f"uv run python scripts/validate_schema.py --at {V2}",
    ),
}

#: What stdout must say, where success alone proves little.
SAYS = {
    "uv run alembic heads": rf"{HEAD} \(head\)",
    "uv run python scripts/apply_migrations.py --environment staging --dry-run": "CREATE INDEX CONCURRENTLY",
    "uv run python scripts/apply_migrations.py --environment staging": rf"staging is at {HEAD}",
    "uv run python scripts/apply_migrations.py --environment production --dry-run --verify": "ok +schema-matches",
    "uv run python scripts/apply_migrations.py --environment production --backup-first --verify-after": (
        rf"production is at {HEAD}"
    ),
    "uv run python": r"\AUsers: 3\nPlayers: 200\nMatches: 90\n\Z",
    "uv run make test": r"\b[4-6]\d passed",
    "uv run make test-integration": r"\b\d passed",
    "uv run make test-coverage": r"(?s)\b6\d passed.*\nTOTAL .* (100|9\d)%",
    'uv run alembic revision --autogenerate -m "Description of change"': r"_description_of_change\.py",
}


def lines(chapter: str) -> list[str]:
    return [line for block in DOCUMENT if (block.chapter, block.language) == (chapter, "bash") for line in block.lines]


# The tables fit the document.


def test_the_document_is_read_as_it_was_given_and_to_its_end() -> None:
    assert hashlib.sha256(PAGE.read_bytes()).hexdigest() == SHA256
    assert len([line for chapter in STATES for line in lines(chapter)]) == 33
    assert len([block for block in DOCUMENT if block.language == "python"]) == 7


def test_every_entry_of_the_tables_is_about_something_in_the_document() -> None:
    everything = {line for chapter in STATES for line in lines(chapter)}
    assert set(STATES) == {block.chapter for block in DOCUMENT}
    assert set(PROSE) | set(SAYS) <= everything
    assert all(line in lines(chapter) for chapter, line in FINDINGS)
    assert {*PLACEHOLDERS, "<previous_id>"} == {
        found for block in DOCUMENT for found in re.findall(r"<\w+>", block.text)
    }


# The lines run.


@contextmanager
def copied(server: Server, original: str) -> Iterator[str]:
    """A database like the original, dropped at the end."""
    name = f"htstatus_{secrets.token_hex(6)}"
    execute(server.url(), f'CREATE DATABASE "{name}" TEMPLATE "{make_url(original).database}"')
    try:
        yield server.url(name)
    finally:
        server.drop_database(name)


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, handrail_postgresql: Server) -> Iterator[dict[str, str]]:
    """A database with data at each revision that chapters begin at."""
    with ExitStack() as stack:
        made = {}
        for revision in (V2, HEAD):
            made[revision] = stack.enter_context(fresh_database(handrail_postgresql))
            example = Example(tmp_path_factory.mktemp("original") / "htstatus", DATABASE_URL=made[revision])
            example.run(f"uv run alembic upgrade {revision} && uv run python generate.py")
        yield made


@pytest.fixture
def at_revision(
    tmp_path: Path, originals: dict[str, str], handrail_postgresql: Server
) -> Iterator[Callable[[str], Example]]:
    """Makes the example with three databases at that revision."""
    with ExitStack() as stack:

        def make(revision: str) -> Example:
            copy = stack.enter_context(fresh_database(handrail_postgresql))
            copies = {
                v: stack.enter_context(copied(handrail_postgresql, originals[revision])) for v in VARIABLES.values()
            }
            return Example(tmp_path / "htstatus", **copies, COPY_URL=copy)

        yield make


class Reader:
    """Somebody who does what a chapter of the document says, line by line."""

    def __init__(self, example: Example, chapter: str) -> None:
        self.example = example
        self.chapter = chapter
        self.variables = {"HTSTATUS_VERSION": STATES[chapter].release, **GIT}

    def read(self) -> None:
        """Do what the chapter's blocks say, in their order."""
        rest = iter([block for block in DOCUMENT if block.chapter == self.chapter])
        for block in rest:
            if block.language == "python":
                self.migrate(block.text)
                continue
            for line in block.lines:
                if line == "uv run python":  # the next block is what is typed there
                    self.obey(line, typed=next(rest).text)
                elif command := PROSE.get(line, line):
                    self.obey(command)

    def obey(self, line: str, *, typed: str = "") -> None:
        command = self.filled(line)
        confirmed = {"HANDRAIL_CONFIRM": self.database("production")} if "--environment production" in line else {}
        finding = FINDINGS.get((self.chapter, line))
        done = self.example.try_to(command, typed=typed, **self.variables, **confirmed)
        told = f"$ {command}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == (finding.exit if finding else 0), told
        if finding:
            assert finding.says in told
            self.example.run(finding.instead, **self.variables)
        elif line in SAYS:
            assert re.search(SAYS[line], done.stdout), told

    def filled(self, text: str) -> str:
        for name, value in PLACEHOLDERS.items():
            text = text.replace(name, value)
        if "<previous_id>" in text:
            text = text.replace("<previous_id>", self.head())
        return text

    def head(self) -> str:
        return self.example.run("uv run alembic heads").split()[0]

    def database(self, environment: str) -> str:
        return make_url(self.example.environment[VARIABLES[environment]]).database or ""

    def migrate(self, code: str) -> None:
        """Take development to a revision of that code, be it a whole file, its header, or statements of its upgrade."""
        text, name = self.filled(code), PLACEHOLDERS["<new_migration>"]
        match ast.parse(code).body:
            case []:
                assert all(line.startswith("#") for line in code.splitlines())
                return
            case [ast.Expr(value=ast.Constant())]:
                text = revision_file(name, self.head(), header=text)
            case [ast.Expr(value=ast.Constant()), *_]:
                name = f"{PLACEHOLDERS['<unique_id>']}_description_of_change"
            case _:
                text = revision_file(name, self.head(), upgrade=text)
        (self.example.folder / "migrations" / "versions" / f"{name}.py").write_text(text)
        self.example.run("uv run alembic upgrade head")
        assert name[:12] in self.example.run("uv run alembic current")
        assert name[:12] in self.example.run("uv run handrail history")


def revision_file(name: str, parent: str, *, header: str = '"""Change."""', upgrade: str = "pass") -> str:
    return (
        f"{header}\n\nfrom alembic import op\nimport sqlalchemy as sa\n\nrevision = {name[:12]!r}\n"
        f"down_revision = {parent!r}\n\n\ndef upgrade():\n{indent(upgrade, '    ')}\n\n\n"
        "def downgrade():\n    pass\n"
    )


def revision_of(url: str) -> object:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    engine.dispose()
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chapter", STATES)
def test_a_chapter_of_the_document_runs_line_by_line(chapter: str, at_revision: Callable[[str], Example]) -> None:
    state = STATES[chapter]
    example = at_revision(state.begins)
    example.run("git init --quiet && git add . && git commit --quiet -m 'Begin'", **GIT)
    Reader(example, chapter).read()
    for environment, expected in state.ends.items():
        assert revision_of(example.environment[VARIABLES[environment]]) == expected, environment
    for environment in state.backups:
        listed = example.run(f"uv run handrail backup list -e {environment}")
        assert re.search(rf"at {state.begins}  proved", listed), listed
    if any(line.startswith("git ") for line in lines(chapter)):
        assert example.run("git tag").split() == ["v1.2.0"]
        assert f"{PLACEHOLDERS['<new_migration>']}.py" in example.run("git show --name-only v1.2.0")


# Production at a terminal.


@pytest.mark.slow
def test_production_is_migrated_where_its_name_is_typed(at_revision: Callable[[str], Example]) -> None:
    example = at_revision(V2)
    url = example.environment["PRODUCTION_DATABASE_URL"]
    (line,) = (each for each in lines("Safe Migration Application") if "--verify-after" in each)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["sh", "-c", line],
        cwd=example.folder,
        env=example.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        read_until(ours, "Type the database's name")
        assert revision_of(url) == V2
        os.write(ours, f"{make_url(url).database}\n".encode())
        read_until(ours, f"production is at {HEAD}")
        assert process.wait(DEADLINE_S) == 0
    os.close(ours)
    assert revision_of(url) == HEAD


def read_until(terminal: int, text: str) -> None:
    seen = ""
    deadline = time.monotonic() + DEADLINE_S
    while text not in seen:
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096).decode(errors="replace")


@pytest.mark.parametrize("script", ["apply_migrations.py", "validate_schema.py"])
def test_the_scripts_are_those_that_every_project_gets(script: str) -> None:
    template = SOURCE.parent.parent / "src" / "handrail" / "history" / "files" / "templates" / script
    assert (SOURCE / "scripts" / script).read_text() == template.read_text()
