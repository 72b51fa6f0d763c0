"""Validate the foreign key from appearances to matches.

Impact: Appearances stay as they are; the server vouches for the rows that were there before.
Risk: Low - reads appearances once while everybody goes on reading and writing.
Rollback: Simple - the foreign key becomes not valid again.
Testing: Upgraded and downgraded on PostgreSQL while appearances were written.
"""

from alembic import op

revision = '175f4ad628ce'
down_revision = '064e39c517bd'
branch_labels = None
depends_on = None


def upgrade():
    op.execute('ALTER TABLE appearances VALIDATE CONSTRAINT fk_appearances_match_id_matches')


def downgrade():
    op.drop_constraint('fk_appearances_match_id_matches', 'appearances', type_='foreignkey')
    op.create_foreign_key(
        'fk_appearances_match_id_matches',
        'appearances',
        'matches',
        ['match_id'],
        ['ht_id'],
        ondelete='CASCADE',
        postgresql_not_valid=True,
    )
