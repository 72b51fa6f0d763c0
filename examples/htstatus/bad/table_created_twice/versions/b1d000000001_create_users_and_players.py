"""Create users and players.

Impact: Players and users change.
Risk: Low - creates tables only.
Rollback: Complex - drops the tables and all that is in them.
Testing: On an empty database only.
"""

from alembic import op
import sqlalchemy as sa

revision = 'b1d000000001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'users',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('login', sa.String(64), nullable=False),
        sa.Column('password', sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint('ht_id', name='pk_users'),
    )
    op.create_table(
        'players',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('data_date', sa.Date(), nullable=False),
        sa.Column('team_id', sa.Integer(), nullable=False),
        sa.Column('form', sa.Integer(), nullable=False),
        sa.Column('transfer_flag', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('ht_id', 'data_date', name='pk_players'),
    )


def downgrade():
    op.drop_table('players')
    op.drop_table('users')
