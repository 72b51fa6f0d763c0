"""Runs the revisions with a metadata that nobody filled: the modules with the tables are not imported."""

import os

import sqlalchemy as sa
from alembic import context

from models import Base

engine = sa.create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
