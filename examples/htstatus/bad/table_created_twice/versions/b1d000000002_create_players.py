"""Create players once more, from a branch that was merged.

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
    op.create_table('players', sa.Column('ht_id', sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table('players')
