from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import produce_migrations
from alembic.operations.ops import DropTableOp
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData

from handrail import alembic_plugin
from handrail.engines.base import Purpose, for_url
from handrail.journal import tables


def _dropped(url: str, *, include_schemas: bool) -> list[str]:
    with for_url(url).connect(Purpose.READ) as conn:
        context = MigrationContext.configure(conn, opts={"include_schemas": include_schemas})
        found = produce_migrations(context, MetaData()).upgrade_ops
    assert found is not None
    return [op.table_name for op in found.ops if isinstance(op, DropTableOp)]


@pytest.mark.parametrize("include_schemas", [False, True])
def test_autogenerate_leaves_our_tables_and_still_sees_others(database_url: str, *, include_schemas: bool) -> None:
    engine = for_url(database_url)
    with engine.connect(Purpose.STATE) as conn:
        tables.create(conn, engine)
        conn.exec_driver_sql("create table stray (id integer primary key)")
    assert _dropped(database_url, include_schemas=include_schemas) == ["stray"]


def test_the_plugin_is_loaded_by_a_plain_alembic(tmp_path: Path) -> None:
    code = "import alembic.runtime.plugins as p; import alembic.command; print(sorted(p._all_plugins))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "alembic.autogenerate.handrail" in done.stdout


def test_the_plugins_names_are_those_of_the_tables() -> None:

    names = {t.name for t in tables.tables(for_url("sqlite:///x.db")).metadata.tables.values()}
    assert names == alembic_plugin.TABLES
