"""Fill players.current_form from players.form where it is empty.

Impact: Players table has current_form in every row, and a CHECK that keeps it so; v4 reads no other column.
Risk: Medium - batches of 10,000 rows, each committed; an interrupted run goes on with what is still empty.
Rollback: Simple - drop the CHECK; the values stay, because form has the same ones.
Testing: Upgraded and downgraded on PostgreSQL while v3 and v4 wrote; interrupted and resumed.
"""

from alembic import op

revision = 'b1f9e470c268'
down_revision = 'a0e8d36fb157'
branch_labels = None
depends_on = None

# Each batch is a transaction of its own, and holds what is still empty: a run that was interrupted goes on.
FILL = """
DO $$
DECLARE
    low integer := 0;
    high integer;
BEGIN
    LOOP
        SELECT max(ht_id) INTO high
        FROM (SELECT ht_id FROM players WHERE ht_id > low ORDER BY ht_id LIMIT 10000) AS batch;
        EXIT WHEN high IS NULL;
        UPDATE players SET current_form = form WHERE ht_id > low AND ht_id <= high AND current_form IS NULL;
        COMMIT;
        low := high;
    END LOOP;
END $$
"""


def upgrade():
    with op.get_context().autocommit_block():
        op.execute(FILL)
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_current_form')
        op.create_check_constraint(
            'ck_players_current_form', 'players', 'current_form IS NOT NULL', postgresql_not_valid=True
        )
        op.execute('ALTER TABLE players VALIDATE CONSTRAINT ck_players_current_form')


def downgrade():
    op.drop_constraint('ck_players_current_form', 'players', type_='check')
