"""Create teams, each belonging to a user.

Impact: Managers see the teams they own; a user who owns a team cannot be deleted any more.
Risk: Medium - the foreign key locks users against writes for a moment, and v1 fails to delete a user with a team.
Rollback: Simple - drop the table; the next update from CHPP brings the teams back.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; update from CHPP run twice.
"""

from alembic import op
import sqlalchemy as sa

revision = '3e41f0c9d6a7'
down_revision = '1d7c35f0a2b8'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'teams',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('ht_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(128), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('league', sa.String(64), nullable=True),
        sa.Column('updated', sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_teams'),
        sa.UniqueConstraint('ht_id', name='uq_teams_ht_id'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_teams_user_id_users'),
    )


def downgrade():
    op.drop_table('teams')
