"""How long 20 versions by 48 revisions take: `handrail compat`, and the same operations with a connection for each.

CPU is that of the command with its children and of the server's processes. The other side sends one SELECT, two
INSERTs, an UPDATE and a DELETE for each table of each cell, each on a connection of its own; it plants nothing, and
judges nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy import make_url
from stopwatch import BIN, Cost, run

from handrail.engines.postgresql.servers.sandbox import fresh_database, open_for_tests
from handrail.engines.postgresql.servers.server import Server
from handrail.history.env.contracts import contract

ENV_PY = """
from alembic import context
from sqlalchemy import create_engine

with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
INI = "[alembic]\nscript_location = %(here)s/migrations\n"
SETTINGS = '[tool.handrail.environments.bench]\nurl = "env:HANDRAIL_BENCH_URL"\n'
TICKS = os.sysconf("SC_CLK_TCK")
#: The fields of /proc/PID/stat after the name: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
PPID, OWN, REAPED = 1, slice(11, 13), slice(13, 15)


@dataclass(slots=True)
class Application:
    """The tables of an application that grows, as columns by name; `change` gives the next revision."""

    tables: dict[str, dict[str, str]] = field(default_factory=dict)

    def change(self, number: int) -> str:
        """Change the tables, and return the body of the upgrade that does the same."""
        if number < 12 or number % 8 == 0:  # noqa: PLR2004 - a base of twelve tables, then one in eight
            return self._create(f"thing_{number}")
        names = sorted(self.tables)
        table = names[number % len(names)]
        columns = self.tables[table]
        added = next((c for c in columns if c.startswith("extra")), None)
        match number % 8:
            case 1 | 5:
                columns[f"extra_{number}"] = "sa.Column({name!r}, sa.String(40))"
                return f"op.add_column({table!r}, sa.Column('extra_{number}', sa.String(40)))"
            case 2:
                columns[f"state_{number}"] = "sa.Column({name!r}, sa.Integer, nullable=False, server_default='0')"
                return (
                    f"op.add_column({table!r}, sa.Column('state_{number}', sa.Integer, nullable=False,"
                    " server_default='0'))"
                )
            case 3 if added:
                columns[f"{added}_r"] = columns.pop(added)
                return f"op.alter_column({table!r}, {added!r}, new_column_name='{added}_r')"
            case 4:
                return f"op.create_unique_constraint('uq_{number}', {table!r}, ['title', 'kind'])"
            case 6 if added:
                del columns[added]
                return f"op.drop_column({table!r}, {added!r})"
            case 7:
                return f"op.alter_column({table!r}, 'title', type_=sa.Text)"
        return f"op.execute(\"update {table} set kind = 'b' where kind = 'c'\")"

    def metadata(self) -> sa.MetaData:
        """Return the models of the version that is written for the schema as it is now."""
        metadata = sa.MetaData()
        for name, columns in self.tables.items():
            made = [eval(text.format(name=column), {"sa": sa}) for column, text in columns.items()]  # noqa: S307 - ours
            sa.Table(name, metadata, *made)
        return metadata

    def _create(self, name: str) -> str:
        columns = {
            "id": "sa.Column({name!r}, sa.Integer, primary_key=True)",
            "title": "sa.Column({name!r}, sa.String(60), nullable=False)",
            "kind": "sa.Column({name!r}, sa.String(10), nullable=False, server_default='a')",
            "amount": "sa.Column({name!r}, sa.Numeric(10, 2))",
            "made_at": "sa.Column({name!r}, sa.DateTime(timezone=True), server_default=sa.func.now())",
            "open": "sa.Column({name!r}, sa.Boolean, nullable=False, server_default=sa.false())",
        }
        parents = sorted(self.tables)[: len(self.tables) // 4]
        columns |= {f"{p}_id": f"sa.Column({{name!r}}, sa.Integer, sa.ForeignKey('{p}.id'))" for p in parents[-2:]}
        self.tables[name] = columns
        made = ", ".join(text.format(name=column) for column, text in columns.items())
        return f"op.create_table({name!r}, {made})"


def project(folder: Path, revisions: int, count: int) -> list[sa.MetaData]:
    """Write the revisions, and a contract in a file for each version; return the versions' models."""
    place = folder / "migrations" / "versions"
    place.mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV_PY)
    (folder / "alembic.ini").write_text(INI)
    (folder / "pyproject.toml").write_text(SETTINGS)
    application, models = Application(), []
    for number in range(revisions):
        body = application.change(number)
        parent = repr(f"r{number - 1:02}") if number else "None"
        (place / f"r{number:02}.py").write_text(
            f'"""Step {number}."""\nfrom alembic import op\nimport sqlalchemy as sa\nrevision = "r{number:02}"\n'
            f"down_revision = {parent}\ndef upgrade():\n    {body}\n\ndef downgrade():\n    pass\n"
        )
        if number * count // revisions != (number + 1) * count // revisions:
            models.append(application.metadata())
            found = contract((models[-1],), make_url("postgresql+psycopg://").get_dialect()())
            (folder / f"v{len(models)}-r{number:02}.json").write_bytes(msgspec.json.encode(found, enc_hook=str))
    return models


