"""Every example of every rule: read as claimed, and run on every engine that the rule names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent

import mariadb_server
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from handrail import registry, rules
from handrail.engines.base import Purpose, for_url
from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest, review
from handrail.model.finding import Finding
from handrail.model.rule import EVERY_ENGINE, Example, Rule
from handrail.model.schema import Snapshot, diff
from handrail.model.spec import UNKNOWN

SHELF = sorted(path.stem for path in Path(rules.__path__[0]).glob("[!_]*.py"))
_ENV_PY = """
import os
from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

engine = create_engine(os.environ["HANDRAIL_TEST_URL"], poolclass=NullPool)
if engine.dialect.name == "sqlite":
    event.listen(engine, "connect", lambda connection, _record: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
with engine.connect() as connection:
    # MySQL commits each DDL by itself, and Alembic knows; SQLite takes it into transactions, and Alembic does not.
    transactional = {} if engine.dialect.name == "mysql" else {"transactional_ddl": True}
    context.configure(connection=connection, transaction_per_migration=True, **transactional)
    with context.begin_transaction():
        context.run_migrations()
"""
_REVISION = '''"""{docstring}"""

from alembic import op
import sqlalchemy as sa

revision = "{id}"
down_revision = {parent}


def upgrade():
{body}


def downgrade():
{downgrade}
'''


def module(stem: str) -> object:
    return __import__(f"handrail.rules.{stem}", fromlist=["RULE"])


def examples(*, run: bool = False) -> Iterator[object]:
    """Each example of the shelf on each engine, with a readable name; `run` are those that a server is needed for."""
    for name, rule in registry.rules().items():
        for number, example in enumerate(rule.examples, start=1):
            for engine in sorted(example.engines or rule.engines):
                claim = "flagged" if example.flagged else "clean"
                marks = (pytest.mark.mariadb,) if engine == "mysql" and run else ()
                yield pytest.param(rule, example, engine, id=f"{name}-{number}-{claim}-{engine}", marks=marks)


def write(folder: Path, example: Example, bodies: tuple[str, ...]) -> Path:
    """Write a project: the scene, the earlier revisions, then `bodies`, of which the first one is the example's."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    scene = "\n".join(f"op.execute({sql!r})" for sql in example.given) or "pass"
    chain = [("s0", scene), *((f"s{n}", body) for n, body in enumerate(example.earlier, start=1))]
    chain += [(example.id if n == 1 else f"e{n}", body) for n, body in enumerate(bodies, start=1)]
    parent: str | None = None
    for id_, body in chain:
        first = id_ == example.id
        source = _REVISION.format(
            docstring=example.docstring if first else "Set the scene.",
            id=id_,
            parent=repr((parent, *example.merges) if first and example.merges else parent),
            body=_block(body),
            downgrade=_block(example.downgrade if first else "pass"),
        )
        (versions / (example.file if first else f"{id_}_set_the_scene.py")).write_text(source)
        parent = id_
    for name, source in example.others:
        (versions / name).write_text(source)
    (folder / "migrations" / "env.py").write_text(_ENV_PY)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    return folder


def _block(body: str) -> str:
    return indent(dedent(body).strip() or "pass", "    ")


def found(folder: Path, rule: Rule, example: Example, engine: str, ids: frozenset[str]) -> list[Finding]:
    """Return what the rule says of those revisions."""
    outcome = review(
        review_ports(folder),
        ReviewRequest(everything=True, engine=engine, sizes=example.sizes or UNKNOWN, enable=frozenset({rule.name})),
    )
    return [f for f in outcome.findings if f.rule == rule.name and (f.revision in ids or not f.revision)]


@pytest.mark.parametrize(("rule", "example", "engine"), [p for p in examples() if not p.values[1].live])  # type: ignore[attr-defined]
def test_an_example_is_flagged_as_claimed(rule: Rule, example: Example, engine: str, tmp_path: Path) -> None:
    folder = write(tmp_path, example, (example.body,))
    findings = found(folder, rule, example, engine, frozenset({example.id}))
    assert bool(findings) is example.flagged
    assert all(f.what and f.why and f.fix for f in findings)
    assert all(f.place is None or Path(f.place.file).is_file() for f in findings)


def test_the_page_on_writing_rules_shows_a_rule_as_it_is() -> None:
    page = Path(__file__).parents[1] / "docs" / "writing-rules.md"
    assert (Path(rules.__path__[0]) / "lock_index_create.py").read_text() in page.read_text()


@pytest.mark.parametrize(("rule", "example", "engine"), [p for p in examples() if p.values[1].rewrite])  # type: ignore[attr-defined]
def test_what_is_written_instead_is_not_flagged(rule: Rule, example: Example, engine: str, tmp_path: Path) -> None:
    folder = write(tmp_path, example, example.rewrite)
    ids = frozenset({example.id, *(f"e{n}" for n in range(2, len(example.rewrite) + 1))})
    assert found(folder, rule, example, engine, ids) == []


@contextmanager
def place(engine: str, request: pytest.FixtureRequest, name: str, file: str) -> Iterator[URL]:
    """A place of its own for one example: a schema on PostgreSQL, a file on SQLite, a database on MariaDB."""
    if engine == "sqlite":
        yield make_url(f"sqlite:///{request.getfixturevalue('tmp_path') / file}.db")
        return
    if engine == "mysql":
        with mariadb_server.fresh_database() as fresh:
            yield fresh
        return
    url = request.getfixturevalue("shared_postgresql_url")
    create, drop = f"CREATE SCHEMA {name}", f"DROP SCHEMA {name} CASCADE"
    own = make_url(url).update_query_dict({"options": f"-csearch_path={name}"})
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as conn:
        conn.execute(text(create))
        try:
            yield own
        finally:
            conn.execute(text(drop))


@pytest.fixture(scope="module")
def shared_postgresql_url(handrail_postgresql: object) -> Iterator[str]:
    """One database for all examples; each has a schema of its own in it."""
    from handrail.engines.postgresql.servers.sandbox import fresh_database  # noqa: PLC0415 - only where it is used

    with fresh_database(handrail_postgresql) as url:  # type: ignore[arg-type]  # the plugin's own server
        yield url


def migrate(folder: Path, url: URL, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_TEST_URL", url.render_as_string(hide_password=False))
    config = Config(folder / "alembic.ini")
    if target == "back":
        command.downgrade(config, "-1")
    else:
        command.upgrade(config, target)


def schema(url: URL) -> Snapshot:
    if url.get_backend_name() == "mysql":
        return mariadb_server.snapshot(url)
    engine = for_url(url)
    with engine.connect(Purpose.READ) as conn:
        return engine.catalog.snapshot(conn)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # what a batch on SQLite loses, SQLAlchemy says
@pytest.mark.parametrize(("rule", "example", "engine"), [p for p in examples(run=True) if not p.values[1].not_run])  # type: ignore[attr-defined]
def test_an_example_runs_as_claimed(
    rule: Rule,
    example: Example,
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "postgresql" and example.since > request.getfixturevalue("handrail_postgresql").major:
        pytest.skip("needs a newer PostgreSQL")
    before = f"s{len(example.earlier)}"
    with place(engine, request, "an_example", "written") as url:
        folder = write(tmp_path / "written", example, (example.body,))
        migrate(folder, url, before, monkeypatch)
        if example.fails:
            with pytest.raises(Exception, match=r"."):
                migrate(folder, url, example.id, monkeypatch)
            return
        migrate(folder, url, example.id, monkeypatch)
        as_written = schema(url)
        if example.back_fails:
            with pytest.raises(Exception, match=r"."):
                migrate(folder, url, "back", monkeypatch)
        elif example.downgrade.strip() != "pass":
            migrate(folder, url, "back", monkeypatch)
    if not example.rewrite:
        return
    with place(engine, request, "an_example", "instead") as url:
        folder = write(tmp_path / "instead", example, example.rewrite)
        migrate(folder, url, "heads", monkeypatch)
        differences = [] if example.leaves_out else [d.describe() for d in diff(as_written, schema(url))]
        assert differences == []


@pytest.mark.parametrize(("rule", "example", "engine"), [p for p in examples() if p.values[1].live])  # type: ignore[attr-defined]
def test_an_example_is_flagged_as_claimed_with_the_database_it_is_about(
    rule: Rule,
    example: Example,
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    with place(engine, request, "an_example", "written") as url:
        folder = write(tmp_path / "written", example, (example.body,))
        migrate(folder, url, f"s{len(example.earlier)}", monkeypatch)
        (folder / "pyproject.toml").write_text('[tool.handrail.environments.main]\nurl = "env:HANDRAIL_TEST_URL"\n')
        outcome = review(review_ports(folder), ReviewRequest(environment="main"))
    findings = [f for f in outcome.findings if f.rule == rule.name]
    assert bool(findings) is example.flagged
    assert all(f.what and f.why and f.fix for f in findings)


@pytest.mark.parametrize("stem", SHELF)
def test_a_rule_is_named_by_its_file_and_explains_itself(stem: str) -> None:
    rule: Rule = vars(module(stem))["RULE"]
    assert rule.name == stem.replace("_", "-")
    assert registry.rules()[rule.name] is rule
    assert rule.source.startswith("https://")
    assert rule.engines
    assert rule.engines <= EVERY_ENGINE
    body = module(stem).__doc__ or ""
    for part in ("What happens:", "Why:", "The safe way:"):
        assert part in body
    assert {example.flagged for example in rule.examples} == {True, False}
