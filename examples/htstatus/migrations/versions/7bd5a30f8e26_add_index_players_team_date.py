"""Add an index on players by team and day, for the player list and the training page.

Impact: Both pages stop scanning the whole players table.
Risk: Low - built concurrently, so reads and writes go on; an interrupted build leaves an invalid index to drop.
Rollback: Simple - drop the index, concurrently as well.
Testing: Upgraded and downgraded on PostgreSQL while players were written, and on SQLite.
"""

from alembic import op

revision = '7bd5a30f8e26'
down_revision = '6a2e94b7c015'
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index(
            'ix_players_team_id_data_date',
            'players',
            ['team_id', 'data_date'],
            postgresql_concurrently=True,
        )


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index('ix_players_team_id_data_date', table_name='players', postgresql_concurrently=True)
