"""What the data revisions of the reference application promise in their headers: values, logins, interruptions."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from htstatus import DEADLINE_S, FLAG_CONTRACTED, FORM_EXPANDED, HEAD, V3, V4, V5, V7, Example
from sqlalchemy import Connection

pytestmark = pytest.mark.slow

#: Weather is dropped for good, as the header of that revision says.
_ROW = "to_jsonb(each) - 'weather'"
_TABLES = ("users", "teams", "players", "matches", "appearances", "player_marks", "squad_groups", "training_events")
#: Logs in with each release as the first user of the generator, whose password is a bare SHA-256, and as the second.
_LOG_IN = """
import sys
from importlib import import_module
app = import_module(f"versions.{sys.argv[1]}").create_app()
for number, password in ((0, "password0"), (1, "password1"), (0, "wrong")):
    answer = app.test_client().post("/login", json={"login": f"manager{number}", "password": password})
    print(answer.status_code)
"""
_NAIVE = "bad/naive_password_rewrite/versions/b1d000000002_rewrite_passwords.py"


@pytest.fixture
def filled(tmp_path: Path, postgresql_url: str) -> Example:
    """Rows with every planted fault, at the revision that v3 shipped with."""
    example = Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)
    example.run(f"uv run alembic upgrade {V3} && uv run python generate.py")
    return example


def values(example: Example) -> dict[str, list[str]]:
    """Every row of every table as text, whatever the order of its columns."""
    found = {table: example.query(f"SELECT ({_ROW})::text FROM {table} AS each") for table in _TABLES}
    return {table: sorted(str(row[0]) for row in rows) for table, rows in found.items()}


def execute(example: Example, statement: str) -> None:
    with connected(example) as connection:
        connection.execute(sa.text(statement))
        connection.commit()


@contextmanager
def connected(example: Example) -> Iterator[Connection]:
    engine = sa.create_engine(example.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_way_to_the_newest_revision_and_back_changes_no_value(filled: Example) -> None:
    before = values(filled)
    filled.run(f"uv run alembic upgrade head && uv run alembic downgrade {V3}")
    assert values(filled) == before


def test_what_does_not_fit_goes_to_quarantine_with_its_reason(filled: Example) -> None:
    filled.run("uv run alembic upgrade head")
    kept = dict(filled.query("SELECT reason, count(*) FROM quarantine GROUP BY reason"))
    assert kept == {
        "transfer_flag does not cast": 3,
        "match_id is no match": 37,
        "no name": 12,
        "marked twice": 5,
    }
    flags = filled.query("SELECT row ->> 'transfer_flag' FROM quarantine WHERE reason LIKE 'transfer%'")
    assert sorted(flags) == [("-1",), ("2",), ("7",)]


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4"])
def test_a_release_lets_in_whom_it_let_in_after_the_passwords_are_migrated(filled: Example, version: str) -> None:
    passwords = filled.query("SELECT ht_id, password FROM users ORDER BY ht_id")
    filled.run(f"uv run alembic upgrade {V4}")
    assert filled.run(f"python -c '{_LOG_IN}' {version}").split() == ["200", "200", "401"]
    assert filled.query("SELECT ht_id, password FROM users ORDER BY ht_id") == passwords
    assert filled.query("SELECT count(*) FROM users WHERE password_wrapped LIKE 'scrypt:%'") == [(1,)]


def test_the_naive_rewrite_of_the_passwords_locks_older_releases_out(filled: Example) -> None:
    naive = (filled.folder / _NAIVE).read_text().replace("'b1d000000001'", f"'{V3}'")
    for later in filled.revision_files():
        if later.name.startswith("9df7c25ea046"):
            later.write_text(later.read_text().replace(f"down_revision = '{V3}'", "down_revision = 'b1d000000002'"))
    (filled.folder / "migrations" / "versions" / "b1d000000002_rewrite_passwords.py").write_text(naive)
    filled.run("uv run alembic upgrade b1d000000002")
    assert filled.run(f"python -c '{_LOG_IN}' v1").split()[0] == "401"


def test_each_release_reads_what_the_other_wrote_while_a_column_has_two_names(filled: Example) -> None:
    filled.run(f"uv run alembic upgrade {V5}")
    skills = "keeper, defending, playmaking, winger, passing, scoring, set_pieces, experience"
    into = f"INSERT INTO players (team_id, age, stamina, tsi, salary, {skills}, data_date, ht_id"
    ones = ", ".join("1" * 13) + ", '2026-01-01'"
    execute(filled, f"{into}, form, transfer_flag) VALUES ({ones}, 1, 7, 1)")
    execute(filled, f"{into}, current_form, transfer_listed) VALUES ({ones}, 2, 6, true)")
    look = "SELECT form, current_form, transfer_flag, transfer_listed FROM players WHERE ht_id < 3 ORDER BY ht_id"
    assert filled.query(look) == [(7, 7, 1, True), (6, 6, 1, True)]
    execute(filled, "UPDATE players SET current_form = 3, transfer_listed = false WHERE ht_id = 1")
    execute(filled, "UPDATE players SET form = 2, transfer_flag = 0 WHERE ht_id = 2")
    assert filled.query(look) == [(3, 3, 0, False), (2, 2, 0, False)]


@pytest.mark.timeout(300)
def test_a_backfill_that_was_interrupted_keeps_its_batches_and_goes_on(tmp_path: Path, postgresql_url: str) -> None:
    example = Example(tmp_path / "htstatus", DATABASE_URL=postgresql_url)
    example.run(f"uv run alembic upgrade {V3} && uv run python generate.py --size tour")
    example.run(f"uv run alembic upgrade {FORM_EXPANDED}")
    filled = "SELECT count(*) FROM players WHERE current_form IS NOT NULL"
    with connected(example) as blocker:
        blocker.execute(sa.text("SELECT FROM players WHERE ht_id = (SELECT max(ht_id) FROM players) FOR UPDATE"))
        command = ["sh", "-c", f"uv run alembic upgrade {V4}"]
        with subprocess.Popen(
            command, cwd=example.folder, env=example.environment, stderr=subprocess.DEVNULL
        ) as process:
            end_the_one_who_waits(example)
            assert process.wait(DEADLINE_S) != 0
    after_the_interruption = example.query(filled)[0][0]
    assert 0 < after_the_interruption < 40_000
    assert after_the_interruption % 10_000 < 40  # whole batches: a player has 40 snapshots
    example.run(f"uv run alembic upgrade {V4}")
    assert example.query(filled) == [(40_000,)]


def end_the_one_who_waits(example: Example) -> None:
    """End the session that waits for a row, once there is one."""
    waits = "wait_event_type = 'Lock' AND query LIKE '%DO $$%'"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {waits}"
    deadline = time.monotonic() + DEADLINE_S
    while not example.query(end):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("at", "to", "spoil", "says"),
    [
        (
            FLAG_CONTRACTED,
            "39716cf84ae0",
            "UPDATE matches SET type = 6 WHERE ht_id = 700000000",
            "no kind that we know",
        ),
        (
            "175f4ad628ce",
            FLAG_CONTRACTED,
            "ALTER TABLE players DISABLE TRIGGER USER; UPDATE players SET transfer_listed = NOT transfer_listed",
            "transfer_listed and transfer_flag differ",
        ),
    ],
    ids=["a code without a kind", "a twin that differs"],
)
def test_a_cast_that_would_lose_something_is_refused_and_nothing_changes(
    filled: Example, at: str, to: str, spoil: str, says: str
) -> None:
    filled.run(f"uv run alembic upgrade {at}")
    execute(filled, spoil)
    refused = filled.try_to(f"uv run alembic upgrade {to}")
    assert refused.returncode != 0
    assert says in refused.stderr
    assert at in filled.run("uv run alembic current")


def test_an_administrator_of_the_view_and_of_the_tables_is_the_same(filled: Example) -> None:
    filled.run(f"uv run alembic upgrade {V7}")
    before = filled.query("SELECT * FROM users ORDER BY ht_id")
    filled.run("uv run alembic upgrade head")
    columns = "ht_id, login, username, password, oauth_key, oauth_secret, last_login, last_update, column_prefs, role"
    assert filled.query(f"SELECT {columns}, password_wrapped FROM users ORDER BY ht_id") == before
    execute(filled, "INSERT INTO users (ht_id, login, username, password) VALUES (1, 'a', 'A', 'x')")
    execute(filled, "UPDATE users SET username = 'B', role = 'admin' WHERE ht_id = 1")
    assert filled.query("SELECT username FROM profiles WHERE ht_id = 1") == [("B",)]
    assert filled.query("SELECT login, role FROM accounts WHERE ht_id = 1") == [("a", "admin")]
    execute(filled, "DELETE FROM users WHERE ht_id = 1")
    assert filled.query("SELECT count(*) FROM profiles WHERE ht_id = 1") == [(0,)]


@pytest.mark.timeout(300)
def test_handrail_applies_all_of_it_and_rolls_all_of_it_back(filled: Example) -> None:
    before = values(filled)
    filled.run("handrail apply -e development --yes")
    assert HEAD in filled.run("uv run alembic current")
    filled.run(f"handrail rollback {V3} -e development --yes")
    assert values(filled) == before
