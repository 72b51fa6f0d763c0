"""Labelled migrations: what a review has to say of each, or that it is safe.

A file of cases is text. `=== hazard RULE ...: title` begins a hazard, of which one of these rules has to speak, and
`=== warning RULE ...: title` one of which it has to speak with a warning or worse; `=== safe: title` begins what is
safe, of which nothing of warning or worse may be said. Lines `name: value` follow (`scene: none`, for a history that
does not tell of the tables; `risk`, `rollback`, `file`, `engine`), then blocks, each after its name: `--- docstring`,
`--- module`, `--- below` (a revision between the scene and this one), `--- upgrade`, `--- downgrade`,
`--- no downgrade`. Without an upgrade it is the one that adds a column and drops it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

FOLDER = Path(__file__).parent / "labelled"
_USUAL = ('op.add_column("users", sa.Column("nick", sa.String(50)))', 'op.drop_column("users", "nick")')
_HEADER = """{title}.

Purpose: The pages of the players need it.
Impact: {title}; see upgrade().
Risk: {risk}.
Rollback: {rollback}.
Testing: Upgraded and downgraded on a copy of production.
"""
_RISKS = {True: "High - others wait or lose", False: "Low - additive"}
_ROLLBACKS = {True: "Complex - restore from the backup", False: "Simple - the downgrade takes it back"}
_TABLES = """
op.create_table("teams",
    sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(100), nullable=False),
    sa.Column("city", sa.Text), sa.UniqueConstraint("name", name="uq_teams_name"))
op.create_table("users",
    sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(255), nullable=False),
    sa.Column("name", sa.String(50)), sa.Column("bio", sa.Text), sa.Column("age", sa.Integer),
    sa.Column("score", sa.Numeric(10, 2)), sa.Column("visits", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status", sa.String(20), server_default="new"), sa.Column("active", sa.Boolean),
    sa.Column("settings", sa.JSON), sa.Column("created_at", sa.DateTime), sa.Column("team_id", sa.Integer),
    sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name="fk_users_team_id"),
    sa.CheckConstraint("age > 0", name="ck_users_age"))
op.create_index("ix_users_email", "users", ["email"])
op.create_table("players",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_players_user_id"), nullable=False),
    sa.Column("team_id", sa.Integer), sa.Column("name", sa.String(100)), sa.Column("external_id", sa.String(64)),
    sa.Column("goals", sa.BigInteger))
op.create_table("matches",
    sa.Column("id", sa.Integer, primary_key=True), sa.Column("home_id", sa.Integer), sa.Column("away_id", sa.Integer),
    sa.Column("played_on", sa.Date))
"""
_POSTGRESQL = """
op.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')")
op.execute("ALTER TABLE players ADD COLUMN mood mood")
op.execute("ALTER TABLE matches ADD COLUMN during tsrange")
op.execute("CREATE VIEW active_users AS SELECT id, email FROM users WHERE active")
op.execute("CREATE MATERIALIZED VIEW team_totals AS SELECT team_id, count(*) AS n FROM players GROUP BY team_id")
op.execute("CREATE UNIQUE INDEX uq_team_totals ON team_totals (team_id)")
op.execute("CREATE TABLE events (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at)")
op.execute("CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
op.execute("CREATE TABLE events_2026 (id bigint NOT NULL, at date NOT NULL)")
op.execute("CREATE SCHEMA archive")
"""
SCENES = {"postgresql": _TABLES + _POSTGRESQL, "sqlite": _TABLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One labelled migration. `rules` are those of which one has to speak, `loud`ly or not, none where it is safe."""

    group: str
    rules: frozenset[str]
    loud: bool
    title: str
    engine: str
    scene: bool
    docstring: str
    file: str
    below: tuple[str, ...]
    module: str
    upgrade: str
    downgrade: str | None

    def __str__(self) -> str:
        return f"{self.group}: {self.title}"


def cases() -> Iterator[Case]:
    """Yield every case of every file, in their order."""
    for path in sorted(FOLDER.glob("*.txt")):
        for text in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
            yield _case(path.stem, text)


def _case(group: str, text: str) -> Case:
    first, *parts = re.split(r"^--- (.+)\n", text + "\n", flags=re.MULTILINE)
    head, *lines = first.strip().splitlines()
    label, _, title = head.partition(": ")
    told = dict(line.split(": ", 1) for line in lines)
    blocks = [(name, body.strip("\n")) for name, body in zip(parts[::2], parts[1::2], strict=True)]
    some = dict(blocks)
    rules = frozenset(label.split()[1:])
    header = _HEADER.format(
        title=title,
        risk=told.get("risk", _RISKS[bool(rules)]),
        rollback=told.get("rollback", _ROLLBACKS[bool(rules)]),
    )
    upgrade, downgrade = (some["upgrade"], some.get("downgrade", "pass")) if "upgrade" in some else _USUAL
    return Case(
        group=group,
        rules=rules,
        loud=label.startswith("warning"),
        title=title,
        engine=told.get("engine", "sqlite" if group == "sqlite" else "postgresql"),
        scene=told.get("scene") != "none",
        docstring=some.get("docstring", header),
        file=told.get("file", "{id}_" + re.sub(r"\W+", "_", title.lower()).strip("_") + ".py"),
        below=tuple(body for name, body in blocks if name == "below"),
        module=some.get("module", ""),
        upgrade=upgrade,
        downgrade=None if "no downgrade" in some else downgrade,
    )


def write(folder: Path, some: dict[str, Case], engine: str) -> None:
    """Write a project in which each case is a branch of its own, under that id; nothing in it connects."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    driver = {"postgresql": "postgresql+psycopg://app@db/app", "sqlite": "sqlite:///app.db"}[engine]
    ini = f"[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = {driver}\n"
    (folder / "alembic.ini").write_text(ini)
    (folder / "migrations" / "env.py").write_text("from alembic import context\ncontext.run_migrations()\n")
    if any(case.scene for case in some.values()):
        (versions / "scene_set_the_scene.py").write_text(_source("scene", None, "Set the scene.", SCENES[engine]))
    for id_, case in some.items():
        parent = "scene" if case.scene else None
        for number, body in enumerate(case.below):
            below = f"{id_}b{number}"
            (versions / f"{below}_lie_below.py").write_text(_source(below, parent, "Lie below.", body))
            parent = below
        text = _source(id_, parent, case.docstring, case.upgrade, downgrade=case.downgrade, module=case.module)
        (versions / case.file.replace("{id}", id_)).write_text(text)


def _source(
    id_: str, parent: str | None, docstring: str, upgrade: str, *, downgrade: str | None = "pass", module: str = ""
) -> str:
    text = f'"""{docstring}"""\n\n' if docstring else ""
    text += f"from alembic import op\nimport sqlalchemy as sa\n{module}\n\nrevision = {id_!r}\n"
    text += f"down_revision = {parent!r}\n\n\ndef upgrade():\n{indent(upgrade.strip(), '    ')}\n"
    return text if downgrade is None else text + f"\n\ndef downgrade():\n{indent(downgrade.strip(), '    ')}\n"
