"""Deprecate matches.weather, which v5 neither reads nor writes.

Impact: None yet; the column is marked, and v6 drops it.
Risk: Low - a comment; the column is nullable, so v5 inserts without it and older versions go on as before.
Rollback: Simple - remove the comment.
Testing: Upgraded and downgraded on PostgreSQL; v4 and v5 list matches.
"""

from alembic import op
import sqlalchemy as sa

revision = 'c20af581d379'
down_revision = 'b1f9e470c268'
branch_labels = None
depends_on = None

DEPRECATED = 'Deprecated: v5 does not use it, v6 drops it'


def upgrade():
    op.alter_column('matches', 'weather', existing_type=sa.Integer(), existing_nullable=True, comment=DEPRECATED)


def downgrade():
    op.alter_column(
        'matches',
        'weather',
        existing_type=sa.Integer(),
        existing_nullable=True,
        existing_comment=DEPRECATED,
        comment=None,
    )
