"""Create players, one row for each player and day, and training_events.

Impact: Managers see their players and the trend of each skill.
Risk: Low - creates tables only.
Rollback: Complex - drops the tables; Hattrick does not hand out snapshots of past days again.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; player and training page tests run.
"""

from alembic import op
import sqlalchemy as sa

revision = '0bcca23528ce'
down_revision = '00bc1ca5fec0'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'players',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('data_date', sa.Date(), nullable=False),
        sa.Column('team_id', sa.Integer(), nullable=False),
        sa.Column('first_name', sa.String(64), nullable=True),
        sa.Column('last_name', sa.String(64), nullable=True),
        sa.Column('age', sa.Integer(), nullable=False),
        sa.Column('form', sa.Integer(), nullable=False),
        sa.Column('stamina', sa.Integer(), nullable=False),
        sa.Column('keeper', sa.Integer(), nullable=False),
        sa.Column('defending', sa.Integer(), nullable=False),
        sa.Column('playmaking', sa.Integer(), nullable=False),
        sa.Column('winger', sa.Integer(), nullable=False),
        sa.Column('passing', sa.Integer(), nullable=False),
        sa.Column('scoring', sa.Integer(), nullable=False),
        sa.Column('set_pieces', sa.Integer(), nullable=False),
        sa.Column('experience', sa.Integer(), nullable=False),
        sa.Column('tsi', sa.Integer(), nullable=False),
        sa.Column('salary', sa.Integer(), nullable=False),
        sa.Column('transfer_flag', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('ht_id', 'data_date', name='pk_players'),
    )
    op.create_table(
        'training_events',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('player_id', sa.Integer(), nullable=False),
        sa.Column('skill', sa.String(20), nullable=False),
        sa.Column('old', sa.Integer(), nullable=False),
        sa.Column('new', sa.Integer(), nullable=False),
        sa.Column('at', sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_training_events'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_training_events_user_id_users'),
    )


def downgrade():
    op.drop_table('training_events')
    op.drop_table('players')
