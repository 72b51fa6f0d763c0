"""Drop matches.weather, deprecated since v5.

Impact: Matches table loses weather; v1 to v4 stop listing matches and must not be deployed any more.
Risk: High - breaks v1 to v4, and the weather of past matches is gone.
Rollback: Complex - adds the column again, empty; the next update from CHPP brings the weather of recent matches.
Testing: Upgraded and downgraded on PostgreSQL; v5 lists matches and updates from CHPP.
"""

from alembic import op
import sqlalchemy as sa

revision = 'f53d28b406ac'
down_revision = 'e42c17a3f59b'
branch_labels = None
depends_on = None

DEPRECATED = 'Deprecated: v5 does not use it, v6 drops it'


def upgrade():
    # handrail: ignore[compat-drop-column, data-drop-column] not mapped since v5; shown nowhere, and Hattrick has it still
    op.drop_column('matches', 'weather')


def downgrade():
    op.add_column('matches', sa.Column('weather', sa.Integer(), nullable=True, comment=DEPRECATED))
