"""How long it takes to know what a table holds: the print of its rows beside what else reads or hashes all of them.

One table of 13 columns, as a grown application has, on both engines. The first side counts the rows.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, create_engine
from stopwatch import Table, call

from handrail.engines.base import Engine, Purpose, for_url
from handrail.engines.postgresql.servers.sandbox import fresh_database, open_for_tests

COLUMNS = """
create table players (
  id bigint primary key, user_id bigint, first_name varchar(60), last_name varchar(60), nationality varchar(3),
  age integer, salary numeric(12, 2), value numeric(14, 2), rating {real}, bio text, details {json},
  created {moment}, updated {moment}
)
"""
ROWS = {
    "postgresql": """
insert into players
select i, i * 7 % 300000, 'F' || md5(i::text), 'L' || substr(md5((i + 1)::text), 1, 12),
       substr('ENGFRAGERESPITA', 1 + (i % 5)::int * 3, 3), 16 + i % 25, (i * 37 % 1000000) / 100.0,
       i * 13 % 100000000 / 100.0, i / 7.0, case when i % 3 = 0 then repeat(md5(i::text), 4) end,
       jsonb_build_object('foot', case when i % 4 = 0 then 'left' else 'right' end, 'caps', i % 40),
       timestamptz '2026-01-01' - i * interval '1 s', timestamptz '2026-01-01' - i * interval '3.7 s'
from generate_series(1::bigint, {rows}) i
""",
    "sqlite": """
with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})
insert into players
select i, i * 7 % 300000, 'F' || hex(i * 7919), 'L' || hex(i * 104729), substr('ENGFRAGERESPITA', 1 + i % 5 * 3, 3),
       16 + i % 25, (i * 37 % 1000000) / 100.0, i * 13 % 100000000 / 100.0, i / 7.0,
       case when i % 3 = 0 then 'lives in town ' || hex(i) || ' and plays on Sundays' end,
       '{"foot": "' || case when i % 4 = 0 then 'left' else 'right' end || '", "caps": ' || i % 40 || '}',
       datetime(1767225600 - i, 'unixepoch'), datetime(1767225600 - i * 3, 'unixepoch')
from n
""",
}
TYPES = {
    "postgresql": {"real": "double precision", "json": "jsonb", "moment": "timestamptz"},
    "sqlite": {"real": "real", "json": "text", "moment": "text"},
}
TEXTS = "select sum(hashtextextended(t::text, 0)) from players t"
MD5 = "select md5(string_agg(md5(t::text), '' order by id)) from players t"


def fill(url: str, name: str, rows: int) -> None:
    """Create the table with that many rows."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    plain = {"no_parameters": True}
    with engine.connect() as conn:
        conn.exec_driver_sql(COLUMNS.format(**TYPES[name]), execution_options=plain)
        conn.exec_driver_sql(ROWS[name].replace("{rows}", str(rows)), execution_options=plain)
        conn.exec_driver_sql("vacuum" if name == "sqlite" else "vacuum analyze players", execution_options=plain)
    engine.dispose()


def read_all(conn: Connection) -> None:
    """Hash the text of every row in Python, as a script would."""
    digest = hashlib.sha256()
    for row in conn.exec_driver_sql("select * from players order by id"):
        digest.update(repr(row).encode())


def sides(engine: Engine, conn: Connection) -> dict[str, Callable[[], object]]:
    """Return what is measured."""
    own = (
        {
            "sum of hashed row texts": lambda: conn.exec_driver_sql(TEXTS).all(),
            "md5 of md5s in order": lambda: conn.exec_driver_sql(MD5).all(),
        }
        if engine.name == "postgresql"
        else {"sha256 of all rows in order": lambda: read_all(conn)}
    )
    return {
        "count(*)": lambda: conn.exec_driver_sql("select count(*) from players").all(),
        "print": lambda: engine.rows.fingerprint(conn),
        "print with buckets": lambda: engine.rows.fingerprint(conn, buckets=True),
        **own,
    }


def measure(table: Table, url: str, rows: int, rounds: int) -> None:
    """Take turns; the first round only fills caches."""
    engine = for_url(url)
    fill(url, engine.name, rows)
    with engine.connect(Purpose.STATE) as conn:
        for number in range(rounds + 1):
            for side, function in sides(engine, conn).items():
                cost = call(function)
                if number:
                    table.add(f"{engine.name}, {rows} rows", side, cost)


def main() -> None:
    """Print medians over the rounds on each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table()
    with open_for_tests() as server, fresh_database(server) as url:
        measure(table, url, options.rows, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        measure(table, f"sqlite:///{Path(folder) / 'players.db'}", options.rows // 5, options.rounds)
    table.print()


if __name__ == "__main__":
    main()
