"""Split users into accounts, which log in, and profiles, which are shown; users becomes a view of both.

Impact: Tables accounts and profiles take the place of users; v5 to v7 read and write the view users as before.
Risk: High - locks users while its profiles are copied, a moment for some thousand of them.
Rollback: Complex - brings the three columns back from profiles; no value is lost.
Testing: Upgraded and downgraded on PostgreSQL with data; v7 signs up, logs in, changes settings and deletes on the view.
"""

from alembic import op
import sqlalchemy as sa

revision = '5b938e1a6c02'
down_revision = '4a827d095bf1'
branch_labels = None
depends_on = None

COPY = 'INSERT INTO profiles SELECT ht_id, username, last_update, column_prefs FROM accounts'
VIEW = """
CREATE VIEW users AS
SELECT accounts.ht_id, login, username, password, oauth_key, oauth_secret, last_login, last_update, column_prefs, role,
       password_wrapped
FROM accounts JOIN profiles ON profiles.ht_id = accounts.ht_id
"""
WRITE = """
CREATE FUNCTION users_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM accounts WHERE ht_id = OLD.ht_id;  -- its profile goes along
        RETURN OLD;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO accounts (ht_id, login, password, oauth_key, oauth_secret, last_login, role, password_wrapped)
        VALUES (NEW.ht_id, NEW.login, NEW.password, NEW.oauth_key, NEW.oauth_secret, NEW.last_login, NEW.role,
                NEW.password_wrapped);
        INSERT INTO profiles (ht_id, username, last_update, column_prefs)
        VALUES (NEW.ht_id, NEW.username, NEW.last_update, NEW.column_prefs);
    ELSE
        UPDATE accounts SET
            ht_id = NEW.ht_id, login = NEW.login, password = NEW.password, oauth_key = NEW.oauth_key,
            oauth_secret = NEW.oauth_secret, last_login = NEW.last_login, role = NEW.role,
            password_wrapped = NEW.password_wrapped
        WHERE ht_id = OLD.ht_id;
        UPDATE profiles SET
            username = NEW.username, last_update = NEW.last_update, column_prefs = NEW.column_prefs
        WHERE ht_id = NEW.ht_id;
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER users_write INSTEAD OF INSERT OR UPDATE OR DELETE ON users
FOR EACH ROW EXECUTE FUNCTION users_write()
"""
BRING_BACK = """
UPDATE users SET username = profiles.username, last_update = profiles.last_update, column_prefs = profiles.column_prefs
FROM profiles WHERE profiles.ht_id = users.ht_id
"""


def upgrade():
    op.rename_table('users', 'accounts')
    op.execute('ALTER TABLE accounts RENAME CONSTRAINT pk_users TO pk_accounts')
    op.execute('ALTER TABLE accounts RENAME CONSTRAINT uq_users_login TO uq_accounts_login')
    op.create_table(
        'profiles',
        sa.Column('ht_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('username', sa.String(64), nullable=False),
        sa.Column('last_update', sa.DateTime(), nullable=True),
        sa.Column('column_prefs', sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint('ht_id', name='pk_profiles'),
        sa.ForeignKeyConstraint(
            ['ht_id'],
            ['accounts.ht_id'],
            name='fk_profiles_ht_id_accounts',
            ondelete='CASCADE',
            onupdate='CASCADE',
        ),
    )
    op.execute(COPY)
    op.drop_column('accounts', 'username')
    op.drop_column('accounts', 'last_update')
    op.drop_column('accounts', 'column_prefs')
    op.execute(VIEW)
    op.execute(WRITE)
    op.execute(TRIGGER)


def downgrade():
    op.execute('DROP TRIGGER users_write ON users')
    op.execute('DROP VIEW users')
    op.execute('DROP FUNCTION users_write()')
    op.rename_table('accounts', 'users')
    op.execute('ALTER TABLE users RENAME CONSTRAINT uq_accounts_login TO uq_users_login')
    op.execute('ALTER TABLE users RENAME CONSTRAINT pk_accounts TO pk_users')
    op.add_column('users', sa.Column('username', sa.String(64), nullable=True))
    op.add_column('users', sa.Column('last_update', sa.DateTime(), nullable=True))
    op.add_column('users', sa.Column('column_prefs', sa.JSON(), nullable=True))
    op.execute(BRING_BACK)
    op.alter_column('users', 'username', existing_type=sa.String(64), nullable=False)
    op.drop_table('profiles')
