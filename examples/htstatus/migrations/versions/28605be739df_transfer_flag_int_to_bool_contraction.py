"""Drop players.transfer_flag, whose boolean twin transfer_listed has been in use since v5.

Impact: Players table loses transfer_flag and the trigger that fed it; v1 to v4 stop working.
Risk: High - breaks v1 to v4; refused where a twin says something else than its integer.
Rollback: Complex - adds the integer again, fills it in batches, and gives back the values in quarantine.
Testing: Upgraded and downgraded on PostgreSQL with three flags that do not cast; all three are back afterwards.
"""

from alembic import op
import sqlalchemy as sa

revision = '28605be739df'
down_revision = '175f4ad628ce'
branch_labels = None
depends_on = None

REFUSE_TWINS_THAT_DIFFER = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM players WHERE (transfer_flag = 1) IS DISTINCT FROM transfer_listed) THEN
        RAISE EXCEPTION 'players.transfer_listed and transfer_flag differ; cast again what differs, then drop the integer';
    END IF;
END $$
"""
KEEP_ALIKE = """
CREATE OR REPLACE FUNCTION players_transfer_alike() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.transfer_flag IS NULL
       OR TG_OP = 'UPDATE' AND NEW.transfer_listed IS DISTINCT FROM OLD.transfer_listed
          AND NEW.transfer_flag IS NOT DISTINCT FROM OLD.transfer_flag THEN
        NEW.transfer_flag := NEW.transfer_listed::integer;
        RETURN NEW;
    END IF;
    IF NEW.transfer_flag NOT IN (0, 1) THEN
        INSERT INTO quarantine (source, reason, row) VALUES (
            'players', 'transfer_flag does not cast',
            jsonb_build_object(
                'ht_id', NEW.ht_id, 'data_date', NEW.data_date, 'transfer_flag', NEW.transfer_flag));
    END IF;
    NEW.transfer_listed := NEW.transfer_flag = 1;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER players_transfer_alike
BEFORE INSERT OR UPDATE OF transfer_flag, transfer_listed ON players
FOR EACH ROW EXECUTE FUNCTION players_transfer_alike()
"""
CAST_BACK = """
DO $$
DECLARE
    low integer := 0;
    high integer;
BEGIN
    LOOP
        SELECT max(ht_id) INTO high
        FROM (SELECT ht_id FROM players WHERE ht_id > low ORDER BY ht_id LIMIT 10000) AS batch;
        EXIT WHEN high IS NULL;
        UPDATE players SET transfer_flag = transfer_listed::integer
        WHERE ht_id > low AND ht_id <= high AND transfer_flag IS NULL;
        COMMIT;
        low := high;
    END LOOP;
END $$
"""
# What its owner has listed since keeps the newer value. The trigger writes the quarantine anew.
GIVE_BACK = """
WITH flags AS (
    DELETE FROM quarantine WHERE source = 'players' AND reason = 'transfer_flag does not cast' RETURNING row
)
UPDATE players SET transfer_flag = (row ->> 'transfer_flag')::integer FROM flags
WHERE players.ht_id = (row ->> 'ht_id')::integer AND players.data_date = (row ->> 'data_date')::date
AND NOT players.transfer_listed
"""


def upgrade():
    op.execute(REFUSE_TWINS_THAT_DIFFER)
    op.alter_column('players', 'transfer_listed', existing_type=sa.Boolean(), nullable=False)
    op.drop_constraint('ck_players_transfer_listed', 'players', type_='check')
    op.execute('DROP TRIGGER players_transfer_alike ON players')
    op.execute('DROP FUNCTION players_transfer_alike()')
    # handrail: ignore[compat-drop-column, data-drop-column] not mapped since v5; its twin and the quarantine have all values
    op.drop_column('players', 'transfer_flag')


def downgrade():
    with op.get_context().autocommit_block():
        op.add_column('players', sa.Column('transfer_flag', sa.Integer(), nullable=True), if_not_exists=True)
        op.execute(KEEP_ALIKE)
        op.execute(TRIGGER)
        op.execute(CAST_BACK)
        op.execute(GIVE_BACK)
        for column in ('transfer_flag', 'transfer_listed'):
            op.execute(f'ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_{column}')
            op.create_check_constraint(
                f'ck_players_{column}', 'players', f'{column} IS NOT NULL', postgresql_not_valid=True
            )
            op.execute(f'ALTER TABLE players VALIDATE CONSTRAINT ck_players_{column}')
        op.alter_column('players', 'transfer_flag', existing_type=sa.Integer(), nullable=False)
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_transfer_flag')
        op.alter_column('players', 'transfer_listed', existing_type=sa.Boolean(), nullable=True)
