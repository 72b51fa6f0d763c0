"""Add users.password_wrapped, and fill it for the passwords that are bare SHA-256 of HTStatus 1.

Impact: Users table gains password_wrapped (nullable), a hash in Werkzeug's form around the bare one; v4 checks it, and older versions go on with the untouched password.
Risk: Medium - each hash costs about 50 ms of CPU, in batches, each of which commits; who logs in meanwhile waits for nobody.
Rollback: Simple - drop the column; the passwords themselves never changed.
Testing: Upgraded and downgraded on PostgreSQL with a fifth of the users on bare SHA-256; v1 to v4 log in before and after.
"""

from alembic import context, op
import sqlalchemy as sa
from werkzeug.security import generate_password_hash

revision = '9df7c25ea046'
down_revision = '8ce6b1d49f37'
branch_labels = None
depends_on = None

ROWS_PER_BATCH = 100

users = sa.table(
    'users',
    sa.column('ht_id', sa.Integer()),
    sa.column('password', sa.String()),
    sa.column('password_wrapped', sa.String()),
)


def upgrade():
    refuse_other_servers()
    with op.get_context().autocommit_block():
        op.add_column('users', sa.Column('password_wrapped', sa.String(255), nullable=True), if_not_exists=True)
        if not context.is_offline_mode():  # no SQL makes these hashes: v4 goes on checking the bare ones
            wrap_bare_hashes(op.get_bind())


def downgrade():
    op.drop_column('users', 'password_wrapped')


def refuse_other_servers():
    if (dialect := op.get_context().dialect.name) != 'postgresql':
        raise RuntimeError(f'HTStatus v4 and later need PostgreSQL, and this is {dialect}; v3 is the last for it')


def wrap_bare_hashes(connection):
    """Go on where an interrupted run stopped: a batch is what has no wrapped hash yet."""
    bare = sa.select(users.c.ht_id, users.c.password).where(
        ~users.c.password.contains('$'), users.c.password_wrapped.is_(None)
    )
    while batch := connection.execute(bare.order_by(users.c.ht_id).limit(ROWS_PER_BATCH)).all():
        for ht_id, password in batch:
            # A password that its owner changes meanwhile is no bare hash any more, and stays as it is.
            unchanged = sa.and_(users.c.ht_id == ht_id, users.c.password == password)
            connection.execute(
                sa.update(users).where(unchanged).values(password_wrapped=generate_password_hash(password))
            )
