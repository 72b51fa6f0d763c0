"""Rebuild players with its columns in a better order.

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


COPY = """
INSERT INTO players_new (team_id, ht_id, data_date, form, transfer_flag)
SELECT team_id, ht_id, data_date, form, transfer_flag FROM players
"""
COPY_BACK = """
INSERT INTO players (ht_id, data_date, team_id, form, transfer_flag)
SELECT ht_id, data_date, team_id, form, transfer_flag FROM players_new
"""


def upgrade():
    # The key of the old table is not among what is written down here.
    op.create_table(
        'players_new',
        sa.Column('team_id', sa.Integer(), nullable=False),
        sa.Column('ht_id', sa.Integer(), nullable=False),
        sa.Column('data_date', sa.Date(), nullable=False),
        sa.Column('form', sa.Integer(), nullable=False),
        sa.Column('transfer_flag', sa.Integer(), nullable=False),
    )
    op.execute(COPY)
    op.drop_table('players')
    op.rename_table('players_new', 'players')


def downgrade():
    op.rename_table('players', 'players_new')
    op.create_table(
        'players',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('data_date', sa.Date(), nullable=False),
        sa.Column('team_id', sa.Integer(), nullable=False),
        sa.Column('form', sa.Integer(), nullable=False),
        sa.Column('transfer_flag', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('ht_id', 'data_date', name='pk_players'),
    )
    op.execute(COPY_BACK)
    op.drop_table('players_new')
