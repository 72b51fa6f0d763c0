"""Add the role of a user, so that administrators can archive feedback.

Impact: Users table gains role (nullable); without a role a user is a plain manager.
Risk: Low - additive change, backward compatible.
Rollback: Simple - drop the column; roles given out since are lost.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; v1 and v2 log in on the new schema.
"""

from alembic import op
import sqlalchemy as sa

revision = '4f8b62d1e953'
down_revision = '3e41f0c9d6a7'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('users', sa.Column('role', sa.String(20), nullable=True))


def downgrade():
    op.drop_column('users', 'role')
