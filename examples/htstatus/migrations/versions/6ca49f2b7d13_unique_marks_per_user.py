"""Let a manager mark a player only once.

Impact: Player marks of the same manager and player, but for the newest, move to quarantine; a second one is refused.
Risk: Medium - v3 to v7 fail to mark a player twice; the index is built concurrently, so reads and writes go on.
Rollback: Simple - drop the index, concurrently, and put the marks back.
Testing: Upgraded and downgraded on PostgreSQL with five duplicates; v7 and v8 mark players meanwhile.
"""

from alembic import op

revision = '6ca49f2b7d13'
down_revision = '5b938e1a6c02'
branch_labels = None
depends_on = None

QUARANTINE = """
WITH doubles AS (
    DELETE FROM player_marks AS older USING player_marks AS newer
    WHERE older.user_id = newer.user_id AND older.player_id = newer.player_id AND older.id < newer.id
    RETURNING older.*
)
INSERT INTO quarantine (source, reason, row)
SELECT 'player_marks', 'marked twice', to_jsonb(doubles) FROM doubles
"""
PUT_BACK = """
WITH doubles AS (
    DELETE FROM quarantine WHERE source = 'player_marks' AND reason = 'marked twice' RETURNING row
)
INSERT INTO player_marks SELECT mark.* FROM doubles, jsonb_populate_record(NULL::player_marks, row) AS mark
WHERE EXISTS (SELECT FROM squad_groups WHERE squad_groups.id = mark.group_id)
"""


def upgrade():
    with op.get_context().autocommit_block():
        op.execute(QUARANTINE)
        op.create_index(
            'uq_player_marks_user_id_player_id',
            'player_marks',
            ['user_id', 'player_id'],
            unique=True,
            postgresql_concurrently=True,
        )


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index(
            'uq_player_marks_user_id_player_id',
            table_name='player_marks',
            postgresql_concurrently=True,
            if_exists=True,
        )
        op.execute(PUT_BACK)
