"""Create users and what belongs to them: sessions, feedback, votes, exports, error_log.

Impact: First tables of the application; managers can log in, give feedback and export.
Risk: Low - creates tables only.
Rollback: Complex - drops the tables; accounts and feedback are lost with them.
Testing: Upgraded and downgraded on PostgreSQL and SQLite; login and feedback tests run.
"""

from alembic import op
import sqlalchemy as sa

revision = '00bc1ca5fec0'
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'users',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('login', sa.String(64), nullable=False),
        sa.Column('username', sa.String(64), nullable=False),
        sa.Column('password', sa.String(128), nullable=False),
        sa.Column('oauth_key', sa.String(64), nullable=True),
        sa.Column('oauth_secret', sa.String(64), nullable=True),
        sa.Column('last_login', sa.DateTime(), nullable=True),
        sa.Column('last_update', sa.DateTime(), nullable=True),
        sa.Column('column_prefs', sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint('ht_id', name='pk_users'),
        sa.UniqueConstraint('login', name='uq_users_login'),
    )
    op.create_table(
        'sessions',
        sa.Column('token', sa.String(64), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('expires', sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint('token', name='pk_sessions'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_sessions_user_id_users'),
    )
    op.create_table(
        'feedback',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('created_at', sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_feedback'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_feedback_user_id_users'),
    )
    op.create_table(
        'votes',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('feedback_id', sa.Integer(), nullable=False),
        sa.Column('value', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_votes'),
        sa.ForeignKeyConstraint(['user_id'], ['users.ht_id'], name='fk_votes_user_id_users'),
        sa.ForeignKeyConstraint(['feedback_id'], ['feedback.id'], name='fk_votes_feedback_id_feedback'),
        sa.UniqueConstraint('user_id', 'feedback_id', name='uq_votes_user_id_feedback_id'),
    )
    op.create_table(
        'exports',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=False),
        sa.Column('kind', sa.String(20), nullable=False),
        sa.Column('sha256', sa.String(64), nullable=False),
        sa.Column('made_at', sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_exports'),
    )
    op.create_table(
        'error_log',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('user_id', sa.Integer(), nullable=True),
        sa.Column('message', sa.Text(), nullable=False),
        sa.Column('at', sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_error_log'),
    )


def downgrade():
    op.drop_table('error_log')
    op.drop_table('exports')
    op.drop_table('votes')
    op.drop_table('feedback')
    op.drop_table('sessions')
    op.drop_table('users')
