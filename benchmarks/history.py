"""A generated project with a long history of mixed revisions, as teams write them: for benchmarks that read one."""

from __future__ import annotations

from pathlib import Path

INI = """\
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = postgresql+psycopg://nobody@localhost/nowhere
"""

ENV_PY = """\
from alembic import context
from sqlalchemy import create_engine, pool

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""

REVISION = '''\
"""{title}

Purpose: {title}, for the release of week {number}.
Impact: {table} is read by the web application and written by two workers.
Risk: Medium
Rollback: Simple, downgrade() removes what was added.
Testing: rehearsed on a copy of production.

Revision ID: {revision}
Revises: {parent}
"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

#: title, upgrade and downgrade of twelve revisions in a row about one table; {t} is its name, {o} an older table's.
BODIES = (
    (
        "create {t}",
        """\
    op.create_table(
        "{t}",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("state", sa.Enum("new", "open", "done", name="{t}_state"), nullable=False, server_default="new"),
        sa.Column("amount", sa.Numeric(12, 4)),
        sa.Column("payload", sa.JSON),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("amount >= 0", name="ck_{t}_amount"),
        sa.UniqueConstraint("name", name="uq_{t}_name"),
    )
    op.create_index("ix_{t}_created_at", "{t}", ["created_at"])""",
        """\
    op.drop_index("ix_{t}_created_at", "{t}")
    op.drop_table("{t}")
    sa.Enum(name="{t}_state").drop(op.get_bind(), checkfirst=False)""",
    ),
    (
        "add owner to {t}",
        """\
    op.add_column("{t}", sa.Column("owner_id", sa.Integer, index=True))
    op.create_foreign_key("fk_{t}_owner", "{t}", "{o}", ["owner_id"], ["id"], ondelete="SET NULL")""",
        """\
    op.drop_constraint("fk_{t}_owner", "{t}", type_="foreignkey")
    op.drop_column("{t}", "owner_id")""",
    ),
    (
        "index the state of {t}",
        """\
    with op.get_context().autocommit_block():
        op.create_index("ix_{t}_state", "{t}", ["state"], postgresql_concurrently=True)""",
        """\
    with op.get_context().autocommit_block():
        op.drop_index("ix_{t}_state", "{t}", postgresql_concurrently=True)""",
    ),
    (
        "fill the amounts of {t}",
        """\
    op.execute("UPDATE {t} SET amount = 0 WHERE amount IS NULL")
    op.execute(sa.text("UPDATE {t} SET name = lower(name) WHERE name <> lower(name)"))""",
        "    pass",
    ),
    (
        "require the amounts of {t}",
        """\
    op.alter_column("{t}", "amount", existing_type=sa.Numeric(12, 4), nullable=False, server_default="0")""",
        """\
    op.alter_column("{t}", "amount", existing_type=sa.Numeric(12, 4), nullable=True, server_default=None)""",
    ),
    (
        "batch of columns for {t}",
        """\
    with op.batch_alter_table("{t}") as batch:
        batch.add_column(sa.Column("note", sa.Text))
        batch.add_column(sa.Column("weight", sa.Float, server_default="1"))
        batch.alter_column("name", existing_type=sa.String(100), type_=sa.String(200), existing_nullable=False)
        batch.create_index("ix_{t}_weight", ["weight"])""",
        """\
    with op.batch_alter_table("{t}") as batch:
        batch.drop_index("ix_{t}_weight")
        batch.alter_column("name", existing_type=sa.String(200), type_=sa.String(100), existing_nullable=False)
        batch.drop_column("weight")
        batch.drop_column("note")""",
    ),
    (
        "timestamps of {t} and {o}",
        """\
    for table in ("{t}", "{o}"):
        for column in ("seen_at", "left_at"):
            op.add_column(table, sa.Column(f"{{column}}_{n}", sa.DateTime(timezone=True)))""",
        """\
    for table in ("{o}", "{t}"):
        for column in ("left_at", "seen_at"):
            op.drop_column(table, f"{{column}}_{n}")""",
    ),
    (
        "trigger that keeps {t} tidy",
        """\
    op.execute(
        '''
        CREATE FUNCTION tidy_{t}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.name := trim(NEW.name);
            RETURN NEW;
        END
        $$;
        '''
    )
    op.execute("CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION tidy_{t}()")""",
        """\
    op.execute("DROP TRIGGER tidy ON {t}")
    op.execute("DROP FUNCTION tidy_{t}()")""",
    ),
    (
        "move notes of {t} to their own table",
        """\
    notes = op.create_table(
        "{t}_notes",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("{t}_id", sa.Integer, sa.ForeignKey("{t}.id", name="fk_{t}_notes"), nullable=False, index=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    bind = op.get_bind()
    old = sa.table("{t}", sa.column("id", sa.Integer), sa.column("note", sa.Text))
    rows = bind.execute(sa.select(old.c.id, old.c.note).where(old.c.note.is_not(None))).fetchall()
    op.bulk_insert(notes, [{{"{t}_id": row.id, "body": row.note}} for row in rows])
    op.drop_column("{t}", "note")""",
        """\
    op.add_column("{t}", sa.Column("note", sa.Text))
    op.execute("UPDATE {t} SET note = n.body FROM {t}_notes n WHERE n.{t}_id = {t}.id")
    op.drop_table("{t}_notes")""",
    ),
    (
        "seed {t}",
        """\
    seeds = sa.table("{t}", sa.column("name", sa.String), sa.column("amount", sa.Numeric))
    op.bulk_insert(seeds, [{{"name": f"seed {{number}}", "amount": number}} for number in range(5)])""",
        """\
    op.execute("DELETE FROM {t} WHERE name LIKE 'seed %'")""",
    ),
    (
        "rename the payload of {t}",
        """\
    op.alter_column("{t}", "payload", new_column_name="document", existing_type=sa.JSON)
    op.create_check_constraint("ck_{t}_document", "{t}", "document IS NOT NULL")""",
        """\
    op.drop_constraint("ck_{t}_document", "{t}", type_="check")
    op.alter_column("{t}", "document", new_column_name="payload", existing_type=sa.JSON)""",
    ),
    (
        "archive state for {t}",
        """\
    op.execute("ALTER TYPE {t}_state ADD VALUE IF NOT EXISTS 'archived'")
    op.execute("COMMENT ON TABLE {t} IS 'archived rows leave after a year'")""",
        """\
    op.execute("COMMENT ON TABLE {t} IS NULL")""",
    ),
)


def make_project(folder: Path, revisions: int, *, reads_rows: bool = True) -> Path:
    """Return a project of that many revisions in one line; without those that read rows where they shall not."""
    bodies = BODIES if reads_rows else tuple(body for body in BODIES if "fetchall" not in body[1])
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(INI)
    (folder / "migrations" / "env.py").write_text(ENV_PY)
    parent = None
    for number in range(revisions):
        part, kind = divmod(number, len(bodies))
        names = {"t": f"things_{part}", "o": f"things_{max(part - 1, 0)}", "n": number}
        title, upgrade, downgrade = (text.format(**names) for text in bodies[kind])
        revision = f"{number:012x}"
        text = REVISION.format(
            title=title,
            number=number,
            table=names["t"],
            revision=revision,
            parent=parent,
            upgrade=upgrade,
            downgrade=downgrade,
        )
        (versions / f"{revision}_{title.replace(' ', '_')}.py").write_text(text)
        parent = revision
    return folder
