"""Add the role of a user.

Impact: Players and users change.
Risk: Medium - the mistake is below.
Rollback: Simple - undo it.
Testing: On an empty database only.
"""

from alembic import op
import sqlalchemy as sa

revision = 'b1d000000002'
down_revision = 'b1d000000001'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('users', sa.Column('role', sa.String(20), nullable=True))


def downgrade():
    op.drop_column('users', 'role')
