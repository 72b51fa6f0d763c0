"""Add the foreign key from appearances to matches, not valid yet, and put what it would refuse into quarantine.

Impact: Appearances of matches that do not exist move to quarantine; a match that is deleted takes its appearances along.
Risk: Medium - locks appearances and matches against writes for a moment; the orphans are looked for without a lock.
Rollback: Simple - drop the foreign key, and put the orphans back.
Testing: Upgraded and downgraded on PostgreSQL with 37 orphans; v5 and v6 delete a match with appearances.
"""

from alembic import op

revision = '064e39c517bd'
down_revision = 'f53d28b406ac'
branch_labels = None
depends_on = None

QUARANTINE = """
WITH orphans AS (
    DELETE FROM appearances WHERE NOT EXISTS (SELECT FROM matches WHERE matches.ht_id = appearances.match_id)
    RETURNING appearances.*
)
INSERT INTO quarantine (source, reason, row)
SELECT 'appearances', 'match_id is no match', to_jsonb(orphans) FROM orphans
"""
PUT_BACK = """
WITH orphans AS (
    DELETE FROM quarantine WHERE source = 'appearances' AND reason = 'match_id is no match' RETURNING row
)
INSERT INTO appearances SELECT (jsonb_populate_record(NULL::appearances, row)).* FROM orphans
"""


def upgrade():
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE appearances DROP CONSTRAINT IF EXISTS fk_appearances_match_id_matches')
        op.create_foreign_key(
            'fk_appearances_match_id_matches',
            'appearances',
            'matches',
            ['match_id'],
            ['ht_id'],
            ondelete='CASCADE',
            postgresql_not_valid=True,
        )
        op.execute(QUARANTINE)


def downgrade():
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE appearances DROP CONSTRAINT IF EXISTS fk_appearances_match_id_matches')
        op.execute(PUT_BACK)
