"""Drop players.form, which is called current_form since v4.

Impact: Players table loses form and the trigger that fed it; v1 to v3 stop working and must not be deployed any more.
Risk: High - breaks v1 to v3; the CHECK proves NOT NULL, so no row is read under the lock.
Rollback: Complex - adds form again, fills it in batches and restores the trigger; no value is lost.
Testing: Upgraded and downgraded on PostgreSQL with data; form and current_form compared after the way back.
"""

from alembic import op
import sqlalchemy as sa

revision = 'e42c17a3f59b'
down_revision = 'd31b0692e48a'
branch_labels = None
depends_on = None

KEEP_ALIKE = """
CREATE OR REPLACE FUNCTION players_form_alike() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.current_form := coalesce(NEW.current_form, NEW.form);
        NEW.form := coalesce(NEW.form, NEW.current_form);
    ELSIF NEW.current_form IS DISTINCT FROM OLD.current_form THEN
        NEW.form := NEW.current_form;
    ELSIF NEW.form IS DISTINCT FROM OLD.form THEN
        NEW.current_form := NEW.form;
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER players_form_alike BEFORE INSERT OR UPDATE OF form, current_form ON players
FOR EACH ROW EXECUTE FUNCTION players_form_alike()
"""
FILL_BACK = """
DO $$
DECLARE
    low integer := 0;
    high integer;
BEGIN
    LOOP
        SELECT max(ht_id) INTO high
        FROM (SELECT ht_id FROM players WHERE ht_id > low ORDER BY ht_id LIMIT 10000) AS batch;
        EXIT WHEN high IS NULL;
        UPDATE players SET form = current_form WHERE ht_id > low AND ht_id <= high AND form IS NULL;
        COMMIT;
        low := high;
    END LOOP;
END $$
"""


def upgrade():
    op.alter_column('players', 'current_form', existing_type=sa.Integer(), nullable=False)
    op.drop_constraint('ck_players_current_form', 'players', type_='check')
    op.execute('DROP TRIGGER players_form_alike ON players')
    op.execute('DROP FUNCTION players_form_alike()')
    # handrail: ignore[compat-drop-column, data-drop-column] not mapped since v4; current_form has every value
    op.drop_column('players', 'form')


def downgrade():
    with op.get_context().autocommit_block():
        op.add_column('players', sa.Column('form', sa.Integer(), nullable=True), if_not_exists=True)
        op.execute(KEEP_ALIKE)
        op.execute(TRIGGER)
        op.execute(FILL_BACK)
        for column in ('form', 'current_form'):
            op.execute(f'ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_{column}')
            op.create_check_constraint(
                f'ck_players_{column}', 'players', f'{column} IS NOT NULL', postgresql_not_valid=True
            )
            op.execute(f'ALTER TABLE players VALIDATE CONSTRAINT ck_players_{column}')
        op.alter_column('players', 'form', existing_type=sa.Integer(), nullable=False)
        op.execute('ALTER TABLE players DROP CONSTRAINT IF EXISTS ck_players_form')
        op.alter_column('players', 'current_form', existing_type=sa.Integer(), nullable=True)
