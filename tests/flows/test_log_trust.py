"""The log's sources are run only where the log is what was written: whoever may write a row may not choose our code."""

from __future__ import annotations

import hashlib
import signal
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from workbench import Workbench

from handrail.engines.base import for_url
from handrail.journal import log
from handrail.journal.tables import tables
from handrail.model.log import LogEntry

_KILLED = -signal.SIGKILL
_FORGED = """
from pathlib import Path
from alembic import op
revision = "aaa2"
down_revision = "aaa1"
Path("{}").touch()
def upgrade():
    pass
def downgrade():
    pass
"""


@pytest.fixture
def applied(bench: Workbench) -> Workbench:
    """A project whose two revisions are applied."""
    for number, parent in ((1, None), (2, "aaa1")):
        table = f'"t{number}"'
        create = f'op.create_table({table}, sa.Column("id", sa.Integer))'
        bench.revision(f"aaa{number}", parent, create, f"op.drop_table({table})")
    assert bench.run("apply", "--yes").returncode == 0
    return bench


def forged(bench: Workbench) -> bytes:
    return _FORGED.format(bench.root / "injected").encode()


def write(bench: Workbench, entry: LogEntry) -> None:
    """Change the row of that revision, as its hash and its source say."""
    table = tables(for_url(bench.url)).log
    changed = {
        "source": zlib.compress(entry.source),
        "file_digest": entry.file_digest,
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }
    with bench.database() as conn:
        conn.execute(table.update().where(table.c.revision == entry.revision).values(changed))


def entries(bench: Workbench) -> tuple[LogEntry, ...]:
    with bench.database() as conn:
        return log.entries(conn, for_url(bench.url))


def forge_row(bench: Workbench) -> None:
    source = forged(bench)
    digest = hashlib.sha256(source).hexdigest()
    write(bench, replace(entries(bench)[1], source=source, file_digest=digest))


def forge_chain(bench: Workbench) -> None:
    source = forged(bench)
    first, second = entries(bench)
    digest = hashlib.sha256(source).hexdigest()
    write(bench, replace(second, source=source, file_digest=digest).chained(first.hash))


def cut_the_end(bench: Workbench) -> None:
    table = tables(for_url(bench.url)).log
    with bench.database() as conn:
        conn.execute(sa.delete(table).where(table.c.revision == "aaa2"))


@pytest.mark.parametrize("tamper", [forge_row, forge_chain, cut_the_end])
@pytest.mark.parametrize("command", [("rollback", "aaa1", "--yes"), ("rollback", "aaa1", "--dry-run")])
def test_a_rollback_refuses_a_log_that_was_tampered_with(
    applied: Workbench, tamper: Callable[[Workbench], None], command: tuple[str, ...]
) -> None:
    tamper(applied)
    assert applied.run("log").returncode == 1
    refused = applied.run(*command)
    assert refused.returncode == 2, refused.stderr
    assert "nothing was touched" in refused.stderr
    assert "handrail log -e main" in refused.stderr
    assert not (applied.root / "injected").exists()
    assert applied.rows("select version_num from alembic_version") == [("aaa2",)]


def test_resume_refuses_a_log_that_was_tampered_with(applied: Workbench) -> None:
    applied.revision("aaa3", "aaa2", "pass")
    applied.revision("aaa4", "aaa3", "pass")
    assert applied.die_at("Committed", 1, "apply", "--yes").returncode == _KILLED
    forge_row(applied)
    refused = applied.run("resume", "--yes")
    assert refused.returncode == 2, refused.stderr
    assert "handrail log -e main" in refused.stderr
    assert not (applied.root / "injected").exists()


def test_a_sound_log_still_brings_back_the_downgrade_that_was_deployed(applied: Workbench) -> None:
    (applied.versions / "aaa2_step.py").unlink()
    done = applied.run("rollback", "aaa1", "--yes")
    assert done.returncode == 0, done.stderr
    assert applied.rows("select version_num from alembic_version") == [("aaa1",)]


_ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "line endings of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "another encoding": lambda text: f"# -*- coding: latin-1 -*-\n{text}# café\n".encode("latin-1"),
}


@pytest.mark.parametrize("case", _ENCODINGS)
def test_a_file_of_any_encoding_is_logged_as_it_is_and_rolled_back(case: str, applied: Workbench) -> None:
    file = applied.revision("aaa3", "aaa2", 'op.drop_table("t2")', 'op.create_table("t2", sa.Column("id", sa.Integer))')
    file.write_bytes(_ENCODINGS[case](file.read_text()))
    assert applied.run("apply", "--yes").returncode == 0
    assert "chain sound" in applied.run("log").stderr + applied.run("log").stdout
    file.unlink()
    done = applied.run("rollback", "aaa2", "--yes")
    assert done.returncode == 0, done.stderr
    assert applied.rows("select version_num from alembic_version") == [("aaa2",)]


def test_tables_of_others_under_our_names_are_refused_before_anything_is_touched(bench: Workbench) -> None:
    bench.revision("aaa1", None, "pass")
    table = tables(for_url(bench.url)).log.fullname
    bench.execute(*(["create schema handrail"] if "." in table else []), f"create table {table} (x int)")
    refused = bench.run("apply", "--yes")
    assert refused.returncode == 2, refused.stderr
    assert f"{table} is there already" in refused.stderr
    assert "nothing was touched" in refused.stderr
    bench.execute(f"drop table {table}")
    assert bench.run("apply", "--yes").returncode == 0


def test_an_older_copy_that_was_restored_is_rolled_back_after_somebody_has_bound_it(applied: Workbench) -> None:
    cut_the_end(applied)
    applied.execute("drop table t2", "update alembic_version set version_num = 'aaa1'")
    assert "handrail status --rebind main" in applied.run("rollback", "base", "--yes").stderr
    applied.run("status", "--rebind", "main")
    done = applied.run("rollback", "base", "--yes")
    assert done.returncode == 0, done.stderr
    assert applied.rows("select count(*) from alembic_version") == [(0,)]
