"""Add a flag to feedback that has been dealt with.

Impact: Feedback table gains archived; what is archived leaves the list.
Risk: Low - NOT NULL with a constant server default, so older versions go on inserting and no row is rewritten.
Rollback: Simple - drop the column; archived feedback is listed again.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; v1 gives feedback on the new schema.
"""

from alembic import op
import sqlalchemy as sa

revision = '59c0d7e8b4f1'
down_revision = '4f8b62d1e953'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('feedback', sa.Column('archived', sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade():
    op.drop_column('feedback', 'archived')
