"""Add players.transfer_listed, the boolean twin of the integer transfer_flag, and a quarantine for what does not cast.

Impact: Players table gains transfer_listed, kept alike by a trigger; a flag that is neither 0 nor 1 goes to quarantine.
Risk: Medium - reads every snapshot once, in batches of 10,000 rows, each committed; v1 to v4 go on with the integer.
Rollback: Simple - drop the trigger, the column and the quarantine; transfer_flag was never touched.
Testing: Upgraded and downgraded on PostgreSQL with three flags that do not cast; v4 and v5 write side by side.
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

revision = 'd31b0692e48a'
down_revision = 'c20af581d379'
branch_labels = None
depends_on = None

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
# The trigger casts, and sees to what does not. Each batch commits, and holds what has no twin yet.
CAST = """
DO $$
DECLARE
    low integer := 0;
    high integer;
BEGIN
    LOOP
        SELECT max(ht_id) INTO high
        FROM (SELECT ht_id FROM players WHERE ht_id > low ORDER BY ht_id LIMIT 10000) AS batch;
        EXIT WHEN high IS NULL;
        UPDATE players SET transfer_flag = transfer_flag
        WHERE ht_id > low AND ht_id <= high AND transfer_listed IS NULL;
        COMMIT;
        low := high;
    END LOOP;
END $$
"""
VALIDATE = 'ALTER TABLE players VALIDATE CONSTRAINT ck_players_transfer_listed'


def upgrade():
    with op.get_context().autocommit_block():
        op.create_table(
            'quarantine',
            sa.Column('id', sa.Integer(), nullable=False),
            sa.Column('source', sa.String(63), nullable=False),
            sa.Column('reason', sa.String(200), nullable=False),
            sa.Column('row', JSONB(), nullable=False),
            sa.Column('at', sa.DateTime(), server_default=sa.func.now(), nullable=False),
            sa.PrimaryKeyConstraint('id', name='pk_quarantine'),
            if_not_exists=True,
        )
        op.add_column('players', sa.Column('transfer_listed', sa.Boolean(), nullable=True), if_not_exists=True)
        op.execute(KEEP_ALIKE)
        op.execute(TRIGGER)
        op.execute(CAST)
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_transfer_listed')
        op.create_check_constraint(
            'ck_players_transfer_listed', 'players', 'transfer_listed IS NOT NULL', postgresql_not_valid=True
        )
        op.execute(VALIDATE)


def downgrade():
    op.drop_constraint('ck_players_transfer_listed', 'players', type_='check')
    op.execute('DROP TRIGGER players_transfer_alike ON players')
    op.execute('DROP FUNCTION players_transfer_alike()')
    op.drop_column('players', 'transfer_listed')
    op.drop_table('quarantine')
