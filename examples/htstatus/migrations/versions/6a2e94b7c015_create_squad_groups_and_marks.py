"""Create squad_groups and player_marks, a manager's own grouping of players.

Impact: Managers group and colour their players; a user with groups cannot be deleted any more.
Risk: Medium - the foreign keys lock users for a moment, and v1 and v2 fail to delete a user with groups.
Rollback: Complex - drops the tables, marks before groups; what managers grouped is lost.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; group tests run.
"""

from alembic import op
import sqlalchemy as sa

revision = '6a2e94b7c015'
down_revision = '59c0d7e8b4f1'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'squad_groups',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(64), nullable=False),
        sa.Column('order', sa.Integer(), nullable=False),
        sa.Column('text_colour', sa.String(7), nullable=True),
        sa.Column('background_colour', sa.String(7), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_squad_groups'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_squad_groups_user_id_users'),
    )
    op.create_table(
        'player_marks',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('group_id', sa.Integer(), nullable=False),
        sa.Column('player_id', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_player_marks'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_player_marks_user_id_users'),
        sa.ForeignKeyConstraint(['group_id'], ['squad_groups.id'], name='fk_player_marks_group_id_squad_groups'),
    )


def downgrade():
    op.drop_table('player_marks')
    op.drop_table('squad_groups')
