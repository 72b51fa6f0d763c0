"""How long it takes to know a schema: Handrail's fingerprint and snapshot beside what else reads a whole catalogue.

On PostgreSQL, at several sizes; every table has a primary key, a foreign key to the one before, a unique constraint, a
check and an index.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine, make_url
from stopwatch import Table, call, run

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.binaries import find
from handrail.engines.postgresql.sandbox import fresh_database, open_for_tests
from handrail.engines.postgresql.server import Server
from handrail.model.schema import diff

TABLE = """
create table t{number} (
  id integer primary key,
  parent_id integer references t{parent},
  name varchar(100) not null,
  amount numeric(10, 2) default 0,
  made_at timestamptz default now(),
  constraint uq_t{number}_name unique (name),
  constraint ck_t{number}_amount check (amount >= 0)
);
create index ix_t{number}_made_at on t{number} (made_at);
"""


def fill(url: str, tables: int) -> None:
    """Create that many tables."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for number in range(tables):
            conn.exec_driver_sql(TABLE.format(number=number, parent=max(number - 1, 0)))
        conn.exec_driver_sql("analyze")
    engine.dispose()


def compare(conn: Connection, metadata: MetaData) -> None:
    """Do what `alembic check` does."""
    compare_metadata(MigrationContext.configure(conn), metadata)


def measure(table: Table, server: Server, tables: int, rounds: int) -> None:
    """Take turns at one size; the first round only fills caches."""
    with fresh_database(server) as url:
        fill(url, tables)
        engine, plain = for_url(url), create_engine(url)
        # libpq knows no "+driver".
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        dump = [str(find(server.major).folder / "pg_dump"), "--schema-only", f"--dbname={address}"]
        with engine.connect(Purpose.READ) as conn, plain.connect() as other:
            expected = engine.catalog.snapshot(conn)
            metadata = MetaData()
            metadata.reflect(other)
            sides: dict[str, Callable[[], object]] = {
                "MetaData.reflect": lambda: MetaData().reflect(other),
                "alembic compare_metadata": lambda: compare(other, metadata),
                "fingerprint": lambda: engine.catalog.fingerprint(conn),
                "snapshot and diff": lambda: diff(expected, engine.catalog.snapshot(conn)),
            }
            for number in range(rounds + 1):
                costs = {side: call(function) for side, function in sides.items()} | {"pg_dump -s": run(dump)}
                if number:
                    for side, cost in costs.items():
                        table.add(f"{tables} tables", side, cost)
        plain.dispose()


def main() -> None:
    """Print medians over the rounds at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table()
    with open_for_tests() as server:
        for tables in options.tables:
            measure(table, server, tables, options.rounds)
    table.print()


if __name__ == "__main__":
    main()
