"""Add players.current_form, the coming name of players.form, and keep the two alike.

Impact: Players table gains current_form (nullable); a trigger copies what any version writes into the other column.
Risk: Low - additive change, backward compatible; the new column and the trigger lock players for a moment.
Rollback: Simple - drop the trigger and the column; form has every value.
Testing: Upgraded and downgraded on PostgreSQL; v1 to v4 write side by side and read what the others wrote.
"""

from alembic import op
import sqlalchemy as sa

revision = 'a0e8d36fb157'
down_revision = '9df7c25ea046'
branch_labels = None
depends_on = None

KEEP_ALIKE = """
CREATE FUNCTION players_form_alike() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER players_form_alike BEFORE INSERT OR UPDATE OF form, current_form ON players
FOR EACH ROW EXECUTE FUNCTION players_form_alike()
"""


def upgrade():
    op.add_column('players', sa.Column('current_form', sa.Integer(), nullable=True))
    op.execute(KEEP_ALIKE)
    op.execute(TRIGGER)


def downgrade():
    op.execute('DROP TRIGGER players_form_alike ON players')
    op.execute('DROP FUNCTION players_form_alike()')
    op.drop_column('players', 'current_form')
