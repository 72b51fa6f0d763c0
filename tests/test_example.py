"""The reference application keeps its promises: schema, data, tests and traffic of each of its releases."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from htstatus import (
    BEFORE_HEAD,
    DEADLINE_S,
    FLAG_CONTRACTED,
    FORM_CONTRACTED,
    HEAD,
    ON_SQLITE,
    SHIPPED,
    SOURCE,
    V1,
    V2,
    V3,
    V4,
    V5,
    V6,
    V7,
    Example,
)

from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server

#: The newest revision on which an older release can do all that it could; beyond, a column or a type is another.
LAST_SURVIVED = {
    "v1": V5,
    "v2": V5,
    "v3": V5,
    "v4": FORM_CONTRACTED,
    "v5": FLAG_CONTRACTED,
    "v6": FLAG_CONTRACTED,
    "v7": HEAD,
}


@pytest.fixture
def example(tmp_path: Path, postgresql_url: str) -> Example:
    return Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)


@pytest.fixture
def example_anywhere(tmp_path: Path, database_url: str) -> Example:
    return Example(tmp_path / "htstatus", DATABASE_URL=database_url)


@pytest.fixture
def migrated(example: Example) -> Example:
    example.run("uv run alembic upgrade head")
    return example


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, handrail_postgresql: Server) -> Iterator[Example]:
    """One migrated example for all tests that only look."""
    with fresh_database(handrail_postgresql) as url:
        example = Example(tmp_path_factory.mktemp("example") / "htstatus", DATABASE_URL=url)
        example.run("uv run alembic upgrade head")
        yield example


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uv run alembic heads", rf"{HEAD} \(head\)"),
        ("uv run alembic branches", r"\A\Z"),
        ("uv run alembic history", r"<base> -> 00bc1ca5fec0, Create users and what belongs to them"),
        ("uv run alembic current", rf"\A{HEAD} \(head\)\Z"),
        ("uv run alembic upgrade head", r"\A\Z"),
    ],
)
def test_a_command_of_the_workflow_document_runs_verbatim(untouched: Example, command: str, expected: str) -> None:
    assert re.search(expected, untouched.run(command).strip())


def test_a_fresh_database_has_no_current_revision(example: Example) -> None:
    assert example.run("uv run alembic current") == ""


def test_downgrade_by_one_step_runs_verbatim(migrated: Example) -> None:
    migrated.run("uv run alembic downgrade -1")
    assert migrated.run("uv run alembic current").strip() == BEFORE_HEAD


def test_autogenerate_runs_verbatim_and_finds_nothing_to_change(migrated: Example) -> None:
    before = migrated.revision_files()
    migrated.run('uv run alembic revision --autogenerate -m "add_user_email_column"')
    (new,) = migrated.revision_files() - before
    assert re.fullmatch(r"[0-9a-f]{12}_add_user_email_column\.py", new.name)
    assert re.search(r"def upgrade\(\):\n(    #.*\n)*    pass\n", new.read_text())
    assert all(f"\n{part}: " in new.read_text() for part in ("Impact", "Risk", "Rollback", "Testing"))


def test_uv_run_leaves_neither_a_lock_file_nor_an_environment(untouched: Example) -> None:
    assert not {"uv.lock", ".venv"} & {path.name for path in untouched.folder.iterdir()}


def up_and_down_and_up(example: Example, revision: str) -> None:
    example.run(f"uv run alembic upgrade {revision}")
    example.run("uv run alembic downgrade base")
    engine = sa.create_engine(example.url)
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    assert sa.inspect(engine).get_view_names() == []
    engine.dispose()
    example.run(f"uv run alembic upgrade {revision}")


def test_models_and_migrations_agree_also_after_going_down_and_up_again(example: Example) -> None:
    up_and_down_and_up(example, "head")
    assert "No new upgrade operations detected" in example.run("uv run alembic check")


def test_the_first_three_releases_migrate_sqlite_and_the_fourth_says_why_not(tmp_path: Path, sqlite_url: str) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=sqlite_url)
    up_and_down_and_up(example, ON_SQLITE)
    refused = example.try_to("uv run alembic upgrade head")
    assert refused.returncode != 0
    assert "HTStatus v4 and later need PostgreSQL, and this is sqlite" in refused.stderr
    assert ON_SQLITE in example.run("uv run alembic current")


@pytest.mark.slow
def test_the_password_column_is_not_narrowed_over_a_long_hash(example_anywhere: Example) -> None:
    example_anywhere.run(f"uv run alembic upgrade {V3}")
    example_anywhere.run("uv run python generate.py")
    engine = sa.create_engine(example_anywhere.url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE users SET password = :hash WHERE ht_id = 1000"), {"hash": "x" * 162})
    engine.dispose()
    refused = example_anywhere.try_to("uv run alembic downgrade -1")
    assert refused.returncode != 0
    assert "1 of users.password are longer than 128 characters" in refused.stderr
    assert V3 in example_anywhere.run("uv run alembic current")


@pytest.mark.parametrize(
    "revision_file", sorted((SOURCE / "migrations" / "versions").glob("*.py")), ids=lambda f: f.name
)
def test_a_revision_has_the_five_part_header(revision_file: Path) -> None:
    header = (
        r'"""[A-Z].*\.\n\nImpact: .+\nRisk: (Low|Medium|High) - .+\nRollback: (Simple|Complex) - .+\nTesting: .+\n"""\n'
    )
    assert re.match(header, revision_file.read_text())


@pytest.mark.slow
def test_make_test_runs_without_any_settings_on_a_database_of_its_own(tmp_path: Path) -> None:
    example = Example(tmp_path / "htstatus")
    assert re.search(r"\b6\d passed", example.run("uv run make test"))


@pytest.mark.slow
@pytest.mark.parametrize(("version", "revision"), [*SHIPPED.items(), *LAST_SURVIVED.items()])
def test_a_release_passes_its_tests_on_the_schema_it_shipped_with_and_on_the_last_that_it_survives(
    example: Example, version: str, revision: str
) -> None:
    example.run(f"uv run alembic upgrade {V1} && uv run python generate.py && uv run alembic upgrade {revision}")
    assert " passed" in example.run("uv run make test", HTSTATUS_VERSION=version)


def without_the_folder(tests: Path) -> None:
    shutil.rmtree(tests)


def without_a_test(tests: Path) -> None:
    for path in tests.rglob("test_*.py"):
        path.unlink()


def with_every_test_skipped(tests: Path) -> None:
    without_a_test(tests)
    for folder in (tests, tests / "integration"):
        (folder / f"test_{folder.name}.py").write_text("import pytest\n\n@pytest.mark.skip\ndef test_nothing(): ...\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "spoil"),
    [
        ("test", without_the_folder),
        ("test", without_a_test),
        ("test", with_every_test_skipped),
        ("test-integration", with_every_test_skipped),
        ("test-coverage", without_a_test),
    ],
)
def test_make_fails_when_no_test_ran(
    tmp_path: Path, sqlite_url: str, target: str, spoil: Callable[[Path], None]
) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=sqlite_url)
    spoil(example.folder / "tests")
    assert example.try_to(f"uv run make {target}").returncode != 0


FAULTS = {
    "SELECT count(*) FROM appearances a WHERE NOT EXISTS (SELECT 1 FROM matches m WHERE m.ht_id = a.match_id)": 37,
    "SELECT count(*) FROM players WHERE last_name IS NULL": 12,
    "SELECT count(*) FROM players WHERE transfer_flag NOT IN (0, 1)": 3,
    "SELECT count(*) FROM users WHERE password NOT LIKE '%$%'": 1,
    "SELECT count(*) FROM players": 200,
    "SELECT count(*) FROM matches": 90,
}
DUPLICATE_MARKS = "SELECT count(*) - count(DISTINCT player_id) FROM player_marks"


def test_generated_data_has_the_planted_faults(example_anywhere: Example) -> None:
    example_anywhere.run(f"uv run alembic upgrade {V3}")
    example_anywhere.run("uv run python generate.py --size tiny")
    expected = {**FAULTS, DUPLICATE_MARKS: 5}
    assert {query: example_anywhere.query(query)[0][0] for query in expected} == expected


@pytest.mark.slow
@pytest.mark.parametrize("revision", [V1, V2])
def test_data_can_be_generated_at_an_older_revision_and_taken_to_the_newest(example: Example, revision: str) -> None:
    example.run(f"uv run alembic upgrade {revision}")
    example.run("uv run python generate.py --size tiny")
    example.run(f"uv run alembic upgrade {V3}")
    assert {query: example.query(query)[0][0] for query in FAULTS} == FAULTS
    example.run("uv run alembic upgrade head")
    assert "No new upgrade operations detected" in example.run("uv run alembic check")


@pytest.mark.slow
@pytest.mark.parametrize("revision", [V4, V5, V6, V7, HEAD])
def test_data_can_be_generated_at_a_newer_revision_without_what_it_refuses(example: Example, revision: str) -> None:
    example.run(f"uv run alembic upgrade {revision}")
    example.run("uv run python generate.py --size tiny")
    counts = [example.query(f"SELECT count(*) FROM {table}")[0][0] for table in ("users", "players", "matches")]
    assert counts == [3, 200, 90]
    example.run(f"uv run alembic upgrade head && uv run alembic downgrade {V3}")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_data(tmp_path: Path) -> None:
    first, second = (
        Example(tmp_path / name, DATABASE_URL=f"sqlite:///{tmp_path / name}.db") for name in ("first", "second")
    )
    for example in (first, second):
        example.run(f"uv run alembic upgrade {ON_SQLITE}")
        example.run("uv run python generate.py --seed 7")
    for table in ("users", "players", "matches", "appearances", "player_marks"):
        assert first.query(f"SELECT * FROM {table}") == second.query(f"SELECT * FROM {table}")


@pytest.mark.slow
def test_the_tour_has_about_a_hundred_thousand_rows(migrated: Example) -> None:
    migrated.run("uv run python generate.py --size tour")
    tables = [
        f"SELECT count(*) AS n FROM {table}" for table in ("players", "appearances", "matches", "training_events")
    ]
    ((rows,),) = migrated.query(f"SELECT sum(n) FROM ({' UNION ALL '.join(tables)}) AS counts")
    assert 95_000 < rows < 110_000


def test_data_is_not_generated_where_there_are_no_tables(example: Example) -> None:
    refused = example.try_to("uv run python generate.py")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "alembic upgrade head" in refused.stderr


@pytest.mark.slow
def test_data_is_not_generated_over_other_data(migrated: Example) -> None:
    migrated.run("uv run python generate.py")
    assert migrated.try_to("uv run python generate.py").returncode == 1
    assert migrated.query("SELECT count(*) FROM users") == [(3,)]


@pytest.mark.slow
@pytest.mark.parametrize(("version", "revision"), SHIPPED.items())
def test_traffic_of_a_release_works_on_the_schema_it_shipped_with(
    example: Example, version: str, revision: str
) -> None:
    example.run(f"uv run alembic upgrade {revision}")
    line = example.run(f"uv run python traffic.py --version {version} --seconds 0.5 --rate 40 --out figures.json")
    figures = json.loads(line)
    assert (figures["version"], figures["ok"], figures["failed"], figures["errors"]) == (version, 20, 0, {})
    assert json.loads((example.folder / "figures.json").read_text()) == figures


@pytest.mark.slow
@pytest.mark.parametrize(("version", "revision"), [("v1", V1), ("v2", V2), ("v3", V3)])
def test_traffic_of_an_early_release_works_on_sqlite(
    tmp_path: Path, sqlite_url: str, version: str, revision: str
) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=sqlite_url)
    example.run(f"uv run alembic upgrade {revision}")
    figures = json.loads(example.run(f"uv run python traffic.py --version {version} --seconds 0.5 --rate 40"))
    assert (figures["ok"], figures["errors"]) == (20, {})


@pytest.mark.slow
def test_traffic_counts_what_fails_by_the_drivers_class_of_error(example: Example) -> None:
    example.run(f"uv run alembic upgrade {V2}")
    figures = json.loads(example.run("uv run python traffic.py --version v3 --seconds 0.5 --rate 40"))
    assert figures["errors"] == {"UndefinedTable": figures["failed"]} == {"UndefinedTable": 2}


@pytest.fixture
def traffic(migrated: Example) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "traffic.py", "--version", "v8", "--seconds", "60", "--rate", "50"]
    with subprocess.Popen(
        command,
        cwd=migrated.folder,
        env=migrated.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "htstatus@v8 is running\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_traffic_ends_with_its_figures_on_sigterm(traffic: subprocess.Popen[str]) -> None:
    traffic.send_signal(signal.SIGTERM)
    output, _ = traffic.communicate(timeout=DEADLINE_S)
    assert traffic.returncode == 0
    assert json.loads(output)["failed"] == 0


def test_traffic_is_seen_by_the_server_under_its_name(migrated: Example, traffic: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not migrated.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'htstatus@v8'"):
        assert traffic.poll() is None
        assert time.monotonic() < deadline
