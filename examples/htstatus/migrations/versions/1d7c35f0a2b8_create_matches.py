"""Create matches and the appearances of players in them.

Impact: Managers see the history of their matches and the stars of each player.
Risk: Low - creates tables only.
Rollback: Simple - drop the tables; Hattrick keeps matches and hands them out again.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; match history tests run.
"""

from alembic import op
import sqlalchemy as sa

revision = '1d7c35f0a2b8'
down_revision = '0bcca23528ce'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'matches',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('home_team_id', sa.Integer(), nullable=False),
        sa.Column('home_team', sa.String(128), nullable=False),
        sa.Column('away_team_id', sa.Integer(), nullable=False),
        sa.Column('away_team', sa.String(128), nullable=False),
        sa.Column('kickoff', sa.DateTime(), nullable=False),
        sa.Column('type', sa.Integer(), nullable=False),
        sa.Column('home_goals', sa.Integer(), nullable=True),
        sa.Column('away_goals', sa.Integer(), nullable=True),
        sa.Column('home_rating', sa.Float(), nullable=True),
        sa.Column('away_rating', sa.Float(), nullable=True),
        sa.Column('weather', sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint('ht_id', name='pk_matches'),
    )
    op.create_index('ix_matches_home_team_id', 'matches', ['home_team_id'])
    op.create_index('ix_matches_away_team_id', 'matches', ['away_team_id'])
    op.create_table(
        'appearances',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('match_id', sa.Integer(), nullable=False),
        sa.Column('player_id', sa.Integer(), nullable=False),
        sa.Column('role', sa.Integer(), nullable=False),
        sa.Column('stars', sa.Float(), nullable=True),
        sa.Column('behaviour', sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_appearances'),
    )
    op.create_index('ix_appearances_match_id', 'appearances', ['match_id'])
    op.create_index('ix_appearances_player_id', 'appearances', ['player_id'])


def downgrade():
    op.drop_index('ix_appearances_player_id', table_name='appearances')
    op.drop_index('ix_appearances_match_id', table_name='appearances')
    op.drop_table('appearances')
    op.drop_index('ix_matches_away_team_id', table_name='matches')
    op.drop_index('ix_matches_home_team_id', table_name='matches')
    op.drop_table('matches')
