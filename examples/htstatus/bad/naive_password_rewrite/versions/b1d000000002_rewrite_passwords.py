"""Rewrite every bare SHA-256 password as a hash by Werkzeug.

Impact: Players and users change.
Risk: Medium - the mistake is below.
Rollback: Simple - undo it.
Testing: On an empty database only.
"""

from alembic import op
import sqlalchemy as sa
from werkzeug.security import generate_password_hash

revision = 'b1d000000002'
down_revision = 'b1d000000001'
branch_labels = None
depends_on = None


users = sa.table('users', sa.column('ht_id', sa.Integer()), sa.column('password', sa.String()))


def upgrade():
    # v1 to v3 compare what is here with the SHA-256 of the password: from now on they let nobody in.
    for ht_id, password in op.get_bind().execute(sa.select(users.c.ht_id, users.c.password)).all():
        op.get_bind().execute(
            sa.update(users).where(users.c.ht_id == ht_id).values(password=generate_password_hash(password))
        )


def downgrade():
    pass