def server_cpu_s(postmaster: int) -> float:
    """Return the CPU time of a server so far: of the postmaster, its processes, and those that have ended."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat.parent.name) == postmaster:
            ticks += sum(map(int, fields[REAPED]))
        if postmaster in {int(stat.parent.name), int(fields[PPID])}:
            ticks += sum(map(int, fields[OWN]))
    return ticks / TICKS


def postmaster_of(server: Server) -> int:
    """Return the process id of a server on this machine."""
    with server.session() as conn:
        [[pid]] = conn.execute("select pg_backend_pid()").fetchall()
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[PPID])


def operations(models: sa.MetaData) -> Iterator[list[sa.Executable]]:
    """Yield what a version does with each of its tables."""
    for table in models.tables.values():
        row = {"id": 1, "title": "a", "kind": "b", "amount": 1}
        yield [sa.select(table)]
        yield [table.insert().values(row)]
        yield [table.insert().values(title="a")]
        yield [table.insert().values(row), table.update().values(title="b").where(table.c.id == 1)]
        yield [table.insert().values(row), table.delete().where(table.c.id == 1)]


def connection_each(url: str, models: list[sa.MetaData], cells: int) -> Cost:
    """Return what that many cells take with a connection for each operation. The tables need not be there."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(cells):
        for statements in operations(models[number * len(models) // cells]):
            with engine.connect() as conn:
                with suppress(sa.exc.DBAPIError):  # what this version cannot do here: a finding like any other
                    for statement in statements:
                        conn.execute(statement)
                conn.rollback()
    return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - began)


def main() -> None:
    """Print CPU time and cells per second of both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, default=48)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--sample", type=int, default=10, help="cells of the other side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, open_for_tests() as server, fresh_database(server) as url:
        folder = Path(name)
        models = project(folder, options.revisions, options.versions)
        env = {"HANDRAIL_BENCH_URL": url, "HANDRAIL_SANDBOX_URL": server.url()}
        handrail = [str(BIN / "handrail")]
        for file in sorted(folder.glob("v*.json"), key=lambda file: int(file.stem[1:].partition("-")[0])):
            version, _, at = file.stem.partition("-")
            run([*handrail, "versions", "register", version, "--from-file", file.name, "--at", at], cwd=folder, env=env)
        postmaster = postmaster_of(server)
        print(f"{'side':<28} {'cells':>6} {'CPU s':>7} {'server s':>9} {'wall s':>7} {'cells/s':>8}")
        for side, arguments in (("compat", []), ("compat --all", ["--all"])):
            before = server_cpu_s(postmaster)
            cost = run(
                ["sh", "-c", f"{handrail[0]} compat --format json {' '.join(arguments)} > compat.json; test $? -le 1"],
                cwd=folder,
                env=env,
            )
            served = server_cpu_s(postmaster) - before
            told(side, options.revisions * options.versions, cost, served)
        before = server_cpu_s(postmaster)
        cost = connection_each(url, models, options.sample)
        told("a connection per operation", options.sample, cost, server_cpu_s(postmaster) - before)


def told(side: str, cells: int, cost: Cost, served_s: float) -> None:
    """Print one side."""
    rate = cells / cost.wall_s
    print(f"{side:<28} {cells:>6} {cost.cpu_s + served_s:>7.2f} {served_s:>9.2f} {cost.wall_s:>7.2f} {rate:>8.1f}")


if __name__ == "__main__":
    sys.exit(main())
