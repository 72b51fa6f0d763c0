"""Widen users.password from 128 to 255 characters, because a hash by scrypt has 162.

Impact: v3 stores hashes by scrypt; older versions read them through the same Werkzeug function.
Risk: Low - a wider varchar needs neither a scan nor a rewrite on PostgreSQL; SQLite copies the table.
Rollback: Complex - refused while hashes longer than 128 characters exist; their owners need a new password first.
Testing: Upgraded and downgraded on PostgreSQL and SQLite, with and without a long hash; v1 to v3 log in.
"""

from alembic import context, op
import sqlalchemy as sa

revision = '8ce6b1d49f37'
down_revision = '7bd5a30f8e26'
branch_labels = None
depends_on = None

users = sa.table('users', sa.column('password', sa.String()))


def upgrade():
    with op.batch_alter_table('users') as batch:
        batch.alter_column(
            'password', existing_type=sa.String(128), type_=sa.String(255), existing_nullable=False
        )


def downgrade():
    if not context.is_offline_mode():
        refuse_to_cut_hashes()
    with op.batch_alter_table('users') as batch:
        batch.alter_column(
            'password', existing_type=sa.String(255), type_=sa.String(128), existing_nullable=False
        )


def refuse_to_cut_hashes():
    too_long = sa.select(sa.func.count()).select_from(users).where(sa.func.length(users.c.password) > 128)
    if count := op.get_bind().scalar(too_long):
        raise RuntimeError(
            f'{count} of users.password are longer than 128 characters; reset those passwords, then downgrade'
        )
